"""Figures of the page, as Vega-Lite specifications with their data.

Data stand in columns, ``{"columns": {name: list}}``, which the page makes records of: half as long
as records. A colour is the name of one of the page's, such as ``"var(--gan)"``, so that figures
follow the light and the dark scheme. What a colour says, a shape or a dash says too.
"""

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.report.comparison import Comparison, Entry, Key, heading, signed
from ganmf_fast.report.html.families import is_gan
from ganmf_fast.report.html.findings import COLLAPSE, collapses, named
from ganmf_fast.report.html.reading import Cell, Experiment

__all__ = [
    "BASELINE",
    "GAN",
    "INK",
    "SOFT",
    "Spec",
    "alarms",
    "columns",
    "cost",
    "differences",
    "heatmaps",
    "points",
    "quality",
    "spec",
    "tooltip",
    "training",
]

Spec = dict[str, Any]

GAN, BASELINE, INK, SOFT = "var(--gan)", "var(--baseline)", "var(--ink)", "var(--soft)"
_KINDS = ["baseline", "GAN"]
_COLOUR = {"domain": _KINDS, "range": [BASELINE, GAN]}
_SHAPE = {"domain": _KINDS, "range": ["circle", "diamond"]}
_AS_WIDE_AS_THE_PAGE: Spec = {
    "width": "container",
    "autosize": {"type": "fit-x", "contains": "padding"},
}
# For marks that stand for themselves.
_ONCE: Spec = {"values": [{}]}
_ROW = 23
_COST_WIDTH, _COST_HEIGHT = 250, 300
_COSINE_SIDE = 48
_SQUARE = 6 * _COSINE_SIDE


def _kind(model: str) -> str:
    return _KINDS[is_gan(model)]


def spec(description: str, data: dict[str, list[Any]], **rest: Any) -> Spec:
    """A specification, as wide as the page unless it says how wide."""
    return {
        "description": description,
        "data": {"columns": data},
        **(rest if "width" in rest else {**_AS_WIDE_AS_THE_PAGE, **rest}),
    }


def columns(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> dict[str, list[Any]]:
    """Rows as columns."""
    return {name: [_short(row[at]) for row in rows] for at, name in enumerate(names)}


def _short(value: Any) -> Any:
    """Six digits are more than a figure shows."""
    return float(f"{value:.6g}") if isinstance(value, float) else value


def _choice(keys: Sequence[Key]) -> list[Spec]:
    """A list to choose the metric from, where there are several."""
    names = [heading(key) for key in keys]
    bind = {"input": "select", "options": names, "name": "Metric "}
    return [{"name": "metric", "value": names[0], **({"bind": bind} if len(names) > 1 else {})}]


_CHOSEN = [{"filter": "datum.metric === metric"}]


def tooltip(*fields: tuple[str, str]) -> list[Spec]:
    """What is shown of a mark that is pointed at: fields with their titles."""
    return [{"field": field, "type": "nominal", "title": title} for field, title in fields]


# models side by side ---------------------------------------------------------------------------


def quality(comparison: Comparison) -> Spec:
    """A bar for each model, best first, with the spread over seeds and the published value."""
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            mean = entry.mean(*key)
            if mean is None:
                continue
            spread = entry.deviation(*key) or 0.0
            theirs = entry.published.get(key)
            end = mean + spread
            # The value stands behind the published one where that would run through it.
            if theirs is not None and end < theirs < 1.12 * end:
                end = theirs
            rows.append(
                (
                    heading(key), entry.model, _kind(entry.model), mean, mean - spread,
                    mean + spread, theirs, end, _value(entry, key), _published(entry, key),
                )
            )  # fmt: skip
    names = (
        "metric", "model", "kind", "mean", "low", "high", "published", "end", "ours", "theirs",
    )  # fmt: skip
    y = {
        "field": "model",
        "type": "nominal",
        "title": None,
        "sort": {"field": "mean", "op": "max", "order": "descending"},
        "axis": {"grid": False},
    }
    tips = tooltip(
        ("model", "Model"), ("metric", "Metric"), ("ours", "Here"), ("theirs", "Published")
    )
    published = [
        {
            "mark": {"type": "tick", "color": INK, "thickness": 2, "size": 18},
            "encoding": {"x": {"field": "published", "type": "quantitative"}},
        }
    ]
    return spec(
        f"Bars of each model on {comparison.label}, best first; the table below holds the values.",
        columns(names, rows),
        height=_ROW * len({row[1] for row in rows}),
        params=_choice(comparison.columns),
        transform=_CHOSEN,
        encoding={"y": y, "tooltip": tips},
        layer=[
            {
                "mark": {"type": "bar", "height": 11, "opacity": 0.55},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative", "title": None},
                    "color": {"field": "kind", "scale": _COLOUR, "legend": None},
                },
            },
            {
                "mark": {"type": "rule", "color": INK},
                "encoding": {
                    "x": {"field": "low", "type": "quantitative"},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 70, "opacity": 1},
                "encoding": {
                    "x": {"field": "mean", "type": "quantitative"},
                    "color": {"field": "kind", "scale": _COLOUR, "title": None},
                    "shape": {"field": "kind", "scale": _SHAPE, "title": None},
                },
            },
            *(published if comparison.any_published else []),
            {
                "mark": {"type": "text", "align": "left", "dx": 9, "color": SOFT},
                "encoding": {
                    "x": {"field": "end", "type": "quantitative"},
                    "text": {"field": "mean", "type": "quantitative", "format": ".4f"},
                },
            },
        ],
    )


