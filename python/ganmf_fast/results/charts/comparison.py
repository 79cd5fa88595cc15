"""Figures of result tables: models side by side, differences from the paper, lines over points."""

from ganmf_fast.results.charts.base import (
    CHOSEN,
    INK,
    ONCE,
    ROW,
    SOFT,
    Spec,
    columns,
    dots,
    kind,
    kinds,
    layer,
    looks,
    metric_choice,
    quantity,
    spec,
    tooltip,
)
from ganmf_fast.results.result_table import Entry, Key, ResultTable, heading, signed

SHAPES = (
    "circle",
    "square",
    "triangle-up",
    "cross",
    "diamond",
    "triangle-down",
    "triangle-right",
)
_MOST_TICKS = 12


def quality(comparison: ResultTable, *, annotated: bool = False) -> Spec:
    """A bar for each model, best first, with the spread over seeds and the published value.

    Parameters
    ----------
    comparison : ResultTable
    annotated : bool, default False
        Write the published value beside the bar, where it cannot be asked for with the pointer.
    """
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
            label = f"{mean:.4f}"
            if annotated and theirs is not None:
                delta = entry.delta(*key)
                beside = "another split" if delta is None else signed(delta)
                label += f" (published {theirs:.4f}, {beside})"
            rows.append(
                (
                    heading(key), entry.model, kind(entry.model), mean, max(mean - spread, 0.0),
                    mean + spread, theirs, end, label, with_spread(entry, key),
                    _published(entry, key),
                )
            )  # fmt: skip
    names = (
        "metric", "model", "kind", "mean", "low", "high", "published", "end", "label", "ours",
        "theirs",
    )  # fmt: skip
    x = quantity("mean")
    if annotated:
        # Room for the labels beside the longest bar.
        longest = max((row[7] for row in rows), default=1.0)
        x["scale"] = {"domainMax": longest * (1.5 if comparison.any_published else 1.1)}
    order = {"field": "mean", "op": "max", "order": "descending"}
    tips = tooltip(
        ("model", "Model"), ("metric", "Metric"), ("ours", "Here"), ("theirs", "Published")
    )
    published = layer(
        {"type": "tick", "color": INK, "thickness": 2, "size": 18}, x=quantity("published")
    )
    text = {"type": "text", "align": "left", "dx": 9, "color": SOFT}
    by_kind = kinds(row[1] for row in rows)
    return spec(
        f"Bars of each model on {comparison.label}, best first; the table below holds the values.",
        columns(names, rows),
        height=ROW * len({row[1] for row in rows}),
        params=metric_choice(comparison.columns),
        transform=CHOSEN,
        encoding={
            "y": {"field": "model", "title": None, "sort": order, "axis": {"grid": False}},
            "tooltip": tips,
        },
        layer=[
            layer({"type": "bar", "height": 11, "opacity": 0.55}, x=x, color=by_kind["color"]),
            layer({"type": "rule", "color": INK}, x=quantity("low"), x2={"field": "high"}),
            layer(dots(70), x=quantity("mean"), **by_kind),
            *([published] if comparison.any_published else []),
            layer(text, x=quantity("end"), text={"field": "label"}),
        ],
    )


def with_spread(entry: Entry, key: Key) -> str:
    """The mean, and its standard deviation where there are several seeds."""
    mean, deviation = entry.mean(*key), entry.deviation(*key)
    if mean is None:
        return "\N{EM DASH}"
    seeds = f" ± {deviation:.4f} over {len(entry.runs)} seeds" if deviation is not None else ""
    return f"{mean:.4f}{seeds}"


def _published(entry: Entry, key: Key) -> str:
    published, delta = entry.published.get(key), entry.delta(*key)
    if published is None:
        return "nothing"
    if entry.another_split:
        return f"{published:.4f} (another split)"
    return f"{published:.4f}" + ("" if delta is None else f" (difference {signed(delta)})")


