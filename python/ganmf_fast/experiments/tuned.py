"""Parameters of variants, searched on their own data by the paper's protocol."""

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ganmf_fast.base.files import make_folder, write_whole
from ganmf_fast.experiments.variants import ModelVariant
from ganmf_fast.results.search import JOURNAL
from ganmf_fast.split import Splits
from ganmf_fast.tuning import Tracker, TuningResult, packaged_space, tune
from ganmf_fast.tuning.trackers.lines import Lines

# Options of a run, not parameters of its variant.
_OPTIONS = ("seed", "device")


def tuned_params(
    rows: Sequence[ModelVariant],
    splits: Splits,
    folder: Path,
    seed: int,
    n_calls: int = 50,
    device: str = "auto",
    log: Callable[[str], None] = lambda _text: None,
) -> dict[str, dict[str, Any]]:
    """Search the parameters of each variant that has any to search.

    Parameters
    ----------
    rows : sequence of ModelVariant
    splits : Splits
    folder : Path
        Journals are ``folder/ROW/journal.jsonl``; finished trials found there are not run again.
    seed : int
        Of the search and of the models.
    n_calls : int, default 50
    device : str, default "auto"
        For models that have the parameter.
    log : callable, optional
        Called with a line of text on each trial.

    Returns
    -------
    dict of str to dict
        Parameters by the name of the variant, as `run_specs` takes them.

    Raises
    ------
    RuntimeError
        If no trial of a variant is done.
    """
    found = {}
    trackers: list[Tracker] = [Lines(log)]
    for row in rows:
        if packaged_space(row.cls or row.model) is None:
            continue
        log(f"tuning {row.name} ...")
        fixed = dict(row.fixed)
        if device != "auto" and "device" in row.signature:
            fixed["device"] = device
        result = tune(
            row.cls or row.model,
            splits,
            n_calls=n_calls,
            seed=seed,
            fixed=fixed,
            journal=folder / row.name / JOURNAL,
            trackers=trackers,
        )
        log(f"tuning {row.name}: MAP@5 {result.best_value:.4f} on validation")
        found[row.name] = _without_options(result)
    return found


def _without_options(result: TuningResult) -> dict[str, Any]:
    return {name: v for name, v in result.best_params.items() if name not in _OPTIONS}


def write_result(
    folder: Path, model: str, result: TuningResult, *, final: bool = True
) -> dict[str, Any]:
    """Write the outcome of a search: ``result.json``, and ``best.json`` for `reproduce`.

    Parameters
    ----------
    folder : Path
    model : str
        Variant or model, as it was asked for.
    result : TuningResult
        With at least one trial that is done.
    final : bool, default True
        Fit the best parameters on ``train`` and evaluate them on ``test``, if there is one.

    Returns
    -------
    dict
        The content of ``result.json``.

    Raises
    ------
    WriteError
        If a file cannot be written.
    """
    header = dict(result.study.header)
    test = result.final.test if final else None
    statuses = [trial.status for trial in result.history]
    document = {
        "model": model,
        "dataset": header["dataset"],
        "metric": header["metric"],
        "best_value": result.best_value,
        "best_params": result.best_params,
        "best_trial": result.best_trial.number,
        "trials": {status: statuses.count(status) for status in ("done", "pruned", "failed")},
        "seconds": sum(trial.seconds for trial in result.history),
        "test": test.to_dict() if test is not None else None,
        "search": header,
    }
    text = json.dumps(document, indent=1)
    make_folder(folder)
    write_whole(folder / "result.json", text + "\n")
    best = {model: _without_options(result)}
    write_whole(folder / "best.json", json.dumps(best, indent=1) + "\n")
    written: dict[str, Any] = json.loads(text)
    return written
