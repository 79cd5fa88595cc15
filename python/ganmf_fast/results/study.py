"""Charts of a search of hyper-parameters, each a matplotlib figure.

They are made of a journal (``read_journal``) or of ``result.study.header`` and ``result.history``.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from ganmf_fast.base.files import written_whole
from ganmf_fast.tuning.backends import Skopt
from ganmf_fast.tuning.spaces import Choice, Dimension, Space, searched
from ganmf_fast.tuning.trial import Trial

__all__ = ["convergence", "parallel_coordinates", "partial_dependence", "write_charts"]

Header = Mapping[str, Any]

# From the palette of Okabe and Ito, which people with colour-blindness can tell apart.
_POINT, _LINE, _GREY = "#56B4E9", "#D55E00", "#595959"
_COLOURS = "viridis"


def convergence(header: Header, trials: Sequence[Trial]) -> Figure:
    """The value of each trial in the order of asking, and the best so far.

    Parameters
    ----------
    header : mapping
        First line of the journal.
    trials : sequence of Trial

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no trial is done.
    """
    done = _done(trials)
    figure = _figure(7, 4)
    axes = figure.add_subplot()
    numbers = [trial.number for trial in done]
    values = [_value(trial) for trial in done]
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.plot(numbers, values, "o", color=_POINT, markersize=4.5, label="trial")
    axes.step(
        numbers, np.maximum.accumulate(values), where="post", color=_LINE, label="best so far"
    )
    others = [trial.number for trial in trials if trial.status != "done"]
    if others:
        bottom = [axes.get_ylim()[0]] * len(others)
        axes.plot(others, bottom, "x", color=_GREY, label="failed or pruned", clip_on=False)
    axes.axvline(header["n_initial"] - 0.5, color=_GREY, linewidth=0.8, linestyle=":")
    axes.set_xlabel("trial (random ones before the dotted line)", loc="left")
    axes.set_ylabel(f"{header['metric']} on validation")
    axes.set_title(_title(header), loc="left", fontsize=11)
    axes.legend(frameon=False, fontsize=9)
    _tidy(axes)
    return figure


def parallel_coordinates(header: Header, trials: Sequence[Trial]) -> Figure:
    """A line for each trial through the values of its parameters, coloured by its value.

    Parameters
    ----------
    header, trials : as for `convergence`

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If no trial is done.
    """
    done = sorted(_done(trials), key=_value)
    space = _space(header)
    values = [_value(trial) for trial in done]
    scale = Normalize(values[0], values[-1] if values[-1] > values[0] else values[0] + 1)
    figure = _figure(2 + 1.5 * len(space), 4.5)
    axes = figure.add_subplot()
    colours = colormaps[_COLOURS]
    places = np.arange(len(space))
    for trial in done:
        heights = [dim.height(trial.params[name]) or 0.0 for name, dim in space.items()]
        best = trial is done[-1]
        axes.plot(
            places, heights, color=_LINE if best else colours(scale(_value(trial))),
            linewidth=2.2 if best else 0.9, marker="o", markersize=3, zorder=3 if best else 2,
        )  # fmt: skip
    for place, dim in enumerate(space.values()):
        axes.axvline(place, color="#BBBBBB", linewidth=0.8, zorder=1)
        for height, text in _ticks(dim):
            axes.annotate(
                text, (place, height), xytext=(4, 0), textcoords="offset points",
                fontsize=8, color=_GREY, va="center",
            )  # fmt: skip
    axes.set_xticks(places, list(space), fontsize=9)
    axes.set_yticks([])
    axes.set_xlim(-0.3, len(space) - 0.4)
    axes.set_ylim(-0.06, 1.06)
    for side in ("top", "right", "left", "bottom"):
        axes.spines[side].set_visible(False)
    figure.colorbar(
        ScalarMappable(scale, colours), ax=axes, label=f"{header['metric']} on validation", pad=0.02
    )
    axes.set_title(f"{_title(header)}; best in orange", loc="left", fontsize=11)
    return figure


def partial_dependence(header: Header, trials: Sequence[Trial], samples: int = 250) -> Figure:
    """What each parameter does by itself, as a Gaussian process over all trials sees it.

    The process is that of scikit-optimize, whoever asked the questions; the others are averaged
    over `samples` random points. Dots are the trials.

    Parameters
    ----------
    header, trials : as for `convergence`
    samples : int, default 250

    Returns
    -------
    matplotlib.figure.Figure

    Raises
    ------
    ValueError
        If fewer than two trials are done.
    ImportError
        If scikit-optimize is not installed.
    """
    done = _done(trials)
    if len(done) < 2:
        raise ValueError("partial dependence needs at least two trials that are done")
    space = _space(header)
    curves = Skopt.partial_dependence(
        space, [(trial.params, _value(trial)) for trial in done], samples
    )
    columns = min(len(space), 3)
    rows = math.ceil(len(space) / columns)
    figure = _figure(3.2 * columns, 0.6 + 2.4 * rows)
    grid = figure.subplots(rows, columns, squeeze=False, sharey=True).ravel()
    for axes, (name, dim) in zip(grid, space.items(), strict=False):
        points, means = curves[name]
        given = [trial.params[name] for trial in done]
        if isinstance(dim, Choice):
            at = [dim.choices.index(value) for value in given]
            axes.plot(range(len(points)), means, "_", color=_LINE, markersize=16, mew=2)
            axes.set_xticks(range(len(points)), [str(p) for p in points], fontsize=8)
            axes.set_xlim(-0.6, len(points) - 0.4)
        else:
            at = given
            axes.plot(points, means, color=_LINE)
            if dim.log:
                axes.set_xscale("log")
        axes.plot(at, [_value(t) for t in done], "o", color=_POINT, markersize=3, zorder=1)
        axes.set_title(name, fontsize=10, loc="left")
        _tidy(axes)
    for axes in grid[len(space) :]:
        axes.set_visible(False)
    figure.suptitle(f"{_title(header)}: {header['metric']} by parameter", fontsize=11, ha="center")
    return figure


def write_charts(header: Header, trials: Sequence[Trial], folder: Path) -> list[str]:
    """Write every chart that the trials allow as PNG files; returns their names."""
    folder.mkdir(parents=True, exist_ok=True)
    charts: dict[str, Callable[[Header, Sequence[Trial]], Figure]] = {
        "convergence.png": convergence,
        "parallel_coordinates.png": parallel_coordinates,
    }
    if sum(trial.status == "done" for trial in trials) > 1:
        charts["partial_dependence.png"] = partial_dependence
    for name, draw in charts.items():
        with written_whole(folder / name) as part:
            draw(header, trials).savefig(part, dpi=150, format="png", metadata={"Software": None})
    return list(charts)


def _done(trials: Sequence[Trial]) -> list[Trial]:
    done = [trial for trial in trials if trial.status == "done"]
    if not done:
        raise ValueError("a chart of a search needs at least one trial that is done")
    return done


def _value(trial: Trial) -> float:
    return trial.value or 0.0


def _space(header: Header) -> dict[str, Dimension]:
    dimensions = Space.resolve(header["space"], {}, (0, 0)).effective
    return {name: dimension for name, dimension in dimensions.items() if searched(dimension)}


def _title(header: Header) -> str:
    return f"{header['model']} on {header['dataset']} ({header['backend']})"


def _ticks(dim: Dimension) -> list[tuple[float, str]]:
    if isinstance(dim, Choice):
        return [(dim.height(choice) or 0.0, str(choice)) for choice in dim.choices]
    return [(0.0, f"{dim.low:.4g}"), (1.0, f"{dim.high:.4g}")]


def _figure(width: float, height: float) -> Figure:
    figure = Figure(figsize=(width, height), layout="constrained")
    FigureCanvasAgg(figure)
    return figure


def _tidy(axes: Axes) -> None:
    axes.grid(color="#DDDDDD", linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
