"""Parameters of rows of the comparison, searched on its own data by the paper's protocol."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ganmf_fast.experiments.variants import Row
from ganmf_fast.models import model_class
from ganmf_fast.split import Splits
from ganmf_fast.tuning import Tracker, packaged_space, tune

__all__ = ["tuned_params"]

# Options of a comparison, not parameters of its rows.
_OPTIONS = ("seed", "device")


def tuned_params(
    rows: Sequence[Row],
    splits: Splits,
    folder: Path,
    seed: int,
    n_calls: int = 50,
    device: str = "auto",
    trackers: Sequence[Tracker] = (),
    say: Callable[[str], None] = lambda _text: None,
) -> dict[str, dict[str, Any]]:
    """Search the parameters of each row that has something to search.

    Parameters
    ----------
    rows : sequence of Row
    splits : Splits
    folder : Path
        Journals are ``folder/ROW/journal.jsonl``; finished trials found there are not run again.
    seed : int
        Of the search and of the models.
    n_calls : int, default 50
    device : str, default "auto"
        For models that have the parameter.
    trackers : sequence of Tracker, optional
    say : callable, optional
        Called with a line of text when a search begins and ends.

    Returns
    -------
    dict of str to dict
        Parameters by the name of the row, as `plans` takes them.

    Raises
    ------
    RuntimeError
        If no trial of a row is done.
    """
    found = {}
    for row in rows:
        if packaged_space(row.model) is None:
            continue
        say(f"tuning {row.name} ...")
        fixed = dict(row.fixed)
        if device != "auto" and "device" in model_class(row.model)().get_params():
            fixed["device"] = device
        result = tune(
            row.model,
            splits,
            n_calls=n_calls,
            seed=seed,
            fixed=fixed,
            journal=folder / row.name / "journal.jsonl",
            trackers=trackers,
        )
        say(f"tuning {row.name}: MAP@5 {result.best_value:.4f} on validation")
        best = result.best_params
        found[row.name] = {name: v for name, v in best.items() if name not in _OPTIONS}
    return found
