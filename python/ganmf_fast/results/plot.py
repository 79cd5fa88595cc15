"""Figures of trainings, evaluations and searches, as ``gf.plot``.

Each function returns a `Figure`, which shows itself in a notebook and is saved by ``save``. A
figure is one Vega-Lite specification in the look of the report, drawn by vl-convert: the extra
``plots``.
"""

import importlib
import json
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

from ganmf_fast.base.checks import check_choice
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.text import printable, shown
from ganmf_fast.evaluation import Comparison, Evaluation, compare
from ganmf_fast.evaluation.significance import distinct_labels
from ganmf_fast.results.charts import evaluations as charts
from ganmf_fast.results.charts.training import CURVES, CurvePoint, curve
from ganmf_fast.results.result_table import ResultTable, heading
from ganmf_fast.results.search import JOURNAL, read_search, search_record
from ganmf_fast.tuning.result import TuningResult

_WIDE, _NARROW = 560, 300


class Figure:
    """A figure; in a notebook the last line of a cell shows it.

    Attributes
    ----------
    specification : dict
        Vega-Lite, with the data in it: for any other program that draws it.
    """

    def __init__(self, specification: Mapping[str, Any]) -> None:
        self.specification = dict(specification)

    def save(self, path: str | Path) -> None:
        """Write the figure to a file of the kind that its ending names.

        Parameters
        ----------
        path : str or Path
            Ending in ``.png``, ``.svg``, ``.pdf``, or ``.json`` for the specification. The same
            figure has the same bytes.

        Raises
        ------
        ValueError
            If the ending is another.
        WriteError
            (an ``OSError``) If the file cannot be written; one that was there is unchanged.
        """
        path = Path(path)
        kinds = (*_files().FORMATS, "json")
        kind = path.suffix[1:].lower()
        if kind not in kinds:
            raise ValueError(f"path must end in .{', .'.join(kinds)}, not {shown(path.name)}")
        if kind == "json":
            content = (json.dumps(self.specification, indent=1) + "\n").encode()
        else:
            content = _files().rendered(self.specification, kind)
        write_whole(path, content)

    @cached_property
    def _svg(self) -> str:
        svg: bytes = _files().rendered(self.specification, "svg")
        return svg.decode()

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What notebooks show."""
        return {"image/svg+xml": self._svg, "text/plain": repr(self)}

    def __repr__(self) -> str:
        """Title."""
        title = self.specification["title"]["text"]
        return f"Figure({shown(title if isinstance(title, str) else title[0])})"


def training(model: Any) -> Figure:
    """Losses, the value on validation and the likeness of generated profiles, by epoch.

    Parameters
    ----------
    model : fitted model with ``history_``, or sequence of dict
        An iterative model of the library; or rows like those of ``history_``, such as a callback of
        `fit` collects, to look at a training while it runs.

    Returns
    -------
    Figure
        A panel for each quantity that the history holds. A solid line stands at the epoch whose
        weights were kept, a dotted one at the mean cosine from which on the profiles that a
        generator makes count as all alike.

    Raises
    ------
    TypeError, ValueError
        If the model has no history, or none with anything to draw.
    ImportError
        If vl-convert is not installed.
    """
    given = isinstance(model, Sequence) and not isinstance(model, str)
    rows = model if given else getattr(model, "history_", None)
    if rows is None or not all(isinstance(row, Mapping) and "epoch" in row for row in rows):
        raise TypeError(
            "model must be fitted in epochs and have history_, or be rows of such a history, not "
            f"{shown(model)}"
        )
    of = "Training" if given else f"Training of {type(model).__name__}"
    best = 0 if given else int(getattr(model, "best_epoch_", 0))
    panels = []
    for column, title in CURVES:
        points = [
            CurvePoint(int(row["epoch"]), float(f"{row[column]:.6g}"), "final", "-", None)
            for row in rows
            if column in row
        ]
        if points:
            # Which metric the model was stopped by stands in no history.
            name = "Value on validation" if column == "validation" else title
            panels.append(_files().panel(curve(column, name, points, best), name, _NARROW))
    if not panels:
        raise ValueError(
            f"the history of {len(rows)} epochs holds nothing to draw: fit with validation="
        )
    return Figure(_files().figure(of, panels, min(len(panels), 2)))


def comparison(results: Any, metric: str = "ndcg", k: int = 5) -> Figure:
    """Models side by side, best first.

    Parameters
    ----------
    results : Comparison, sequence of Evaluation, or ResultTable
        From `compare`, several from `evaluate` (which are compared), or from `reproduce`.
    metric : str, default "ndcg"
        Of a sequence; a `Comparison` has its own.
    k : int, default 5
        Its cutoff.

    Returns
    -------
    Figure
        Means with their intervals; of a `ResultTable` the chart of the experiment.

    Raises
    ------
    TypeError, ValueError, KeyError
        If there is nothing to compare, as by `compare`.
    ImportError
        If vl-convert is not installed.
    """
    if isinstance(results, ResultTable):
        drawn = _files().table_figure(results)
        if drawn is None:
            raise ValueError(f"{results.heading} has no chart, or none of its models is finished")
        return Figure(drawn)
    found = results if isinstance(results, Comparison) else compare(results, metric=metric, k=k)
    name = heading((found.metric, found.k))
    title = f"{name} of {found.n_users:,} users, {100 * found.confidence:g}% intervals"
    rows = [
        (row["model"], row["mean"], row["low"], row["high"])
        for row in found.models.iter_rows(named=True)
    ]
    return _one_panel(title, charts.intervals(name, rows))


def metric_against_k(evaluations: Sequence[Evaluation], metric: str = "ndcg") -> Figure:
    """A metric of several models by the length of the list.

    Parameters
    ----------
    evaluations : sequence of Evaluation
        Each at two cutoffs at least: ``gf.evaluate(..., cutoffs=(1, 2, 5, 10, 20, 50))``.
    metric : str, default "ndcg"

    Returns
    -------
    Figure

    Raises
    ------
    TypeError, ValueError
        If one is no `Evaluation`, or has one cutoff.
    KeyError
        If one lacks the metric.
    ImportError
        If vl-convert is not installed.
    """
    given = [evaluations] if isinstance(evaluations, Evaluation) else list(evaluations)
    for one in given:
        if not isinstance(one, Evaluation):
            raise TypeError(f"evaluations must hold evaluations, not {type(one).__name__}")
    found = []
    for at, (label, one) in enumerate(zip(distinct_labels(given), given, strict=True)):
        if len(one.cutoffs) < 2:
            raise ValueError(
                f"evaluations {at} has one cutoff, {one.cutoffs[0]}: evaluate with "
                "cutoffs=(1, 2, 5, 10, 20)"
            )
        found += [(label, k, one[metric, k]) for k in one.cutoffs]
    if not found:
        raise ValueError("evaluations is empty: there is nothing to draw")
    name = heading((metric, None))
    drawn = charts.by_cutoff(name, found)
    return _one_panel(f"{name} by the length of the list", drawn)


def study(result: Any, kind: str = "convergence") -> Figure:
    """A search of hyper-parameters.

    Parameters
    ----------
    result : TuningResult, or str or Path
        From `tune`, or a journal or its folder.
    kind : {"convergence", "parallel_coordinates", "partial_dependence"}, default "convergence"
        The value of each trial in the order of asking, with the best so far; a line for each trial
        through its parameters; or each parameter by itself, as a Gaussian process sees it.

    Returns
    -------
    Figure

    Raises
    ------
    TypeError, ValueError
        If there is no such kind, or too few trials for it.
    OSError
        If the journal cannot be read.
    ImportError
        If vl-convert is not installed.
    """
    if isinstance(result, TuningResult):
        record = search_record(result.study.header, result.history)
    elif isinstance(result, str | Path):
        path = Path(result)
        path = path / JOURNAL if path.is_dir() else path
        try:
            record = read_search("", path.read_bytes(), _ignored)
        except DataError as error:
            raise DataError(f"{printable(str(path))}: {error}") from None
    else:
        raise TypeError(
            f"result must be that of gf.tune, or the path of its journal, not {shown(result)}"
        )
    check_choice("kind", kind, ("convergence", "parallel_coordinates", "partial_dependence"))
    drawn = _files().search_figures(record).get(kind)
    if drawn is None:
        raise ValueError(
            f"kind {kind!r} needs more trials, or parameters, than the {len(record.done)} done "
            f"trials of {len(record.space)} parameters"
        )
    return Figure(drawn)


def _one_panel(title: str, drawn: dict[str, Any]) -> Figure:
    files = _files()
    return Figure(files.figure(title, [files.panel(drawn, width=_WIDE)], 1))


def _ignored(_phrase: str) -> None:
    """A damaged line costs its trial alone."""


def _files() -> ModuleType:
    """What draws; the only part that needs vl-convert."""
    try:
        return importlib.import_module("ganmf_fast.results.charts.files")
    except ModuleNotFoundError:
        raise ImportError('a figure needs vl-convert: pip install "ganmf-fast[plots]"') from None