def differences(comparison: ResultTable) -> Spec | None:
    """Differences from the published figures, or None if there are none."""
    rows = []
    for key in comparison.columns:
        for entry in comparison.entries:
            delta, verdict = entry.delta(*key), entry.verdict(*key)
            if delta is None or verdict is None:
                continue
            spread = 2 * (entry.deviation(*key) or 0.0)
            name = comparison.name_of(entry.model, entry.point)
            reason = verdict.reason or "-"
            rows.append(
                (
                    heading(key), name, verdict.word, delta, delta - spread, delta + spread,
                    signed(delta), with_spread(entry, key), _published(entry, key), reason,
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
    y = {"field": "model", "title": None, "sort": None, "axis": {"grid": True}}
    tips = tooltip(
        ("model", "Model"), ("shown", "Difference"), ("ours", "Here"), ("theirs", "Published"),
        ("verdict", "Verdict"), ("why", "Reason"),
    )  # fmt: skip
    return spec(
        f"Differences from the published figures on {comparison.label}.",
        columns(names, rows),
        height=ROW * len({row[1] for row in rows}),
        params=metric_choice(keys),
        transform=CHOSEN,
        layer=[
            layer(
                {"type": "rect", "color": SOFT, "opacity": 0.16},
                data=ONCE,
                x={"datum": -1e-3, "type": "quantitative"},
                x2={"datum": 1e-3},
            ),
            layer(
                {"type": "rule", "color": INK, "opacity": 0.6},
                data=ONCE,
                x={"datum": 0, "type": "quantitative"},
            ),
            layer({"type": "rule", "color": SOFT}, y=y, x=quantity("low"), x2={"field": "high"}),
            layer(
                dots(75),
                y=y,
                tooltip=tips,
                x=quantity("delta", axis={"format": "+.3f"}),
                color=looks("verdict", found, [tones[at] for at in places]),
                shape=looks("verdict", found, [shapes[at] for at in places]),
            ),
        ],
    )


def points(comparison: ResultTable) -> Spec:
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
                    spread = (entry.deviation(*key) or 0.0) if source == "here" else 0.0
                    rows.append(
                        (
                            heading(key), entry.model, at, entry.point, value, value - spread,
                            value + spread, source, with_spread(entry, key),
                            _published(entry, key),
                        )
                    )  # fmt: skip
    # GANMF has the same colours in all figures.
    models = sorted(comparison.models, key=lambda model: "GANMF" not in model)
    series = [f"var(--series-{at % 8})" for at in range(len(models))]
    # Seven shapes beside eight colours, so that more than eight models still differ.
    shapes = [SHAPES[at % len(SHAPES)] for at in range(len(models))]
    names = (
        "metric", "model", "at", "order", "value", "low", "high", "source", "ours", "theirs",
    )  # fmt: skip
    sources = [s for s in ("here", "published") if any(row[7] == s for row in rows)]
    dashes = [[1, 0], [4, 3]][: len(sources)]
    legend: Spec | None = {} if len(sources) > 1 else None
    x: Spec = {"field": "at", "type": "quantitative", "title": comparison.axis}
    if named:
        x |= {
            "type": "ordinal",
            "sort": {"field": "order"},
            "axis": {"labelAngle": 0, "labelExpr": "split(datum.label, ' ')"},
            "scale": {"padding": 0.3},
        }
    elif len(places := sorted({row[2] for row in rows})) <= _MOST_TICKS:
        x["axis"] = {"values": places}
    tips = tooltip(
        ("model", "Model"), ("at", comparison.axis), ("metric", "Metric"), ("ours", "Here"),
        ("theirs", "Published"),
    )  # fmt: skip
    return spec(
        f"{comparison.title} on {comparison.label}: a line for each model.",
        columns(names, rows),
        height=300,
        params=metric_choice(comparison.columns),
        transform=CHOSEN,
        encoding={
            "x": x,
            "y": quantity("value", scale={"zero": False}),
            "color": looks("model", models, series),
            "tooltip": tips,
        },
        layer=[
            layer(
                {"type": "line", "strokeWidth": 1.8},
                strokeDash=looks("source", sources, dashes, legend=legend),
            ),
            layer({"type": "rule", "opacity": 0.6}, y=quantity("low"), y2={"field": "high"}),
            layer(dots(75), shape=looks("model", models, shapes)),
        ],
    )
