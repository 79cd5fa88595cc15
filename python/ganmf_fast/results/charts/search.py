"""Figures of a search of hyper-parameters."""

from typing import Any

from ganmf_fast.results.charts.base import (
    BASELINE,
    GAN,
    INK,
    ONCE,
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
from ganmf_fast.results.search import SearchRecord, best_so_far, dependence
from ganmf_fast.tuning.spaces import Choice

_STATES = ("done", "pruned", "failed")


def convergence(search: SearchRecord) -> Spec | None:
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
    tones = dict(zip(_STATES, (BASELINE, SOFT, "var(--worse)"), strict=True))
    shapes = dict(zip(_STATES, ("circle", "triangle-down", "cross"), strict=True))
    x = {"field": "trial", "type": "quantitative", "title": "trial", "axis": {"tickMinStep": 1}}
    y = {"scale": {"zero": False}}
    step = {"type": "line", "interpolate": "step-after", "color": GAN, "strokeWidth": 1.8}
    tips = tooltip(
        ("trial", "Trial"), ("shown", search.metric), ("state", "State"), ("params", "Parameters")
    )
    return spec(
        f"Trials of the search of {search.label}, and the best so far.",
        columns(("trial", "value", "best", "state", "shown", "params"), rows),
        height=240,
        layer=[
            layer(
                {"type": "rule", "color": SOFT, "strokeDash": [2, 3]},
                data=ONCE,
                x={"datum": search.n_initial - 0.5, "type": "quantitative"},
            ),
            layer(step, "isValid(datum.best)", x=x, y=quantity("best", **y)),
            layer(
                dots(55, 0.9),
                x=x,
                y=quantity("value", **y),
                color=looks("state", states, [tones[state] for state in states]),
                shape=looks("state", states, [shapes[state] for state in states]),
                tooltip=tips,
            ),
        ],
    )


def _params(search: SearchRecord, params: Any) -> str:
    return ", ".join(f"{name} {shown(params.get(name))}" for name in search.space)


def shown(value: object) -> str:
    """A value of a parameter, short."""
    return f"{value:.4g}" if isinstance(value, float) else f"{value!s:.40}"


def parallel(search: SearchRecord) -> Spec | None:
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
        "axis": {"labelAngle": 0, "domain": False, "labelLimit": 120, "grid": True},
    }
    y = quantity("height", axis=None, scale={"domain": [-0.05, 1.05]})
    colour = quantity(
        "value",
        scale={"range": ["var(--line)", BASELINE], "interpolate": "rgb"},
        legend={"type": "symbol", "symbolType": "stroke", "tickCount": 4, "format": ".3f"},
    )
    tips = tooltip(
        ("trial", "Trial"), ("name", "Parameter"), ("at", "Value"), ("shown", search.metric),
        ("place", "Place"),
    )  # fmt: skip
    line: Spec = {"x": x, "y": y, "detail": {"field": "trial"}}
    thick = {"type": "line", "strokeWidth": 3, "color": GAN}
    return spec(
        f"Values of the parameters in each trial of the search of {search.label}.",
        columns(("name", "height", "trial", "value", "place", "at", "shown"), rows),
        height=300,
        layer=[
            layer(
                {"type": "line", "strokeWidth": 1, "opacity": 0.75},
                **line,
                color=colour | {"title": search.metric},
            ),
            layer(thick, "datum.place === 'best'", **line),
            layer(dots(30, 0.5, color=INK), x=x, y=y, tooltip=tips),
            layer(
                {"type": "text", "align": "left", "dx": 7, "color": SOFT, "fontSize": 11},
                data={"values": [{"name": n, "height": at, "text": text} for n, at, text in ends]},
                x=x,
                y=y,
                text={"field": "text"},
            ),
        ],
    )


def dependences(search: SearchRecord) -> list[tuple[str, Spec]]:
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
            x |= {"axis": {"labelAngle": 0}, "sort": [str(choice) for choice in dim.choices]}
        else:
            x["scale"] = {"zero": False, "nice": False, "type": "log" if dim.log else "linear"}
            x["axis"] = {"tickCount": 4}
        tips = [
            {"field": "at", "type": x["type"], "title": name},
            quantity("value", title=search.metric, format=".4f"),
            *tooltip(("what", "What"), ("trial", "Trial")),
        ]
        at: Spec = {"x": x, "y": quantity("value", scale={"zero": False}), "tooltip": tips}
        mean = {"type": "tick", "thickness": 3, "size": 30} if named else {"type": "line"}
        drawn = spec(
            f"{search.metric} by {name} alone.",
            columns(("at", "value", "what", "trial"), rows),
            height=150,
            layer=[
                layer(dots(40, 0.7, color=BASELINE), "datum.what === 'trial'", **at),
                layer({**mean, "color": GAN}, "datum.what !== 'trial'", **at),
            ],
        )
        made.append((name, drawn))
    return made
