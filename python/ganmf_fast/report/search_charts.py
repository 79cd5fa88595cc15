"""Figures of a search of hyper-parameters, as :mod:`~ganmf_fast.report.charts` has others."""

from typing import Any

from ganmf_fast.report.charts import BASELINE, GAN, INK, SOFT, Spec, columns, spec, tooltip
from ganmf_fast.report.searches import Search, best_so_far, dependence
from ganmf_fast.tuning.spaces import Choice

__all__ = ["convergence", "dependences", "parallel"]

_STATES = ("done", "pruned", "failed")


def convergence(search: Search) -> Spec | None:
    """The value of each trial in the order of asking, and the best so far."""
    done = search.done
    if not done:
        return None
    values = [trial.value or 0.0 for trial in done]
    floor = min(values)
    best = dict(zip((trial.number for trial in done), best_so_far(done), strict=True))
    rows = [
        (
            trial.number,
            floor if trial.value is None else trial.value,
            best.get(trial.number),
            trial.status if trial.status in _STATES else "failed",
            "none" if trial.value is None else f"{trial.value:.4f}",
            _params(search, trial.params),
        )
        for trial in search.trials
    ]
    states = [state for state in _STATES if any(row[3] == state for row in rows)]
    x = {"field": "trial", "type": "quantitative", "title": "trial", "axis": {"tickMinStep": 1}}
    y = {"type": "quantitative", "title": None, "scale": {"zero": False}}
    tones = dict(zip(_STATES, (BASELINE, SOFT, "var(--worse)"), strict=True))
    shapes = dict(zip(_STATES, ("circle", "triangle-down", "cross"), strict=True))
    return spec(
        f"Trials of the search of {search.label}, and the best so far.",
        columns(("trial", "value", "best", "state", "shown", "params"), rows),
        height=240,
        layer=[
            {
                "transform": [{"filter": "isValid(datum.best)"}],
                "mark": {
                    "type": "line", "interpolate": "step-after", "color": GAN, "strokeWidth": 1.8,
                },
                "encoding": {"x": x, "y": {"field": "best", **y}},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 55, "opacity": 0.9},
                "encoding": {
                    "x": x,
                    "y": {"field": "value", **y},
                    "color": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": states, "range": [tones[state] for state in states]},
                    },
                    "shape": {
                        "field": "state",
                        "title": None,
                        "scale": {"domain": states, "range": [shapes[state] for state in states]},
                    },
                    "tooltip": tooltip(
                        ("trial", "Trial"), ("shown", search.metric), ("state", "State"),
                        ("params", "Parameters"),
                    ),
                },
            },
        ],
    )  # fmt: skip


def _params(search: Search, params: Any) -> str:
    return ", ".join(f"{name} {shown(params.get(name))}" for name in search.space)