def _value(entry: Entry, key: Key) -> str:
    mean, deviation = entry.mean(*key), entry.deviation(*key)
    if mean is None:
        return "\N{EM DASH}"
    seeds = f" ± {deviation:.4f} over {len(entry.runs)} seeds" if deviation is not None else ""
    return f"{mean:.4f}{seeds}"


def _published(entry: Entry, key: Key) -> str:
    published, delta = entry.published.get(key), entry.delta(*key)
    if published is None:
        return "nothing"
    return f"{published:.4f}" + ("" if delta is None else f" (difference {signed(delta)})")


def differences(comparison: Comparison) -> Spec | None:
    """Differences from the published figures, or None if there are none."""
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            delta, verdict = entry.delta(*key), entry.verdict(*key)
            if delta is None or verdict is None:
                continue
            spread = 2 * (entry.deviation(*key) or 0.0)
            name = named(comparison, entry.model, entry.point)
            reason = verdict.reason or "-"
            rows.append(
                (
                    heading(key), name, verdict.word, delta, delta - spread, delta + spread,
                    signed(delta), _value(entry, key), _published(entry, key), reason,
                )
            )  # fmt: skip
    if not rows:
        return None
    words = ["within tolerance", "better", "worse", "higher", "lower"]
    found = [word for word in words if any(row[2] == word for row in rows)]
    shapes = ["circle", *["triangle-up", "triangle-down"] * 2]
    tones = [SOFT, *["var(--better)", "var(--worse)"] * 2]
    places = [words.index(word) for word in found]
    keys = [key for key in comparison.columns if any(row[0] == heading(key) for row in rows)]
    names = ("metric", "model", "verdict", "delta", "low", "high", "shown", "ours", "theirs", "why")
    y = {"field": "model", "type": "nominal", "title": None, "sort": None, "axis": {"grid": True}}
    return spec(
        f"Differences from the published figures on {comparison.label}.",
        columns(names, rows),
        height=_ROW * len({row[1] for row in rows}),
        params=_choice(keys),
        transform=_CHOSEN,
        layer=[
            {
                "data": _ONCE,
                "mark": {"type": "rect", "color": SOFT, "opacity": 0.16},
                "encoding": {
                    "x": {"datum": -1e-3, "type": "quantitative"},
                    "x2": {"datum": 1e-3},
                },
            },
            {
                "data": _ONCE,
                "mark": {"type": "rule", "color": INK, "opacity": 0.6},
                "encoding": {"x": {"datum": 0, "type": "quantitative"}},
            },
            {
                "mark": {"type": "rule", "color": SOFT},
                "encoding": {
                    "y": y,
                    "x": {"field": "low", "type": "quantitative", "title": None},
                    "x2": {"field": "high"},
                },
            },
            {
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                "encoding": {
                    "y": y,
                    "tooltip": tooltip(
                        ("model", "Model"), ("shown", "Difference"), ("ours", "Here"),
                        ("theirs", "Published"), ("verdict", "Verdict"), ("why", "Reason"),
                    ),
                    "x": {"field": "delta", "type": "quantitative", "axis": {"format": "+.3f"}},
                    "color": {
                        "field": "verdict",
                        "title": None,
                        "scale": {"domain": found, "range": [tones[at] for at in places]},
                    },
                    "shape": {
                        "field": "verdict",
                        "title": None,
                        "scale": {"domain": found, "range": [shapes[at] for at in places]},
                    },
                },
            },
        ],
    )  # fmt: skip


