"""`ganmf tune` and `ganmf runs`: goes on where it stopped, exit codes, charts."""

import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import psutil
import pytest

import ganmf_fast as gf

SPACE = "[ItemKNN]\ntopk = { int = [2, 30] }\nshrink = { int = [0, 50] }\n"


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rng = np.random.default_rng(2)
    urm = (rng.random((80, 50)) < 0.3).astype(np.float32)
    folder = tmp_path_factory.mktemp("data") / "tiny"
    replace(gf.split.paper_protocol(urm), name="tiny").save(folder)
    return folder


@pytest.fixture
def command(splits: Path, tmp_path: Path) -> tuple[object, ...]:
    space = tmp_path / "space.toml"
    space.write_text(SPACE)
    return (
        "tune", "ItemKNN-jaccard", "--data", splits, "--output", tmp_path / "run", "--space", space,
        "--backend", "random", "--index", tmp_path / "runs.sqlite", "--calls", 5,
    )  # fmt: skip


def test_tune_finds_what_gf_tune_finds_and_goes_on(ganmf, command, splits, tmp_path) -> None:
    done = ganmf(*command, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = gf.tune(
        "ItemKNN",
        gf.Splits.load(splits),
        n_calls=5,
        backend="random",
        fixed={"similarity": "jaccard"},
        space=tmp_path / "space.toml",
    )
    assert found["best_params"] == expected.best_params
    assert found["best_value"] == expected.best_value
    assert found["test"]["5"]["map"] == expected.final.test["map", 5]
    assert found["trials"] == {"done": 5, "pruned": 0, "failed": 0}
    assert done.stderr.count("trial ") >= 5
    assert "[5/5]" in done.stderr
    assert "left" in done.stderr

    again = ganmf(*command, "--json")
    assert json.loads(again.stdout)["best_params"] == found["best_params"]
    assert "going on after 5 finished trials" in again.stderr
    assert "[5/5]" not in again.stderr
    assert sorted(path.name for path in (tmp_path / "run").iterdir()) == [
        "best.json",
        "journal.jsonl",
        "result.json",
    ]


def test_reproduce_takes_the_parameters_that_tune_found(ganmf, command, splits, tmp_path) -> None:
    found = json.loads(ganmf(*command, "--json").stdout)
    done = ganmf(
        "reproduce", "table2", "--data", splits, "--models", "ItemKNN-jaccard", "--json",
        "--params", tmp_path / "run" / "best.json", "--output", tmp_path / "table",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    row = json.loads(done.stdout)["models"]["ItemKNN-jaccard"]
    assert row["metrics"]["map@5"]["value"] == found["test"]["5"]["map"]


def test_reproduce_tunes_each_row_itself_and_goes_on(ganmf, splits, tmp_path) -> None:
    pytest.importorskip("skopt", reason="the paper's search is scikit-optimize's")
    command = (
        "reproduce", "table2", "--data", splits, "--models", "TopPopular,PureSVD,P3alpha", "--json",
        "--params", "tuned", "--calls", 3, "--output", tmp_path / "table",
    )  # fmt: skip
    done = ganmf(*command)
    assert done.returncode == 0, done.stderr
    rows = json.loads(done.stdout)["models"]
    assert rows["P3alpha"]["source"] == rows["PureSVD"]["source"] == "tuned on validation"
    assert rows["TopPopular"]["source"] == "defaults"
    expected = gf.tune("P3alpha", gf.Splits.load(splits), n_calls=3)
    assert rows["P3alpha"]["params"] == expected.best_params
    assert rows["P3alpha"]["metrics"]["map@5"]["value"] == expected.final.test["map", 5]
    journals = sorted((tmp_path / "table" / "tuning").rglob("journal.jsonl"))
    assert [path.parent.name for path in journals] == ["P3alpha", "PureSVD"]
    before = [path.read_bytes() for path in journals]
    assert json.loads(ganmf(*command).stdout)["models"] == rows
    assert [path.read_bytes() for path in journals] == before


def test_runs_are_listed_and_shown(ganmf, command, tmp_path) -> None:
    index = ("--index", tmp_path / "runs.sqlite")
    assert "no runs yet" in ganmf("runs", "list", *index).stderr
    best = json.loads(ganmf(*command, "--json").stdout)["best_value"]
    [run] = json.loads(ganmf("runs", "list", "--json", *index).stdout)
    assert run["status"] == "done"
    assert run["best_value"] == best
    shown = ganmf("runs", "list", *index).stdout
    assert "5/5" in shown
    for name in (run["id"], tmp_path / "run", tmp_path / "run" / "journal.jsonl"):
        done = ganmf("runs", "show", name, "--json", *index)
        assert len(json.loads(done.stdout)["trials"]) == 5
    assert "best " in ganmf("runs", "show", 1, *index).stdout
    done = ganmf("runs", "show", 7, *index)
    assert done.returncode == 2
    assert "not '7'" in done.stderr


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"space": 3}, "space must be a table of ranges, not 3"),
        ({"space": {"topk": {"int": [2, 9], "counts_as": 7}}}, "counts_as of topk .*, not 7"),
        ({"metric": None}, "its header has no metric"),
    ],
)
def test_a_damaged_header_is_one_sentence(ganmf, command, tmp_path, change, said) -> None:
    assert ganmf(*command, "--no-final").returncode == 0
    path = tmp_path / "run" / "journal.jsonl"
    head, rest = path.read_text().split("\n", 1)
    header = {k: v for k, v in {**json.loads(head), **change}.items() if v is not None}
    path.write_text(json.dumps(header) + "\n" + rest)
    done = ganmf("runs", "show", tmp_path / "run")
    assert done.returncode == 3
    assert re.search(f"journal.jsonl is damaged: .*{said}$", done.stderr.strip())


