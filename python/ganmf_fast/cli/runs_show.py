"""``ganmf runs show``."""

import importlib
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown
from ganmf_fast.cli.common import Common, begin, print_json, print_table, say, show
from ganmf_fast.cli.index_option import Index
from ganmf_fast.results.search import JOURNAL, read_search
from ganmf_fast.tuning import read_journal
from ganmf_fast.tuning.journal import MAX_BYTES
from ganmf_fast.tuning.spaces import Space, searched
from ganmf_fast.tuning.trackers.index import RunIndex
from ganmf_fast.tuning.trial import best_of, describe_best

_NO_COMMON = Common()


def runs_show(
    run: Annotated[str, Parameter(help="Number in the list, folder of a search, or journal.")],
    *,
    plots: Annotated[Path | None, Parameter(help="Folder for charts of the search (PNG).")] = None,
    index: Index = None,
    common: Common = _NO_COMMON,
) -> None:
    """Show what a search does, also while it runs: every trial, and the best."""
    begin(common)
    path = _journal(run, index)
    header, trials = read_journal(path)
    try:
        space = Space.resolve(header["space"], {}, (0, 0)).effective
    except (TypeError, ValueError) as error:
        raise DataError(f"{path} is damaged: {error}") from None
    if plots is not None:
        try:
            files = importlib.import_module("ganmf_fast.results.charts.files")
        except ImportError:
            raise ImportError('plots needs vl-convert: pip install "ganmf-fast[report]"') from None
        found = read_search("", json_files.contents(path, MAX_BYTES), say)
        say(f"{', '.join(files.write_search_figures(found, plots))} are in {plots}")
    if common.json:
        print_json({"search": header, "trials": [trial.to_dict() for trial in trials]})
        return
    names = [name for name, dimension in space.items() if searched(dimension)]
    print_table(
        f"{header['model']} on {header['dataset']}, {header['metric']}, {header['backend']}, "
        f"seed {header['seed']}",
        ("trial", header["metric"], *names, "epochs", "seconds", ""),
        [
            (
                trial.number,
                trial.value,
                *(_text(trial.params.get(name)) for name in names),
                trial.epochs,
                round(trial.seconds, 2),
                trial.reason or trial.status,
            )
            for trial in trials
        ],
    )
    show(describe_best(best_of(trials)) or "no trial is done")


def _journal(run: str, index: Path | None) -> Path:
    path = Path(run)
    if path.is_dir():
        path /= JOURNAL
    if path.is_file():
        return path
    found = [row["journal"] for row in RunIndex(index).runs() if str(row["id"]) == run]
    if not found:
        raise ValueError(
            f"run must be a number that `ganmf runs list` shows, the folder of a search or a "
            f"journal, not {shown(run)}"
        )
    return Path(found[0])


def _text(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
