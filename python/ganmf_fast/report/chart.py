"""The bar chart of a comparison. matplotlib is imported here and nowhere else."""

import io

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import MaxNLocator

from ganmf_fast.report.comparison import Comparison, Entry, signed

__all__ = ["bar_chart"]

# From the palette of Okabe and Ito, which people with colour-blindness can tell apart; the two
# also differ in lightness.
_BASELINE, _GANMF, _INK, _GREY = "#56B4E9", "#D55E00", "#000000", "#595959"


def bar_chart(comparison: Comparison, metric: str = "map", k: int | None = None) -> bytes:
    """One horizontal bar for each finished model, with the published value marked on it.

    Parameters
    ----------
    comparison : Comparison
    metric : str, default "map"
    k : int, optional
        By default the smallest cutoff.

    Returns
    -------
    bytes
        A PNG file.

    Raises
    ------
    ValueError
        If no model is finished.
    """
    k = min(comparison.cutoffs) if k is None else k
    entries = [entry for entry in comparison.entries if entry.runs]
    if not entries:
        raise ValueError("a chart needs at least one finished model")
    means = [entry.mean(metric, k) or 0.0 for entry in entries]
    published = [entry.published.get((metric, k)) for entry in entries]
    top = max([*means, *(value for value in published if value is not None)]) or 1.0

    figure = Figure(figsize=(8, 1.7 + 0.48 * len(entries)), layout="constrained")
    FigureCanvasAgg(figure)
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
    axes.grid(axis="x", color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.set_title(f"{metric.upper()}@{k} by model: {comparison.label}", loc="left", fontsize=12)

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
    content = io.BytesIO()
    figure.savefig(content, dpi=150, format="png", metadata={"Software": None})
    return content.getvalue()


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