def test_the_order_of_ties_is_part_of_a_search(ganmf, command, tmp_path) -> None:
    assert ganmf(*command, "--ties", "published").returncode == 0
    header = json.loads((tmp_path / "run" / "journal.jsonl").read_text().splitlines()[0])
    assert header["ties"] == "published"
    again = ganmf(*command)
    assert again.returncode == 2
    assert "ties" in again.stderr


def test_a_search_begins_with_points_of_the_users(ganmf, command, tmp_path) -> None:
    done = ganmf(*command, "--first", "topk=9,shrink=0", "--first", "shrink=50")
    assert done.returncode == 0, done.stderr
    lines = [json.loads(x) for x in (tmp_path / "run" / "journal.jsonl").read_text().splitlines()]
    assert lines[0]["first"] == [{"topk": 9, "shrink": 0}, {"shrink": 50}]
    assert lines[1]["params"]["topk"] == 9
    assert [line["params"]["shrink"] for line in lines[1:3]] == [0, 50]


def test_charts_of_a_search_are_png_files(ganmf, command, tmp_path) -> None:
    pytest.importorskip("vl_convert", reason="charts need vl-convert")
    pytest.importorskip("skopt", reason="partial dependence needs scikit-optimize")
    assert ganmf(*command).returncode == 0
    done = ganmf("runs", "show", tmp_path / "run", "--plots", tmp_path / "charts", "--quiet")
    assert done.returncode == 0, done.stderr
    charts = {path.name: path.read_bytes() for path in (tmp_path / "charts").iterdir()}
    assert sorted(charts) == [
        "convergence.png",
        "parallel_coordinates.png",
        "partial_dependence.png",
    ]
    assert all(content.startswith(b"\x89PNG") for content in charts.values())


def test_failed_trials_end_the_command_with_4(ganmf, command, tmp_path) -> None:
    # Ranges of one's own may ask for what a model refuses.
    (tmp_path / "space.toml").write_text("[ItemKNN]\nshrink = { int = [-30, 30] }\n")
    done = ganmf(*command, "--json")
    assert done.returncode == 4, done.stderr
    assert json.loads(done.stdout)["trials"]["failed"] > 0
    assert "shrink must be at least 0" in done.stderr
    (tmp_path / "space.toml").write_text("[ItemKNN]\nshrink = { int = [-30, -10] }\n")
    done = ganmf(*(tmp_path / "other" if token == tmp_path / "run" else token for token in command))
    assert done.returncode == 1
    assert "none of 5 trials is done: shrink" in done.stderr


def test_other_settings_for_a_folder_end_the_command_with_2(ganmf, command) -> None:
    assert ganmf(*command).returncode == 0
    done = ganmf(*command, "--seed", 3)
    assert done.returncode == 2
    assert "seed 1337, not 3" in done.stderr


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (("ItemKNN-cosin",), "ItemKNN"),
        (("ItemKNN", "--param", "topkk=3"), "topk"),
        (("ItemKNN", "--backend", "skop"), "skopt"),
        (("ItemKNN", "--device", "cpu"), "no device"),
        (("ItemKNN", "--calls", "0"), "n_calls"),
        (("ItemKNN", "--first", "topk"), "first must be NAME=VALUE, not 'topk'"),
        (("ItemKNN", "--first", "topk=5,shrink=2000"), "first[0] has shrink 2000"),
    ],
)
def test_a_wrong_option_is_one_sentence(ganmf, splits, tmp_path, tokens, said) -> None:
    done = ganmf("tune", *tokens, "--data", splits, "--output", tmp_path / "run")
    assert done.returncode == 2
    assert said in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


@pytest.mark.parametrize(
    ("workers", "sent", "code"),
    [
        (1, signal.SIGINT, 130),
        (2, signal.SIGINT, 130),
        (1, signal.SIGTERM, 143),
        (2, signal.SIGTERM, 143),
    ],
)
def test_a_signal_ends_with_its_code_and_the_same_command_goes_on(
    start, ganmf, command, tmp_path, workers, sent, code
) -> None:
    if workers > 1:
        pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
    journal = tmp_path / "run" / "journal.jsonl"
    process = start(*command[:-1], 100000, "--workers", workers)
    while process.poll() is None and (
        not journal.exists() or journal.read_bytes().count(b"\n") < 3
    ):
        time.sleep(0.01)
    workers_there = psutil.Process(process.pid).children(recursive=True)
    assert len(workers_there) == (workers if workers > 1 else 0)
    process.send_signal(sent)
    began = time.monotonic()
    _, said = process.communicate(timeout=60)
    assert time.monotonic() - began < 1.0
    assert psutil.wait_procs(workers_there, timeout=1)[1] == []
    assert process.returncode == code, said
    assert said.strip().splitlines()[-1].startswith("ganmf: interrupted")
    assert not re.search("traceback|warn|leaked", said.lower()), said
    assert "finished trials are kept in" in said
    n = journal.read_bytes().count(b"\n") - 1
    again = ganmf(*command[:-1], n if workers > 1 else n + 2, "--workers", workers, "--json")
    if workers == 1:
        assert json.loads(again.stdout)["trials"]["done"] == n + 2
    assert again.returncode == 0, again.stderr
    assert f"going on after {n} finished trials" in again.stderr
