"""What `make bench-peers` calls the same answer, and the best other package."""

import sys
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benches" / "python"))

from peers import agree, report, runner
from peers.operations import OPERATIONS
from peers.operations.base import against_best
from peers.operations.rank_weights import lists_of, scores_of


def neighbours(rows: list[list[float]]) -> sp.csr_matrix:
    return sp.csr_matrix(np.array(rows, dtype=float))


def test_neighbours_agree_up_to_ties_in_the_last_place():
    mine = neighbours([[0, 0.9, 0.5, 0], [0.9, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    tied = neighbours([[1, 0.9, 0, 0.5], [0.9, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    other = neighbours([[1, 0, 0.9, 0.5], [0.9, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert agree.same_neighbours(mine, tied, k=2) == ""
    assert "neighbours differ" in agree.same_neighbours(mine, other, k=2)
    # With room for more, there is no last place whose ties are free.
    assert "neighbours differ" in agree.same_neighbours(mine, tied, k=3)


def test_other_similarities_or_fewer_neighbours_are_another_answer():
    mine = neighbours([[0, 0.9, 0.5], [0, 0, 0], [0, 0, 0]])
    assert "1 neighbours" in agree.same_neighbours(
        mine, neighbours([[0, 0.9, 0]] + [[0] * 3] * 2), 2
    )
    wrong = neighbours([[0, 0.9, 0.51], [0, 0, 0], [0, 0, 0]])
    assert "similarities differ" in agree.same_neighbours(mine, wrong, 2)


def test_a_list_with_a_known_item_is_another_answer():
    X = sp.csr_matrix(np.array([[1.0, 0, 0, 0]]))
    scores = np.array([[9.0, 3, 3, 1]])
    listed = [
        scores_of(scores, X, np.array([0]), np.array([row])) for row in ([1, 2], [2, 1], [0, 1])
    ]
    assert agree.same_lists(listed[0], listed[1]) == ""
    assert "100.00%" in agree.same_lists(listed[0], listed[2])


def test_lists_of_sparse_scores_are_descending_and_padded():
    scores = sp.csr_matrix(np.array([[0.5, 0, 2.0, 1.0], [0, 0, 0, 0]]))
    lists = lists_of(scores)
    assert lists[0, :4].tolist() == [2, 3, 0, -1]
    assert set(lists[1]) == {-1}


def test_only_answers_near_the_best_count():
    verdicts = against_best({"a": 10.0, "b": 10.0005, "c": 10.1}, "loss", 1e-3)
    assert [verdicts[name].agrees for name in "abc"] == [True, True, False]
    assert "1.00% above the best" in verdicts["c"].detail


def result(**packages: dict) -> dict:
    ready = {"status": "ok", "agrees": True, "mebibytes": 1.0}
    return {
        "operation": "rank_factors",
        "dataset": "synthetic-20m",
        "environment": {"peers": {}},
        "packages": {name.replace("_", " "): ready | row for name, row in packages.items()},
    }


def test_the_best_other_package_gives_the_same_answer_and_is_no_yardstick():
    measured = result(
        ours={"seconds": 2.0},
        numpy={"seconds": 1.0, "agrees": False},
        implicit={"seconds": 3.0, "agrees": False},
        skrecsys={"seconds": 8.0},
    )
    assert report.ratio(measured) == 4.0
    table = "\n".join(report.table(measured))
    assert "| numpy | 1 | 1 | 0.50 | yardstick |" in table
    assert "| implicit | 3 | 1 | 1.50 | other |" in table


def test_without_an_answer_of_ours_there_is_no_ratio():
    measured = result(ours={"status": "not available", "note": "why"}, skrecsys={"seconds": 8.0})
    assert report.ratio(measured) is None
    assert "why" in report.summary([measured])[-1]


def test_unknown_operations_and_data_sets_are_named():
    with pytest.raises(ValueError, match=r"OPS holds 'knn'; there are .*item_knn"):
        runner.jobs(["knn"], None)
    with pytest.raises(ValueError, match="DATASETS holds 'ml-2m'"):
        runner.jobs(None, ["ml-2m"])
    with pytest.raises(ValueError, match="none of these"):
        runner.jobs(["split"], ["ml-1m"])
    assert len(runner.jobs(None, None)) == sum(len(o.datasets) for o in OPERATIONS.values())


def test_the_page_keeps_what_stands_around_the_markers(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(f"before\n{report.BEGIN}\nold\n{report.END}\nafter\n", encoding="utf-8")
    report.write([], page, tmp_path / "table.csv")
    text = page.read_text(encoding="utf-8")
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "old" not in text
