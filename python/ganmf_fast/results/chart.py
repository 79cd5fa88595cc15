"""Charts of comparisons. matplotlib is imported here and nowhere else."""

import io
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.style import context
from matplotlib.ticker import MaxNLocator

from ganmf_fast.results.result_table import Comparison, Entry, Key, heading, signed

__all__ = ["FORMATS", "draw", "rendered"]

FORMATS = ("png", "svg", "pdf")

# From the palette of Okabe and Ito, which people with colour-blindness can tell apart; the two
# also differ in lightness.
_BASELINE, _GANMF, _INK, _GREY = "#56B4E9", "#D55E00", "#000000", "#595959"
_SERIES = ("#D55E00", "#0072B2", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_MARKERS = "os^DvP"


def draw(comparison: Comparison) -> Figure | None:
    """The chart of a comparison, or None if it has none, or nothing is finished."""
    kinds = {"bars": _bars, "lines": _lines, "groups": _groups, "heatmaps": _heatmaps}
    if comparison.chart == "none" or not any(entry.runs for entry in comparison.entries):
        return None
    return kinds[comparison.chart](comparison)


def rendered(figure: Figure, kind: str) -> bytes:
    """A figure as the content of a file: the same bytes for the same figures.

    Parameters
    ----------
    figure : matplotlib Figure
    kind : {"png", "svg", "pdf"}
    """
    undated: dict[str, dict[str, Any]] = {
        "png": {"Software": None},
        "svg": {"Date": None},
        "pdf": {"CreationDate": None},
    }
    content = io.BytesIO()
    # Names inside an SVG are drawn at random otherwise; text stays text.
    with context({"svg.hashsalt": "ganmf", "svg.fonttype": "none"}):
        figure.savefig(content, dpi=150, format=kind, metadata=undated[kind])
    return content.getvalue()


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _plain(axes: Axes, grid: str) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    axes.grid(axis=grid, color="#DDDDDD", linewidth=0.8)  # type: ignore[arg-type]
    axes.set_axisbelow(True)


def _lines(comparison: Comparison) -> Figure:
    """A panel for each column, a line for each model over the points, the published one dashed."""
    columns = comparison.columns
    wide = 2 if len(columns) > 1 else 1
    high = -(-len(columns) // wide)
    figure = _figure(4.6 * wide + (1.4 if wide == 1 else 0), 3.3 * high + 0.9)
    panels = figure.subplots(high, wide, squeeze=False).ravel()
    # GANMF has the same colours in all figures.
    models = sorted(comparison.models, key=lambda model: "GANMF" not in model)
    styles = dict(zip(models, zip(_SERIES, _MARKERS, strict=True), strict=False))
    for axes, key in zip(panels, columns, strict=False):
        for model, (colour, marker) in styles.items():
            entries = [entry for entry in comparison.entries if entry.model == model]
            _line(axes, entries, key, colour, marker)
        axes.set_title(heading(key), loc="left", fontsize=10)
        axes.set_xlabel(comparison.axis, fontsize=9)
        axes.set_xticks(sorted({e.point for e in comparison.entries if e.point is not None}))
        axes.set_ylim(bottom=0)
        axes.tick_params(labelsize=9)
        _plain(axes, "y")
    figure.suptitle(comparison.heading, x=0.01, ha="left", fontsize=11)
    marks = [
        Line2D([], [], color=colour, marker=marker, label=model)
        for model, (colour, marker) in styles.items()
    ]
    if comparison.any_published:
        marks.append(Line2D([], [], color=_GREY, linestyle="--", label="published", linewidth=1.2))
    figure.legend(
        handles=marks, loc="outside lower left", ncols=len(marks), frameon=False, fontsize=9
    )
    return figure


def _line(axes: Axes, entries: list[Entry], key: Key, colour: str, marker: str) -> None:
    ours = [(e.point, e.mean(*key), e.deviation(*key) or 0.0) for e in entries if e.runs]
    if ours:
        x, y, spread = zip(*ours, strict=True)
        axes.errorbar(
            x, y, yerr=spread, color=colour, marker=marker, markersize=5, capsize=3, linewidth=1.6
        )
    published = [(e.point, e.published[key]) for e in entries if key in e.published]
    if published:
        x, y = zip(*published, strict=True)
        axes.plot(
            x, y, color=colour, marker=marker, markersize=4, linewidth=1.2, linestyle="--",
            markerfacecolor="white", alpha=0.75,
        )  # fmt: skip


def _groups(comparison: Comparison) -> Figure:
    """For each point a cluster of bars, one for each model."""
    entries = [entry for entry in comparison.entries if entry.runs]
    (key,) = comparison.columns
    models = list(dict.fromkeys(entry.model for entry in entries))
    points = sorted({entry.point or 0.0 for entry in entries})
    figure = _figure(9, 4.4)
    axes = figure.add_subplot()
    width = 0.82 / len(models)
    baselines = [model for model in models if "GANMF" not in model]
    # From light to dark, so that neighbours differ; GANMF in colours of its own.
    shades = dict(zip(baselines, np.linspace(0.86, 0.32, max(len(baselines), 1)), strict=True))
    for place, model in enumerate(models):
        mine = {entry.point or 0.0: entry for entry in entries if entry.model == model}
        x = [points.index(point) + (place - (len(models) - 1) / 2) * width for point in mine]
        y = [entry.mean(*key) or 0.0 for entry in mine.values()]
        spread = [entry.deviation(*key) or 0.0 for entry in mine.values()]
        gan = ("#D55E00", "#E69F00")[models.index(model) % 2]
        colour = str(shades[model]) if model in shades else gan
        axes.bar(
            x, y, width, yerr=spread if any(spread) else None, color=colour, label=model,
            edgecolor=_INK, linewidth=0.4, error_kw={"linewidth": 0.8},
        )  # fmt: skip
    axes.set_xticks(range(len(points)), [comparison.point_name(point) for point in points])
    axes.set_xlabel("training interactions of the users in a group", fontsize=10)
    axes.set_ylabel(heading(key), fontsize=10)
    axes.tick_params(labelsize=9)
    _plain(axes, "y")
    figure.suptitle(comparison.heading, x=0.01, ha="left", fontsize=11)
    figure.legend(loc="outside lower left", ncols=min(len(models), 5), frameon=False, fontsize=9)
    return figure


def _heatmaps(comparison: Comparison) -> Figure:
    """A square for each point."""
    panels = comparison.squares
    entries = {entry.point: entry for entry in comparison.entries}
    figure = _figure(4.2 * len(panels) + 1, 4.9)
    squares = figure.subplots(1, len(panels), squeeze=False).ravel()
    image = None
    for axes, (point, cosine) in zip(squares, panels.items(), strict=True):
        image = axes.imshow(cosine, vmin=-1, vmax=1, cmap="RdBu_r", interpolation="nearest")
        entry = entries[point]
        means = [entry.mean(*key) or 0.0 for key in comparison.columns]
        text = f"{comparison.axis} {point:.3g}\nmean {means[0]:.4f}, deviation {means[1]:.4f}"
        published = [entry.published[key] for key in comparison.columns if key in entry.published]
        if published:
            text += "\npublished " + ", ".join(f"{value:.4f}" for value in published)
        axes.set_title(text, loc="left", fontsize=9)
        axes.set_xlabel(f"{len(cosine)} users, evenly drawn", fontsize=9)
        axes.set_xticks([])
        axes.set_yticks([])
    if image is not None:
        figure.colorbar(image, ax=squares, shrink=0.8, label="cosine")
    figure.suptitle(comparison.heading, x=0.01, ha="left", fontsize=11)
    return figure


def _bars(comparison: Comparison) -> Figure:
    """One horizontal bar for each finished model, with the published value marked on it."""
    metric, k = "map", min(comparison.cutoffs)
    entries = [entry for entry in comparison.entries if entry.runs]
    means = [entry.mean(metric, k) or 0.0 for entry in entries]
    published = [entry.published.get((metric, k)) for entry in entries]
    top = max([*means, *(value for value in published if value is not None)]) or 1.0

    figure = _figure(8, 1.7 + 0.48 * len(entries))
    axes = figure.add_subplot()
    # CFGAN and CAAE are among the baselines of the paper; binGANMF is its ablation of GANMF.
    gan = ["GANMF" in entry.model for entry in entries]
    places = range(len(entries))
    axes.barh(places, means, height=0.62, color=[_GANMF if g else _BASELINE for g in gan])
    for place, entry in enumerate(entries):
        _figures(axes, place, entry, (metric, k))
    axes.set_yticks(list(places), [entry.model for entry in entries], fontsize=10)
    axes.invert_yaxis()
    any_published = any(value is not None for value in published)
    # Room for the figures beside the longest bar.
    axes.set_xlim(0, top * (1.55 if any_published else 1.13))
    ticks = MaxNLocator(nbins=5, steps=[1, 2, 2.5, 5, 10]).tick_values(0, top)
    ticks = [float(tick) for tick in ticks if 0 <= tick <= axes.get_xlim()[1]]
    axes.set_xticks(ticks)
    axes.spines["bottom"].set_bounds(0, ticks[-1])
    axes.set_xlabel(f"{metric.upper()}@{k} on the test split", fontsize=10, loc="left")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    _plain(axes, "x")
    title = f"{metric.upper()}@{k} by model: {comparison.label}"
    if comparison.quick:
        title += " (quick run)"
    axes.set_title(title, loc="left", fontsize=12)

    marks: list[Patch | Line2D] = []
    if not all(gan):
        marks.append(Patch(color=_BASELINE, label="baseline"))
    if any(gan):
        marks.append(Patch(color=_GANMF, label="GANMF"))
    if any_published:
        mark = Line2D([], [], color=_INK, linestyle="", marker="|", markersize=13)
        mark.set(markeredgewidth=2.2, label="published value")
        marks.append(mark)
    figure.legend(
        handles=marks, loc="outside lower left", ncols=len(marks), frameon=False, fontsize=9
    )
    return figure


def _figures(axes: Axes, place: int, entry: Entry, key: tuple[str, int]) -> None:
    """Spread over seeds, published value, and both in figures, of one bar."""
    mean, deviation = entry.mean(*key) or 0.0, entry.deviation(*key)
    published = entry.published.get(key)
    if deviation is not None:
        axes.errorbar(mean, place, xerr=deviation, color=_INK, capsize=3, linewidth=1)
    end = max(mean + (deviation or 0.0), published or 0.0)
    texts = [(f"{mean:.4f}", 6, 10, _INK)]
    if published is not None:
        axes.plot([published] * 2, [place - 0.42, place + 0.42], color=_INK, linewidth=2.2)
        beside = f"published {published:.4f} ({signed(mean - published)})"
        texts.append((beside, 52, 9, _GREY))
    for text, right, size, colour in texts:
        axes.annotate(
            text,
            (end, place),
            xytext=(right, 0),
            textcoords="offset points",
            va="center",
            fontsize=size,
            color=colour,
            # So that the grid does not run through it.
            bbox={"facecolor": "white", "edgecolor": "none", "pad": 1.5},
        )
