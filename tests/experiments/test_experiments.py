"""Tables and figures of the paper: cells, verdicts, exports, labels, kills."""

import csv
import json
import re
import signal
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ganmf_fast as gf
from faults.runs import outcome
from ganmf_fast import reference
from ganmf_fast.base.errors import ConflictError
from ganmf_fast.evaluation import by_profile_length
from ganmf_fast.evaluation.significance import compare_values
from ganmf_fast.experiments.cosine import between_users
from ganmf_fast.experiments.figures import Figure4, Figure5, Figure6, Figure7
from ganmf_fast.experiments.run_specs import QUICK_EPOCHS, run_specs
from ganmf_fast.experiments.table1 import statistics
from ganmf_fast.experiments.table2 import STRONG, Table2, Table3
from ganmf_fast.experiments.variants import select
from ganmf_fast.results import document
from ganmf_fast.results.result_table import Entry, ResultTable, Run
from ganmf_fast.results.store import Store
from ganmf_fast.results.tables import summary_csv, to_csv, to_latex, to_markdown

OUTPUTS = ("results.csv", "summary.csv", "table.md", "table.tex")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five splits of 80 users and 50 items."""
    rng = np.random.default_rng(3)
    urm = (rng.random((80, 50)) < rng.uniform(0.1, 0.5, (80, 1))).astype(np.float32)
    folder = tmp_path_factory.mktemp("data") / "tiny"
    replace(gf.split.paper_protocol(urm), name="tiny").save(folder)
    return folder


def factors(splits: Path, folder: Path, points=(2, 4, 8), **options) -> Figure6:
    """Figure 6 of the model that takes no time."""
    five = gf.Splits.load(splits)
    chosen = Figure6.run_specs(select(["PureSVD"]), None, points)
    return Figure6(five, chosen, Store(folder), **{"seeds": [1, 2], **options})


def read(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text().splitlines()))


# cells ------------------------------------------------------------------------------------------


def test_the_folder_of_another_experiment_is_refused_and_left_alone(
    splits: Path, tmp_path: Path
) -> None:
    factors(splits, tmp_path).run()
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    rows = select(["TopPopular"])
    table = Table2(gf.Splits.load(splits), run_specs(rows, None), Store(tmp_path), seeds=[1])
    with pytest.raises(ConflictError, match="holds figure6, not table2"):
        table.run()
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_points_and_seeds_are_cells_that_are_done_once(splits: Path, tmp_path: Path) -> None:
    said: list[str] = []
    found = factors(splits, tmp_path, log=said.append).run()
    assert [(e.model, e.point, len(e.runs)) for e in found.entries] == [
        ("PureSVD", 2.0, 2), ("PureSVD", 4.0, 2), ("PureSVD", 8.0, 2),
    ]  # fmt: skip
    five = gf.Splits.load(splits)
    model = gf.PureSVD(num_factors=4, seed=2).fit(five.train)
    expected = gf.evaluate(model, five.train, five.test)["map", 5]
    assert found.entries[1].runs[1].values["map", 5] == expected
    said.clear()
    more = factors(splits, tmp_path, points=(2, 4, 8, 16), log=said.append).run()
    assert sum("finished earlier" in text for text in said) == 6
    assert [e.point for e in more.entries] == [2, 4, 8, 16]


@pytest.mark.parametrize("name", ["result.json", "per_user.npz"])
def test_a_damaged_cell_is_done_again(splits: Path, tmp_path: Path, name: str) -> None:
    first = to_csv(factors(splits, tmp_path).run())
    path = tmp_path / "models" / "PureSVD@4-2" / name
    path.write_bytes(path.read_bytes()[:100])
    said: list[str] = []
    assert to_csv(factors(splits, tmp_path, log=said.append).run()) == first
    assert sum("finished earlier" in text for text in said) == 5
    with pytest.raises(ConflictError, match=r"cutoffs \[5, 20\], not \[3\]"):
        factors(splits, tmp_path, cutoffs=(3,))


def test_a_cell_of_the_first_format_is_read(splits: Path, tmp_path: Path) -> None:
    five, chosen = gf.Splits.load(splits), run_specs(select(["TopPopular"]), None)
    first = Table2(five, chosen, Store(tmp_path), seeds=[1]).run()
    path = tmp_path / "models" / "TopPopular" / "result.json"
    record = json.loads(path.read_text())
    record |= {"format": 1, "per_user_sha256": record.pop("files")["per_user.npz"]}
    del record["sha256"], record["point"], record["config"]["quick"]
    from ganmf_fast.results import store

    record["sha256"] = store._digest(store._canonical(record))
    path.write_text(json.dumps(record))
    said: list[str] = []
    again = Table2(five, chosen, Store(tmp_path), seeds=[1], log=said.append).run()
    assert said == ["[1/1] TopPopular: finished earlier"]
    assert to_csv(again) == to_csv(first)


def test_the_same_cell_of_another_experiment_is_taken_over(splits: Path, tmp_path: Path) -> None:
    five, rows = gf.Splits.load(splits), select(["TopPopular", "PureSVD"])
    Table2(five, run_specs(rows, None), Store(tmp_path / "a"), seeds=[1]).run()
    said: list[str] = []
    options = {"seeds": [1, 2], "log": said.append, "reuse": [Store(tmp_path / "a")]}
    Figure7(five, run_specs(rows, None), Store(tmp_path / "b"), **options).run()
    assert sum("taken over" in text for text in said) == 2
    a, b = (Store(tmp_path / name).arrays("PureSVD-1") for name in "ab")
    np.testing.assert_array_equal(a["map@20"], b["map@20"])
    # One that is not quite the same is not.
    said.clear()
    other = run_specs(rows, None, {"PureSVD": {"num_factors": 3}})
    Figure7(five, other, Store(tmp_path / "c"), **options).run()
    assert sum("taken over" in text for text in said) == 1


# what is measured -------------------------------------------------------------------------------


def test_cosines_are_those_of_the_made_profiles() -> None:
    rng = np.random.default_rng(1)
    p = rng.normal(0.4, 1, (30, 5)).astype(np.float32)
    q = rng.normal(0.1, 1, (70, 5)).astype(np.float32)
    p[7] = 0
    made = p.astype(np.float64) @ q.T
    lengths = np.linalg.norm(made, axis=1, keepdims=True)
    made = np.divide(made, lengths, out=np.zeros_like(made), where=lengths > 0)
    cosine = made @ made.T
    found = between_users(p, q, n_drawn=10)
    assert found.mean == pytest.approx(cosine.mean(), abs=1e-12)
    assert found.deviation == pytest.approx(cosine.std(), abs=1e-12)
    np.testing.assert_allclose(found.sample, cosine[np.ix_(found.users, found.users)], atol=1e-6)


def test_the_deviation_of_profiles_that_are_nearly_one_is_not_lost_to_rounding() -> None:
    rng = np.random.default_rng(2)
    p = (1 + 1e-5 * rng.normal(size=(40, 3))).astype(np.float32)
    q = rng.normal(size=(60, 3)).astype(np.float32)
    made = p.astype(np.longdouble) @ q.T.astype(np.longdouble)
    made /= np.sqrt((made**2).sum(axis=1, keepdims=True))
    expected = float((made @ made.T).std())
    found = between_users(p, q)
    assert 0 < expected < 1e-8
    assert found.deviation == pytest.approx(expected, rel=1e-3)
    assert 1 - found.mean < 1e-8


def test_groups_of_figure_7_are_those_of_the_evaluation(splits: Path, tmp_path: Path) -> None:
    five = gf.Splits.load(splits)
    chosen = Figure7.run_specs(select(["PureSVD"]), None, ())
    found = Figure7(five, chosen, Store(tmp_path), seeds=[1]).run()
    model = gf.PureSVD(**chosen[0].params, seed=1).fit(five.train)
    frame = by_profile_length(gf.evaluate(model, five.train, five.test), five.train)
    frame = frame.filter((frame["metric"] == "map") & (frame["k"] == 20))
    assert [e.mean("map", 20) for e in found.entries] == pytest.approx(frame["value"].to_list())
    assert found.point_name(0.0) == f"{frame['low'][0]}\N{EN DASH}{frame['high'][0]} items"


def test_statistics_are_those_of_the_matrix(toy_urm) -> None:
    five = gf.split.paper_protocol(toy_urm)
    found = {key[0]: value for key, value in statistics(five).items()}
    counts = np.sort(np.asarray(five.urm.sum(axis=0)).ravel())
    assert found["interactions"] == counts.sum() == five.urm.nnz
    assert found["density"] == pytest.approx(100 * counts.sum() / (five.n_users * five.n_items))
    pairs = np.abs(counts[:, None] - counts[None, :]).mean()
    assert found["gini"] == pytest.approx(pairs / (2 * counts.mean()))


def test_marks_come_from_the_paired_t_test_of_compare(splits: Path, tmp_path: Path) -> None:
    five, rows = gf.Splits.load(splits), select(["TopPopular", "PureSVD", "ItemKNN-cosine"])
    found = Table2(five, run_specs(rows, None), Store(tmp_path), seeds=[1]).run()
    evaluations = [
        gf.evaluate(
            getattr(gf, p.variant.model)(**p.params, **s).fit(five.train), five.train, five.test
        )
        for p, s in zip(run_specs(rows, None), ({}, {"seed": 1}, {}), strict=True)
    ]
    names = [row.name for row in rows]
    best = max(found.entries, key=lambda e: e.mean("ndcg", 5)).model
    assert found.note == ""
    pairs = gf.compare(evaluations, "ndcg", 5, labels=names, baseline=best).pairs
    assert found.significance["ndcg", 5] == pytest.approx(
        dict(zip(pairs["a"], pairs["t_p_holm"], strict=True))
    )
    values = {n: e.per_user("ndcg", 5) for n, e in zip(names, evaluations, strict=True)}
    assert compare_values(values, best)["wilcoxon_p_bh"].to_list() == pytest.approx(
        pairs["wilcoxon_p_bh"].to_list()
    )
    with pytest.raises(ValueError, match="none of"):
        compare_values(values, "EASE")


def test_plans_of_figures_are_the_published_points() -> None:
    for dataset in reference.dataset_names():
        for row in select(["GANMF-u", "GANMF-i"]):
            made = Figure4.run_specs([row], dataset, Figure4.points)
            assert {spec.source for spec in made} == {"published for this point"}
            assert [spec.params["recon_coefficient"] for spec in made] == list(Figure4.points)
            (table2,) = run_specs([row], dataset)
            at = Figure6.run_specs([row], dataset, [50])[0]
            assert {**at.params, "num_factors": 0} == {**table2.params, "num_factors": 0}
            assert set(reference.latent_factors(dataset, row.name)) == set(Figure6.points)
        without, matched = Figure5.run_specs(select(["GANMF-u"]), dataset, ())
        assert without.params["recon_coefficient"] == without.point == 0
        assert matched.point == matched.params["recon_coefficient"] > 0
    assert reference.user_cosine("ml-1m")["with"] == (0.36437175, 0.19517763)
    with pytest.raises(ValueError, match="ItemKNN-cosine, which has no num_factors"):
        Figure6.run_specs(select(["ItemKNN-cosine"]), None, [5])


# verdicts ---------------------------------------------------------------------------------------


def entry(*values: float, published: float | None = 0.3, seed: int | None = 1, **more) -> Entry:
    runs = [
        Run(None if seed is None else seed + n, {("map", 5): v}, {}) for n, v in enumerate(values)
    ]
    known = {} if published is None else {("map", 5): published}
    return Entry("Model", tuple(runs), known, **more)


@pytest.mark.parametrize(
    ("values", "seed", "word", "tolerance"),
    [
        ((0.3009,), None, "within tolerance", 0.001),
        ((0.3011,), None, "better", 0.001),
        ((0.2989,), None, "worse", 0.001),
        ((0.304, 0.300, 0.296), 1, "within tolerance", 0.008),
        ((0.310, 0.309, 0.311), 1, "better", 0.002),
        ((0.2,), 1, "worse", 0.001),
    ],
)
def test_a_verdict_is_the_distance_in_tolerances(values, seed, word, tolerance) -> None:
    found = entry(*values, seed=seed).verdict("map", 5)
    assert found.word == word
    assert found.tolerance == pytest.approx(tolerance)


def test_a_verdict_names_what_is_known_of_the_reason() -> None:
    assert entry(0.3).verdict("map", 5).reason == ""
    assert entry(0.4, seed=None, known_difference="a quirk").verdict("map", 5).reason == "a quirk"
    assert "one seed here" in entry(0.4).verdict("map", 5).reason
    assert "2 seeds here" in entry(0.4, 0.401).verdict("map", 5).reason
    assert entry(0.4, published=None).verdict("map", 5) is None
    older = entry(0.4, published=None, incomparable={("map", 5): 0.1}).verdict("map", 5)
    assert (older.word, older.tolerance) == ("not comparable", None)
    assert "older NDCG" in older.reason
    cosine = ("cosine_mean", None)
    neutral = Entry("Model", (Run(None, {cosine: 0.5}, {}),), {cosine: 0.2})
    assert neutral.verdict(*cosine).word == "higher"


@pytest.mark.parametrize("seed", [None, 1])
@pytest.mark.parametrize("value", [0.3, 0.1, 0.5])
def test_figures_of_another_split_are_not_compared(value, seed) -> None:
    found = entry(value, seed=seed, another_split=True, known_difference="a quirk")
    verdict = found.verdict("map", 5)
    assert (verdict.word, verdict.tolerance) == ("another split", None)
    assert "random" not in verdict.reason
    assert found.delta("map", 5) is None
    assert found.published["map", 5] == 0.3
    assert entry(value, published=None, another_split=True).verdict("map", 5) is None
    older = entry(value, published=None, incomparable={("map", 5): 0.1}, another_split=True)
    assert older.verdict("map", 5).word == "another split"
    table = ResultTable("lastfm", False, "split here", (5,), (found,), (("map", 5),))
    [row] = table.summary()
    assert (row["published"], row["delta"], row["verdict"]) == (0.3, None, "another split")
    assert [record["delta"] for record in table.tidy()] == [None]
    page = to_markdown(table)
    assert "(0.3000)" in page
    assert " of 1 figures" not in page
    assert "nothing about whether they are reproduced" in page
    assert "({\\scriptsize" not in to_latex(table)
    assert "{\\scriptsize (0.3000)}" in to_latex(table)
    assert document.read(document.to_json(table)) == table


def grows(figures: dict[int, dict[str, float]]) -> bool:
    """By more from 5 to 50 items than a normalised NDCG does."""
    return figures[50]["ndcg"] > 1.6 * figures[5]["ndcg"]


def test_an_older_ndcg_is_never_compared() -> None:
    for dataset in reference.dataset_names():
        for row in select(None):
            older = reference.older_ndcg(dataset, row.name)
            known = reference.published(dataset, row.name) or {}
            if older:
                assert not any("ndcg" in figures for figures in known.values())
                assert older[50] > 1.6 * older[5]
            elif known:
                assert not grows(known), (dataset, row.name)
        for model in ("GANMF-u", "GANMF-i"):
            for share, (_, figures) in reference.feature_matching(dataset, model).items():
                older_point = model == "GANMF-u" and share == 1.0
                # Of next to nothing any growth is large.
                assert figures[5]["map"] < 0.01 or grows(figures) == older_point
        for model in Figure6.rows:
            assert all(map(grows, reference.latent_factors(dataset, model).values()))


# exports ----------------------------------------------------------------------------------------


@pytest.fixture
def comparison() -> ResultTable:
    return ResultTable(
        "data_1",
        simulated=False,
        splits="as given",
        cutoffs=(5,),
        entries=(
            replace(entry(0.30, 0.31), model="A"),
            replace(entry(0.35, seed=None), model="B_2", incomparable={("ndcg", 5): 0.1}),
            replace(entry(), model="C", problem="went wrong"),
        ),
        columns=(("map", 5),),
        significance={("map", 5): {"A": 0.2}},
    )


def test_summary_has_spread_and_verdict(comparison: ResultTable, tmp_path: Path) -> None:
    path = tmp_path / "summary.csv"
    path.write_text(summary_csv(comparison))
    a, b = read(path)
    assert (a["model"], a["seeds"], a["verdict"], a["p_of_best"]) == (
        "A",
        "2",
        "within tolerance",
        "0.2",
    )
    assert float(a["mean"]) == pytest.approx(0.305)
    assert float(a["deviation"]) == pytest.approx(0.01 / 2**0.5)
    assert (b["seeds"], b["deviation"], b["verdict"]) == ("1", "", "better")


def test_a_run_without_a_metric_counts_for_neither_mean_nor_deviation() -> None:
    two = entry(0.30, 0.31)
    three = replace(two, runs=(*two.runs, Run(9, {}, {})))
    assert three.mean("map", 5) == two.mean("map", 5)
    assert three.deviation("map", 5) == two.deviation("map", 5)


def test_latex_has_rules_best_bold_and_second_underlined(comparison: ResultTable) -> None:
    text = to_latex(comparison)
    assert all(f"\\{rule}rule" in text for rule in ("top", "mid", "bottom"))
    assert "\\textbf{0.3500}" in text
    assert "\\underline{0.3050 $\\pm$ 0.0071}$^{\\circ}$" in text
    assert "B\\_2" in text
    assert text.count("{") == text.count("}")


def test_markdown_says_how_many_agree_and_which_do_not(comparison: ResultTable) -> None:
    text = to_markdown(comparison)
    assert "1 of 2 figures above are within tolerance" in text
    assert "| B_2 | MAP@5 | 0.3500 | 0.3000 | better | not known |" in text
    assert "- C: went wrong" in text
    alone = replace(comparison, entries=comparison.entries[:1])
    assert "The others" not in to_markdown(alone)


def test_best_is_found_within_a_point_or_among_all(comparison: ResultTable) -> None:
    low, high = (entry(v, seed=None, point=p) for v, p in ((0.1, 0.0), (0.2, 1.0)))
    figure = replace(comparison, entries=(low, high), axis="group")
    assert [figure.rank(e, "map", 5) for e in (low, high)] == [2, 1]
    assert [replace(figure, ranked="point").rank(e, "map", 5) for e in (low, high)] == [1, 1]
    assert replace(figure, ranked="none").rank(high, "map", 5) == 0


# the command line -------------------------------------------------------------------------------


def test_quick_is_said_in_every_output_and_never_mixed(ganmf, splits: Path, tmp_path: Path) -> None:
    pytest.importorskip("vl_convert", reason="charts need vl-convert")
    command = (
        "reproduce",
        "figure6",
        "--data",
        splits,
        "--output",
        tmp_path,
        "--models",
        "WRMF,PureSVD",
    )
    done = ganmf(*command, "--quick", "--points", "2,4", "--seeds", "2")
    assert done.returncode == 0, done.stderr
    assert "quick run" in done.stdout
    for name in OUTPUTS:
        text = (tmp_path / name).read_text().lower()
        assert "quick" in text or name == "results.csv", name
    assert "quick run" in (tmp_path / "chart.svg").read_text()
    assert json.loads((tmp_path / "config.json").read_text())["quick"] is True
    rows = read(tmp_path / "results.csv")
    assert {row["num_factors"] for row in rows} == {"2.0", "4.0"}
    record = Store(tmp_path).read("WRMF@2-1337")
    assert record["config"]["quick"] is True
    assert record["params"]["epochs"] <= QUICK_EPOCHS
    full = ganmf(*command, "--points", "2,4")
    assert full.returncode == 2
    assert "quick True, not False" in full.stderr


@pytest.mark.parametrize("kind", ["png", "svg", "pdf"])
@pytest.mark.parametrize("chart", ["bars", "lines", "groups", "heatmaps"])
def test_charts_are_the_same_bytes_each_time(
    comparison: ResultTable, kind: str, chart: str
) -> None:
    drawing = pytest.importorskip(
        "ganmf_fast.results.charts.files", reason="charts need vl-convert"
    )
    points = tuple(replace(e, point=float(n)) for n, e in enumerate(comparison.entries[:2]))
    shown = replace(
        comparison,
        entries=points,
        axis="x",
        chart=chart,
        squares={0.0: np.eye(3, dtype=np.float32)},
    )
    if chart == "heatmaps":
        shown = replace(shown, columns=(("map", 5), ("map", 5)))
    first, *again = (drawing.rendered(drawing.table_figure(shown), kind) for _ in range(4))
    assert again == [first] * 3
    assert first.startswith({"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF"}[kind])
    if kind == "svg":
        links = re.findall(rb"(?:href|src|url)[=(]+[^ >]*", first)
        assert [link for link in links if b"#" not in link] == []
        assert b"var(" not in first
    assert drawing.table_figure(replace(shown, entries=())) is None


def test_a_subset_of_points_or_data_that_is_wrong_is_named(
    ganmf, splits: Path, tmp_path: Path
) -> None:
    command = ("reproduce", "figure4", "--data", splits, "--output", tmp_path)
    for more, said in (
        (("--points", "0,x"), "points must be numbers separated by commas, not '0,x'"),
        (("--points", "0,0.0"), "points holds a number twice"),
        (("--models", "EASE-R"), "models has EASE-R, which has no recon_coefficient"),
        (("--seeds", "0"), "seeds must be at least 1, not 0"),
        (("--reuse", tmp_path / "none"), "reuse must be folders of runs"),
    ):
        done = ganmf(*command, *more)
        assert done.returncode == 2, more
        assert said in done.stderr
    assert not (tmp_path / "models").exists()


def test_tables_have_the_rows_that_matter() -> None:
    names = {row.name for row in Table3.default_rows(quick=False)}
    assert {"binGANMF-u", "binGANMF-u-corrected", "binGANMF-i", "binGANMF-i-corrected"} < names
    names = {row.name for row in Table2.default_rows(quick=True)}
    assert set(STRONG) < names


def test_figure_6_has_no_points_beyond_the_matrix(splits: Path) -> None:
    five = gf.Splits.load(splits)
    assert Figure6.default_points(five, quick=False) == (10, 30, 50)


CHEAP = ("--models", "PureSVD,TopPopular", "--threads", "1")


def test_all_killed_at_random_ends_as_if_nothing_had_happened(
    start, ganmf, splits: Path, tmp_path: Path
) -> None:
    pytest.importorskip("vl_convert", reason="charts need vl-convert")
    command = ("reproduce", "all", "--data", splits, "--quick", *CHEAP, "--output")
    whole = ganmf(*command, tmp_path / "whole")
    assert whole.returncode == 0, whole.stderr
    run = tmp_path / "run"
    rng = np.random.default_rng(5)
    for _ in range(2):
        process = start(*command, run)
        deadline = time.monotonic() + 60
        while not (run / "table2" / "config.json").exists() and process.poll() is None:
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(rng.uniform(0, 0.5))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
    done = ganmf(*command, run)
    assert done.returncode == 0, done.stderr
    found, expected = outcome(run), outcome(tmp_path / "whole")
    assert sorted(found) == sorted(expected)
    assert [name for name in found if found[name] != expected[name]] == []
    assert {name.partition("/")[0] for name in found} == {
        "config.json", "table1", "table2", "figure6", "figure7",
    }  # fmt: skip