def cost(comparison: Comparison, measure: str, unit: str) -> Spec | None:
    """Quality against a cost on a logarithmic axis; models that none beats in both are named."""
    key = comparison.columns[0]
    rows: list[tuple[str, str, float, float, str, str]] = []
    for entry in comparison.entries:
        mean = entry.mean(*key)
        taken = [run.cost[measure] for run in entry.runs if run.cost.get(measure, 0.0) > 0]
        if mean is not None and taken:
            mine = max(sum(taken) / len(taken), 1e-3)
            shown = f"{mine:,.2f} {unit}"
            rows.append((entry.model, _kind(entry.model), mean, mine, shown, _value(entry, key)))
    if len(rows) < 2:
        return None
    ticks, domain = _log_axis([row[3] for row in rows])
    labels = _labels(rows, domain)
    means = [row[2] for row in rows]
    room = 0.06 * (max(means) - min(means)) or 0.01
    names = ("model", "kind", "mean", "cost", "shown", "ours", "label")
    x = {
        "field": "cost",
        "type": "quantitative",
        "title": unit,
        "scale": {"type": "log", "domain": domain, "nice": False},
        "axis": {"values": ticks, "format": ","},
    }
    y = {
        "field": "mean",
        "type": "quantitative",
        "title": None,
        "scale": {"domain": [min(means) - room, max(means) + room], "nice": False},
    }
    return spec(
        f"{heading(key)} against {measure} on {comparison.label}.",
        columns(names, [(*row, label) for row, label in zip(rows, labels, strict=True)]),
        height=_COST_HEIGHT,
        encoding={
            "tooltip": tooltip(("model", "Model"), ("ours", heading(key)), ("shown", "Cost"))
        },
        layer=[
            {
                "mark": {"type": "point", "filled": True, "size": 85, "opacity": 0.9},
                "encoding": {
                    "x": x,
                    "y": y,
                    "color": {"field": "kind", "scale": _COLOUR, "title": None},
                    "shape": {"field": "kind", "scale": _SHAPE, "title": None},
                },
            },
            *(
                {
                    "transform": [{"filter": f"{left}(datum.cost > {_middle(domain)})"}],
                    "mark": {"type": "text", "align": align, "dx": dx, "color": INK},
                    "encoding": {"x": x, "y": y, "text": {"field": "label", "type": "nominal"}},
                }
                for left, align, dx in (("!", "left", 8), ("", "right", -8))
            ),
        ],
    )


def _middle(domain: Sequence[float]) -> float:
    """Names of what is to the right of it stand left of their marks, so that they stay inside."""
    return math.sqrt(domain[0] * domain[1])


def _log_axis(values: Sequence[float]) -> tuple[list[float], list[float]]:
    """Ticks at powers of ten, and at twice and five times them on a short axis; and the domain."""
    low, high = min(values) / 1.5, max(values) * 1.5
    decades = range(int(np.floor(np.log10(low))), int(np.ceil(np.log10(high))) + 1)
    ratio = high / low
    steps = (1,) if ratio > 300 else (1, 2, 5) if ratio > 10 else (1, 1.5, 2, 3, 5, 7)
    ticks = [float(f"{step}e{decade}") for decade in decades for step in steps]
    return [tick for tick in ticks if low <= tick <= high], [low, high]


