"""Figures of `gf.plot` hold the numbers they are made from, show themselves and are saved."""

import html
import json
import re
import sys

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import DataError
from ganmf_fast.results.result_table import Entry, ResultTable, Run

pytest.importorskip("vl_convert", reason="figures need vl-convert")

HISTORY = [
    {"epoch": n, "d_loss": 1 / n, "g_loss": 0.5, "generated_cosine": 0.9 + n / 100}
    | ({"validation": n / 50} if n % 2 == 0 else {})
    for n in range(1, 7)
]


def values(figure: gf.plot.Figure, panel: int = 0) -> list[dict]:
    return figure.specification["concat"][panel]["data"]["values"]


def texts(figure: gf.plot.Figure) -> str:
    """What a reader sees."""
    svg = figure._repr_mimebundle_()["image/svg+xml"]
    return html.unescape(re.sub(r"<[^>]*>", " ", svg))


@pytest.fixture
def evaluations(toy_urm) -> list:
    split = gf.split.holdout(toy_urm, 0.3, seed=0)
    models = [gf.TopPopular(), gf.ItemKNN(topk=10)]
    return [
        gf.evaluate(m.fit(split.train), split.train, split.test, cutoffs=(1, 5, 10)) for m in models
    ]


def test_a_training_has_a_panel_for_each_quantity_of_its_history():
    figure = gf.plot.training(HISTORY)
    assert len(figure.specification["concat"]) == 4
    assert [row["value"] for row in values(figure)] == [float(f"{1 / n:.6g}") for n in range(1, 7)]
    assert [row["epoch"] for row in values(figure, 2)] == [2, 4, 6]
    assert "Discriminator loss" in texts(figure)
    assert len(gf.plot.training(HISTORY[:1]).specification["concat"]) == 3


def test_the_epoch_whose_weights_were_kept_is_marked(toy_urm, toy_held_out):
    model = gf.WRMF(num_factors=4, epochs=6, freq=1).fit(toy_urm, validation=toy_held_out)
    [panel] = gf.plot.training(model).specification["concat"]
    assert {"datum": model.best_epoch_, "type": "quantitative"} in [
        marks["encoding"].get("x") for marks in panel["layer"]
    ]
    assert len(panel["data"]["values"]) == len(model.history_)


def test_a_comparison_shows_means_and_intervals(evaluations):
    compared = gf.compare(evaluations, metric="recall", k=10)
    for figure in (
        gf.plot.comparison(compared),
        gf.plot.comparison(evaluations, metric="recall", k=10),
    ):
        found = {row["model"]: (row["mean"], row["low"], row["high"]) for row in values(figure)}
        for row in compared.models.iter_rows(named=True):
            expected = [row["mean"], row["low"], row["high"]]
            np.testing.assert_allclose(found[row["model"]], expected, 1e-5)
        assert "RECALL@10" in texts(figure)


def test_a_table_of_an_experiment_has_its_own_chart():
    runs = (Run(None, {("map", 5): 0.25}, {}),)
    table = ResultTable("toy", False, "ours", (5,), (Entry("EASE", runs),), (("map", 5),))
    with pytest.raises(ValueError, match="has no chart"):
        gf.plot.comparison(table)
    drawn = gf.plot.comparison(ResultTable(**{**vars(table), "chart": "bars"}))
    assert "0.2500" in texts(drawn)


def test_a_legend_names_the_kinds_of_models_that_there_are():
    def legend(*models: str) -> set[str]:
        entries = tuple(Entry(name, (Run(None, {("map", 5): 0.25}, {}),)) for name in models)
        table = ResultTable("toy", False, "ours", (5,), entries, (("map", 5),), chart="bars")
        return {"GAN", "baseline"} & set(texts(gf.plot.comparison(table)).split())

    assert legend("EASE", "APR") == {"baseline"}
    assert legend("GANMF-u") == {"GAN"}
    assert legend("EASE", "GANMF-u") == {"baseline", "GAN"}


def test_a_metric_is_drawn_at_every_cutoff(evaluations):
    figure = gf.plot.metric_against_k(evaluations, "map")
    for one in evaluations:
        for k in one.cutoffs:
            [row] = [r for r in values(figure) if (r["model"], r["k"]) == (one.label, k)]
            assert row["value"] == pytest.approx(one["map", k], rel=1e-5)


def test_a_search_is_drawn_from_its_result_and_from_its_journal_alike(toy_urm, tmp_path):
    split, journal = gf.split.holdout(toy_urm, 0.3), tmp_path / "run" / "journal.jsonl"
    found = gf.tune("ItemKNN", split, n_calls=3, n_initial=2, backend="random", journal=journal)
    for kind in ("convergence", "parallel_coordinates"):
        drawn = gf.plot.study(found, kind)
        assert values(drawn) == values(gf.plot.study(journal.parent, kind))
    assert f"{found.best_value:.4f}" in {row["shown"] for row in values(gf.plot.study(journal))}


@pytest.mark.parametrize("kind", ["png", "svg", "pdf", "json"])
def test_a_figure_is_saved_as_the_ending_says(kind, tmp_path):
    figure, path = gf.plot.training(HISTORY), tmp_path / f"figure.{kind}"
    figure.save(path)
    begins = {"png": b"\x89PNG", "svg": b"<svg", "pdf": b"%PDF", "json": b"{"}[kind]
    assert path.read_bytes().startswith(begins)
    if kind == "json":
        assert json.loads(path.read_text()) == figure.specification


def test_names_in_a_figure_are_text(evaluations):
    hostile = "<script>alert(1)</script>\x1b&"
    figure = gf.plot.comparison(gf.compare(evaluations, labels=[hostile, "other"]))
    svg = figure._repr_mimebundle_()["image/svg+xml"]
    assert "<script" not in svg
    assert "\x1b" not in svg
    assert r"<script>alert(1)</script>\x1b&" in texts(figure)


SLIPS = {
    "model must be fitted in epochs": lambda evs: gf.plot.training(gf.TopPopular()),
    "holds nothing to draw: fit with validation=": lambda evs: gf.plot.training([{"epoch": 1}]),
    "evaluations holds 1, but at least two": lambda evs: gf.plot.comparison(evs[:1]),
    "evaluations is empty": lambda evs: gf.plot.metric_against_k([]),
    "must hold evaluations, not int": lambda evs: gf.plot.metric_against_k([3]),
    "result must be that of gf.tune": lambda evs: gf.plot.study(3),
    "path must end in .png": lambda evs: gf.plot.training(HISTORY).save("figure.gif"),
}


@pytest.mark.parametrize("said", SLIPS)
def test_slips_are_answered_with_the_way_out(said, evaluations):
    with pytest.raises((TypeError, ValueError), match=said.replace(".", r"\.")):
        SLIPS[said](evaluations)


def test_without_vl_convert_a_figure_names_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "ganmf_fast.results.charts.files", None)
    with pytest.raises(ImportError, match=r"ganmf-fast\[plots\]"):
        gf.plot.training(HISTORY)


def test_what_is_no_journal_is_named(tmp_path):
    path = tmp_path / "other.text"
    path.write_text("print()", encoding="utf-8")
    with pytest.raises(DataError, match=r"other\.text: it is no journal"):
        gf.plot.study(path)
