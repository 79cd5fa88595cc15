"""Figures of the training of GANs and of the profiles that they generate."""

from collections.abc import Mapping, Sequence

import numpy as np

from ganmf_fast.report.findings import collapses
from ganmf_fast.report.run_folder import ExperimentFolder
from ganmf_fast.report.run_record import RunRecord
from ganmf_fast.results.charts.base import (
    BASELINE,
    INK,
    ONCE,
    ROW,
    SOFT,
    Spec,
    columns,
    dots,
    layer,
    looks,
    quantity,
    spec,
    tooltip,
)
from ganmf_fast.results.charts.heatmap import evenly, square
from ganmf_fast.results.charts.training import COLLAPSE, CURVES, CurvePoint, curve


def alarms(experiments: Sequence[ExperimentFolder]) -> list[tuple[str, Spec]]:
    """Mean cosine between generated profiles at the end of training: a figure for each data set."""
    found: dict[str, dict[str, float]] = {}
    for experiment in experiments:
        ends = found.setdefault(experiment.comparison.label, {})
        for name, cosine in collapses(experiment).items():
            ends[name] = max(cosine, ends.get(name, cosine))
    return [(label, _alarm(label, ends)) for label, ends in found.items() if ends]


def _alarm(label: str, ends: Mapping[str, float]) -> Spec:
    rows = [
        (name, cosine, "collapsed" if cosine >= COLLAPSE else "varied", f"{cosine:.4f}")
        for name, cosine in ends.items()
    ]
    words = ["varied", "collapsed"]
    y = {"field": "model", "title": None, "sort": None, "axis": {"grid": True}}
    x = quantity(
        "cosine",
        title="mean cosine between generated profiles",
        scale={"domainMin": 0, "domainMax": 1},
    )
    return spec(
        f"Mean cosine between generated profiles at the end of training on {label}, by model.",
        columns(("model", "cosine", "state", "shown"), rows),
        height=ROW * len({row[0] for row in rows}),
        layer=[
            layer({"type": "rule", "color": SOFT, "opacity": 0.5}, y=y, x=x, x2={"datum": 0}),
            layer(
                {"type": "rule", "color": INK, "strokeDash": [4, 3]},
                data=ONCE,
                x={"datum": COLLAPSE, "type": "quantitative"},
            ),
            layer(
                dots(80),
                y=y,
                x=x,
                color=looks("state", words, [BASELINE, "var(--worse)"]),
                shape=looks("state", words, ["circle", "triangle-up"]),
                tooltip=tooltip(("model", "Model"), ("shown", "Mean cosine"), ("state", "State")),
            ),
        ],
    )


def training(records: Sequence[RunRecord], most: int) -> list[tuple[str, Spec]]:
    """Curves of the training runs of a model: a title and a figure for each quantity that there is.

    Parameters
    ----------
    records : sequence of RunRecord
        All of a table, or all at points of figures.
    most : int
        Points that a line is thinned out to.
    """
    made = []
    for name, title in CURVES:
        rows: list[CurvePoint] = []
        for record in records:
            for history in record.histories:
                values = history.columns.get(name)
                if values is None:
                    continue
                there = np.flatnonzero(~np.isnan(values))
                epochs = history.columns["epoch"]
                rows += [
                    CurvePoint(
                        int(epochs[at]),
                        float(f"{values[at]:.4g}"),
                        history.stage,
                        "-" if record.seed is None else str(record.seed),
                        record.point,
                    )
                    for at in there[evenly(len(there), most)]
                    if not np.isnan(epochs[at])
                ]
        if rows:
            made.append((title, curve(name, title, rows)))
    return made


def heatmaps(experiment: ExperimentFolder) -> list[tuple[str, Spec]]:
    """Cosines between the profiles generated for some users: title and figure of each point."""
    made: dict[str, Spec] = {}
    for record in experiment.records:
        if record.cosine is not None:
            title = experiment.comparison.name_of(record.row, record.point)
            made.setdefault(title, square(title, record.cosine))
    return list(made.items())