def _labels(
    rows: Sequence[tuple[str, str, float, float, str, str]], domain: Sequence[float]
) -> list[str]:
    """Names of the models that none beats in both, and of the best GAN, where there is room."""
    gans = [row for row in rows if row[1] == "GAN"]
    first = max(gans, key=lambda row: row[2], default=None)
    front = [
        row
        for row in rows
        if not any(o[2] >= row[2] and o[3] <= row[3] and o[2:4] != row[2:4] for o in rows)
    ]
    wanted = [*([first] if first else []), *sorted(front, key=lambda row: -row[2])]
    means = [row[2] for row in rows]
    tall = max(means) - min(means) or 1.0
    wide = np.log(domain[1] / domain[0])
    placed: dict[str, tuple[float, float, float]] = {}
    for row in wanted:
        # In pixels of the narrowest figure, so that names are apart on a phone, too.
        at = _COST_WIDTH * np.log(row[3] / domain[0]) / wide
        long = 7 * len(row[0]) + 12
        left = at if row[3] <= _middle(domain) else at - long
        y = (_COST_HEIGHT - 40) * (row[2] - min(means)) / tall
        if all(abs(y - v) > 14 or left > b or left + long < a for a, b, v in placed.values()):
            placed[row[0]] = (left, left + long, y)
    return [row[0] if row[0] in placed else "" for row in rows]


# training --------------------------------------------------------------------------------------


def alarms(experiments: Sequence[Experiment]) -> list[tuple[str, Spec]]:
    """Mean cosine between made profiles at the end of training: a figure for each data set."""
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
    y = {"field": "model", "type": "nominal", "title": None, "sort": None, "axis": {"grid": True}}
    return spec(
        f"Mean cosine between made profiles at the end of training on {label}, by model.",
        columns(("model", "cosine", "state", "shown"), rows),
        height=_ROW * len({row[0] for row in rows}),
        layer=[
            {
                "mark": {"type": "rule", "color": SOFT, "opacity": 0.5},
                "encoding": {
                    "y": y,
                    "x": {"field": "cosine", "type": "quantitative"},
                    "x2": {"datum": 0},
                },
            },
            {
                "data": _ONCE,
                "mark": {"type": "rule", "color": INK, "strokeDash": [4, 3]},
                "encoding": {"x": {"datum": COLLAPSE, "type": "quantitative"}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 80, "opacity": 1},
                "encoding": {
                    "y": y,
                    "x": {
                        "field": "cosine",
                        "type": "quantitative",
                        "title": "mean cosine between made profiles",
                        "scale": {"domainMin": 0, "domainMax": 1},
                    },
                    "color": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": words, "range": [BASELINE, "var(--worse)"]},
                    },
                    "shape": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": words, "range": ["circle", "triangle-up"]},
                    },
                    "tooltip": tooltip(
                        ("model", "Model"), ("shown", "Mean cosine"), ("state", "State")
                    ),
                },
            },
        ],
    )


CURVES = (
    ("d_loss", "Discriminator loss"),
    ("g_loss", "Generator loss"),
    ("validation", "MAP@5 on validation"),
    ("made_cosine", "Mean cosine between made profiles"),
)
_STAGES = ("search", "final")


def training(cells: Sequence[Cell], most: int) -> list[tuple[str, Spec]]:
    """Curves of the training runs of a model: a title and a figure for each quantity that there is.

    Parameters
    ----------
    cells : sequence of Cell
        All of a table, or all at points of figures.
    most : int
        Points that a line is thinned out to.
    """
    made = []
    for name, title in CURVES:
        rows: list[_Point] = []
        for cell in cells:
            for history in cell.histories:
                values = history.columns.get(name)
                if values is None:
                    continue
                there = np.flatnonzero(~np.isnan(values))
                epochs = history.columns["epoch"]
                rows += [
                    _Point(
                        int(epochs[at]),
                        float(f"{values[at]:.4g}"),
                        history.stage,
                        "-" if cell.seed is None else str(cell.seed),
                        cell.point,
                    )
                    for at in there[_spread(len(there), most)]
                    if not np.isnan(epochs[at])
                ]
        if rows:
            made.append((title, _curve(name, title, rows)))
    return made


class _Point(NamedTuple):
    """One epoch of a curve."""

    epoch: int
    value: float
    stage: str
    seed: str
    point: float | str | None
    """Of a figure; None in a table."""


def _spread(n: int, most: int) -> NDArray[np.int64]:
    """At most `most` of n places, evenly spread, the first and the last among them."""
    return (
        np.unique(np.linspace(0, n - 1, min(n, most)).round().astype(np.int64))
        if n
        else np.empty(0, np.int64)
    )


