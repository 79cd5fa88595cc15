"""Quality of models against time or memory."""

import math
from collections.abc import Sequence

import numpy as np

from ganmf_fast.results.charts.base import (
    INK,
    Spec,
    columns,
    dots,
    kind,
    kinds,
    layer,
    quantity,
    spec,
    tooltip,
)
from ganmf_fast.results.charts.comparison import with_spread
from ganmf_fast.results.result_table import ResultTable, heading

_WIDTH, _HEIGHT = 250, 300
_MEASURES = {
    "fit_seconds": ("the time to fit", "seconds", 1e-3),
    "fit_extra_mib": ("the memory that the fit added to its process", "MiB", 1.0),
}
"""What each is, its unit, and the least that the axis tells from nothing."""


def cost(comparison: ResultTable, measure: str) -> Spec | None:
    """Quality against a cost on a logarithmic axis; models that none beats in both are named.

    `measure` is ``"fit_seconds"`` or ``"fit_extra_mib"``. None where fewer than two models have it.
    """
    words, unit, least = _MEASURES[measure]
    key = comparison.columns[0]
    rows: list[tuple[str, str, float, float, str, str]] = []
    for entry in comparison.entries:
        mean = entry.mean(*key)
        taken = [run.cost[measure] for run in entry.runs if measure in run.cost]
        if mean is not None and taken:
            mine = sum(taken) / len(taken)
            shown = f"{mine:,.2f} {unit}"
            place = max(mine, least)
            rows.append(
                (entry.model, kind(entry.model), mean, place, shown, with_spread(entry, key))
            )
    if len(rows) < 2:
        return None
    ticks, domain = _log_axis([row[3] for row in rows])
    labels = _labels(rows, domain)
    means = [row[2] for row in rows]
    room = 0.06 * (max(means) - min(means)) or 0.01
    names = ("model", "kind", "mean", "cost", "shown", "ours", "label", "side")
    x = quantity(
        "cost",
        title=unit,
        scale={"type": "log", "domain": domain, "nice": False},
        axis={"values": ticks, "format": ","},
    )
    y = quantity("mean", scale={"domain": [min(means) - room, max(means) + room], "nice": False})
    tips = tooltip(("model", "Model"), ("ours", heading(key)), ("shown", "Cost"))
    names_beside = [
        layer(
            {"type": "text", "align": align, "dx": dx, "color": INK},
            f"datum.side == '{side}'",
            x=x,
            y=y,
            text={"field": "label"},
        )
        for side, align, dx in (("right", "left", 8), ("left", "right", -8))
    ]
    return spec(
        f"{heading(key)} against {words} on {comparison.label}.",
        columns(names, [(*row, *labels.get(row[0], ("", ""))) for row in rows]),
        height=_HEIGHT,
        encoding={"tooltip": tips},
        layer=[layer(dots(85, 0.9), x=x, y=y, **kinds(row[0] for row in rows)), *names_beside],
    )


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
) -> dict[str, tuple[str, str]]:
    """Names of the best GAN and of the models that none beats in both, where there is room.

    Each with the side of its mark that it stands on: rather one without other marks, and rather
    the one that is nearer to the middle.
    """
    gans = [row for row in rows if row[1] == "GAN"]
    first = max(gans, key=lambda row: row[2], default=None)
    front = [
        row
        for row in rows
        if not any(o[2] >= row[2] and o[3] <= row[3] and o[2:4] != row[2:4] for o in rows)
    ]
    wanted = dict.fromkeys([*([first] if first else []), *sorted(front, key=lambda row: -row[2])])
    low = min(row[2] for row in rows)
    tall = max(row[2] for row in rows) - low or 1.0
    wide = math.log(domain[1] / domain[0])
    # In pixels of the narrowest figure, so that names are apart on a phone, too.
    at = {
        row[0]: (
            _WIDTH * math.log(row[3] / domain[0]) / wide,
            (_HEIGHT - 40) * (row[2] - low) / tall,
        )
        for row in rows
    }
    placed: list[tuple[float, float, float]] = []
    found: dict[str, tuple[str, str]] = {}
    for name in (row[0] for row in wanted):
        x, y = at[name]
        long = 7 * len(name) + 12
        free = []
        for side, a, b in (("right", x, x + long), ("left", x - long, x)):
            apart = all(abs(y - v) > 14 or a > d or b < c for c, d, v in placed)
            if apart and a >= 0 and b <= _WIDTH:
                hidden = sum(a < u < b and abs(y - v) < 10 for u, v in at.values())
                outward = (side == "right") == (x > _WIDTH / 2)
                free.append((hidden, outward, side, a, b))
        if free:
            _, _, side, a, b = min(free)
            placed.append((a, b, y))
            found[name] = (name, side)
    return found