def shown(value: object) -> str:
    """A value of a parameter, short."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value!s:.40}"


def parallel(search: Search) -> Spec | None:
    """A line for each trial through the values of its parameters."""
    best = search.best
    if best is None or len(search.space) < 2:
        return None
    rows = []
    for trial in sorted(search.done, key=lambda trial: trial.value or 0.0):
        for name, dim in search.space.items():
            height = dim.height(trial.params.get(name))
            if height is not None:
                rows.append(
                    (
                        name, height, str(trial.number), trial.value,
                        "best" if trial is best else "other",
                        shown(trial.params[name]), f"{trial.value:.4f}",
                    )
                )  # fmt: skip
    if not rows:
        return None
    ends = []
    for name, dim in search.space.items():
        values = dim.choices if isinstance(dim, Choice) else (dim.low, dim.high)
        texts = [shown(value) for value in values]
        last = len(texts) - 1
        ends += [(name, at / last, text) for at, text in enumerate(texts) if len(texts) <= 8]
    x = {
        "field": "name",
        "type": "ordinal",
        "title": None,
        "sort": None,
        "scale": {"padding": 0.5},
        "axis": {"labelAngle": 0, "domain": False, "labelLimit": 90, "grid": True},
    }
    y = {
        "field": "height",
        "type": "quantitative",
        "axis": None,
        "scale": {"domain": [-0.05, 1.05]},
    }
    detail = {"field": "trial"}
    return spec(
        f"Values of the parameters in each trial of the search of {search.label}.",
        columns(("name", "height", "trial", "value", "place", "at", "shown"), rows),
        height=300,
        layer=[
            {
                "mark": {"type": "line", "strokeWidth": 1, "opacity": 0.75},
                "encoding": {
                    "x": x,
                    "y": y,
                    "detail": detail,
                    "color": {
                        "field": "value",
                        "type": "quantitative",
                        "title": search.metric,
                        "scale": {"range": ["var(--line)", BASELINE], "interpolate": "rgb"},
                        "legend": {
                            "type": "symbol",
                            "symbolType": "stroke",
                            "tickCount": 4,
                            "format": ".3f",
                        },
                    },
                },
            },
            {
                "transform": [{"filter": "datum.place === 'best'"}],
                "mark": {"type": "line", "strokeWidth": 3, "color": GAN},
                "encoding": {"x": x, "y": y, "detail": detail},
            },
            {
                "mark": {"type": "point", "filled": True, "size": 30, "color": INK, "opacity": 0.5},
                "encoding": {
                    "x": x,
                    "y": y,
                    "tooltip": tooltip(
                        ("trial", "Trial"), ("name", "Parameter"), ("at", "Value"),
                        ("shown", search.metric), ("place", "Place"),
                    ),
                },
            },
            {
                "data": {
                    "values": [
                        {"name": name, "height": at, "text": text} for name, at, text in ends
                    ]
                },
                "mark": {"type": "text", "align": "left", "dx": 7, "color": SOFT, "fontSize": 11},
                "encoding": {"x": x, "y": y, "text": {"field": "text", "type": "nominal"}},
            },
        ],
    )  # fmt: skip


def dependences(search: Search) -> list[tuple[str, Spec]]:
    """What each parameter does by itself: its name and a figure of the mean with the trials."""
    made = []
    for name, (points, means) in dependence(search).items():
        dim = search.space[name]
        named = isinstance(dim, Choice)
        rows = [
            (str(at) if named else at, mean, "mean of the model", "")
            for at, mean in zip(points, means, strict=True)
        ]
        rows += [
            (
                str(trial.params[name]) if named else trial.params[name],
                trial.value or 0.0, "trial", str(trial.number),
            )
            for trial in search.done
            if dim.height(trial.params.get(name)) is not None
        ]  # fmt: skip
        x: Spec = {"field": "at", "type": "nominal" if named else "quantitative", "title": None}
        if isinstance(dim, Choice):
            x["axis"] = {"labelAngle": 0}
        else:
            x["scale"] = {"zero": False, "nice": False, "type": "log" if dim.log else "linear"}
            x["axis"] = {"tickCount": 4}
        y = {"field": "value", "type": "quantitative", "title": None, "scale": {"zero": False}}
        tips = [
            {"field": "at", "type": x["type"], "title": name},
            {"field": "value", "type": "quantitative", "title": search.metric, "format": ".4f"},
            *tooltip(("what", "What"), ("trial", "Trial")),
        ]
        mean = {"type": "tick", "thickness": 3, "size": 30} if named else {"type": "line"}
        made.append(
            (
                name,
                spec(
                    f"{search.metric} by {name} alone.",
                    columns(("at", "value", "what", "trial"), rows),
                    height=150,
                    layer=[
                        {
                            "transform": [{"filter": "datum.what === 'trial'"}],
                            "mark": {
                                "type": "point",
                                "filled": True,
                                "size": 40,
                                "color": BASELINE,
                            },
                            "encoding": {"x": x, "y": y, "tooltip": tips},
                        },
                        {
                            "transform": [{"filter": "datum.what !== 'trial'"}],
                            "mark": {**mean, "color": GAN},
                            "encoding": {"x": x, "y": y, "tooltip": tips},
                        },
                    ],
                ),
            )
        )
    return made