def _curve(name: str, title: str, rows: Sequence[_Point]) -> Spec:
    stages = [stage for stage in _STAGES if any(row.stage == stage for row in rows)]
    dashes = {"final": [1, 0], "search": [5, 3]}
    places = sorted({row.point for row in rows if row.point is not None})
    # What a colour means: the stage in a table, the point where there are several.
    if places:
        parts, coloured = ["epoch", "value", "stage", "seed", "point"], "point"
        means = [f"{place:g}" for place in places]
        rows = [row._replace(point=f"{row.point:g}") for row in rows]
        tones = [f"var(--series-{at % 8})" for at in range(len(places))]
    else:
        parts, coloured, means = ["epoch", "value", "stage", "seed"], "stage", stages
        tones = [{"final": GAN, "search": BASELINE}[stage] for stage in stages]
    values = [row.value for row in rows]
    # Losses that fall by orders of magnitude are a line at the bottom on a linear axis.
    log = name.endswith("loss") and min(values) > 0 and max(values) > 50 * min(values)
    scale: Spec = {"type": "log"} if log else {"zero": name == "validation"}
    axis = {"values": _decades(min(values), max(values)), "format": "~g"} if log else {}
    alarm = [
        {
            "data": _ONCE,
            "mark": {"type": "rule", "color": INK, "strokeDash": [2, 3]},
            "encoding": {"y": {"datum": COLLAPSE, "type": "quantitative"}},
        }
    ]
    if name == "made_cosine":
        low = min(values)
        scale = {"domainMax": 1, "domainMin": 0 if low > -0.05 else low}
    encoding: Spec = {
        "x": {
            "field": "epoch",
            "type": "quantitative",
            "title": "epoch",
            "axis": {"tickMinStep": 1},
            "scale": {"nice": False},
        },
        "y": {
            "field": "value",
            "type": "quantitative",
            "title": None,
            "scale": scale,
            "axis": axis,
        },
        "color": {
            "field": coloured,
            "type": "nominal",
            "title": None,
            "scale": {"domain": means, "range": tones},
            "legend": {} if len(means) > 1 else None,
        },
        "strokeDash": {
            "field": "stage",
            "title": None,
            "scale": {"domain": stages, "range": [dashes[stage] for stage in stages]},
            "legend": {} if len(stages) > 1 else None,
        },
        "detail": {"field": "seed"},
    }
    hover = {
        "name": "hover",
        "select": {
            "type": "point",
            "on": "pointerover",
            "nearest": True,
            "clear": "pointerout",
            "fields": ["epoch", *parts[2:]],
        },
    }
    shown = {"condition": {"param": "hover", "empty": False, "value": 1}, "value": 0}
    # Lines are told apart without their colours by the point at their ends.
    ends = [
        {
            "mark": {"type": "text", "align": "right", "dy": -7},
            "encoding": {
                "x": {**encoding["x"], "aggregate": "max"},
                "y": {**encoding["y"], "aggregate": {"argmax": "epoch"}},
                "color": encoding["color"],
                "text": {"field": "point", "type": "nominal"},
                "detail": [{"field": "stage"}, {"field": "seed"}],
            },
        }
    ]
    return spec(
        f"{title} by epoch.",
        columns(parts, rows),
        height=170,
        layer=[
            *(alarm if name == "made_cosine" else []),
            {
                "mark": {"type": "line", "strokeWidth": 1.6, "point": name == "validation"},
                "encoding": encoding,
            },
            {
                "params": [hover],
                "mark": {
                    "type": "point",
                    "filled": True,
                    "size": 60,
                    "color": INK,
                    # All columns: with `nearest`, Vega-Lite 6 finds no text of a chosen one.
                    "tooltip": {"content": "data"},
                },
                "encoding": {"x": encoding["x"], "y": encoding["y"], "opacity": shown},
            },
            *(ends if places else []),
        ],
    )


def _decades(low: float, high: float) -> list[float]:
    """Powers of ten between two numbers, at most six of them."""
    powers = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    return [10.0**power for power in powers][:: math.ceil(len(powers) / 6)]


# figures of the paper ---------------------------------------------------------------------------


def points(comparison: Comparison) -> Spec:
    """A line for each model over the points of a figure; published values dashed."""
    named = bool(comparison.point_names)
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            mean, theirs = entry.mean(*key), entry.published.get(key)
            if entry.point is None:
                continue
            at = comparison.point_name(entry.point) if named else entry.point
            for value, source in ((mean, "here"), (theirs, "published")):
                if value is not None:
                    rows.append(
                        (
                            heading(key), entry.model, at, entry.point, value, source,
                            _value(entry, key), _published(entry, key),
                        )
                    )  # fmt: skip
    models = comparison.models
    series = [f"var(--series-{at % 8})" for at in range(len(models))]
    shape = {"field": "model", "title": None, "scale": {"domain": models}}
    names = ("metric", "model", "at", "order", "value", "source", "ours", "theirs")
    sources = [s for s in ("here", "published") if any(row[5] == s for row in rows)]
    dash = {
        "field": "source",
        "title": None,
        "scale": {"domain": sources, "range": [[1, 0], [4, 3]][: len(sources)]},
        "legend": {} if len(sources) > 1 else None,
    }
    x: Spec = {
        "field": "at",
        "type": "ordinal" if named else "quantitative",
        "title": comparison.axis,
    }
    if named:
        x |= {
            "sort": {"field": "order"},
            "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, ' ')"},
            "scale": {"padding": 0.3},
        }
    return spec(
        f"{comparison.title} on {comparison.label}: a line for each model.",
        columns(names, rows),
        height=300,
        params=_choice(comparison.columns),
        transform=_CHOSEN,
        encoding={
            "x": x,
            "y": {
                "field": "value",
                "type": "quantitative",
                "title": None,
                "scale": {"zero": False},
            },
            "color": {
                "field": "model",
                "title": None,
                "scale": {"domain": models, "range": series},
            },
            "tooltip": tooltip(
                ("model", "Model"), ("at", comparison.axis), ("metric", "Metric"), ("ours", "Here"),
                ("theirs", "Published"),
            ),
        },
        layer=[
            {"mark": {"type": "line", "strokeWidth": 1.8}, "encoding": {"strokeDash": dash}},
            {
                "mark": {"type": "point", "filled": True, "size": 75, "opacity": 1},
                "encoding": {"shape": shape},
            },
        ],
    )  # fmt: skip


def heatmaps(experiment: Experiment) -> list[tuple[str, Spec]]:
    """Cosines between the profiles made for some users: a title and a figure for each point."""
    made: dict[str, Spec] = {}
    for cell in experiment.cells:
        if cell.cosine is not None:
            title = named(experiment.comparison, cell.row, cell.point)
            made.setdefault(title, _square(title, cell.cosine))
    return list(made.items())


def _square(title: str, cosine: NDArray[np.float32]) -> Spec:
    some = _spread(len(cosine), _COSINE_SIDE)
    square = cosine[np.ix_(some, some)]
    a, b = np.divmod(np.arange(square.size), len(square))
    low = min(0.0, float(square.min()))
    # Whole pixels, so that no seams show.
    tight = {"padding": 0, "round": True}
    return spec(
        f"{title}: cosines between made profiles.",
        {"a": a.tolist(), "b": b.tolist(), "cosine": [round(float(v), 3) for v in square.ravel()]},
        # A square, where others are as wide as the page.
        width=_SQUARE,
        height=_SQUARE,
        mark={"type": "rect"},
        encoding={
            "x": {"field": "a", "type": "ordinal", "axis": None, "scale": tight},
            "y": {"field": "b", "type": "ordinal", "axis": None, "scale": tight},
            "color": {
                "field": "cosine",
                "type": "quantitative",
                "title": "cosine",
                "scale": {
                    "domain": [low, 1],
                    "range": ["var(--ground)", "var(--gan)"],
                    "interpolate": "rgb",
                },
                "legend": {
                    "type": "symbol",
                    "format": ".2f",
                    "symbolType": "square",
                    "values": [0, 0.25, 0.5, 0.75, 1],
                    "symbolStrokeColor": SOFT,
                    "symbolStrokeWidth": 1,
                },
            },
            "tooltip": [
                {"field": "a", "type": "ordinal", "title": "User"},
                {"field": "b", "type": "ordinal", "title": "and user"},
                {"field": "cosine", "type": "quantitative", "title": "Cosine", "format": ".3f"},
            ],
        },
    )
