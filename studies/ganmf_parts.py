"""What each part of GANMF() brings, beside EASE and SLIM: by what is held out of train.

    python studies/ganmf_parts.py --data FOLDER [--sets lastfm;hetrec2011;ml-1m] [--folds 3]

FOLDER is that of `ganmf_defaults.py`. A tenth of each user's interactions in train is held out,
by another seed for each fold, and everything is fitted on the others: GANMF with the parameters
that GANMF() chooses, and with one part changed, for as many epochs as early stopping finds on a
tenth of those; EASE with the best of five penalties on what is measured, an advantage; on the
paper's sets SLIM with the parameters that the paper's validation chose. No test is read. A line
for each fit is kept in docs/results/ganmf-parts.jsonl, and what is there is not fitted again;
docs/results/ganmf-parts.md is written anew.
"""

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

import ganmf_defaults as defaults
import ganmf_fast as gf
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.gan.defaults import MOST_EPOCHS, chosen_for

RESULTS = defaults.ROOT / "docs" / "results"
JOURNAL = RESULTS / "ganmf-parts.jsonl"
PAGE = RESULTS / "ganmf-parts.md"
CHOSEN = defaults.ROOT / "python" / "ganmf_fast" / "reference" / "chosen_params.json"

# A step moves a weight by about its rate: this one stands still.
_STILL = 1e-12
CHANGES: dict[str, dict[str, Any]] = {
    "GANMF()": {},
    "nothing trained": {"epochs": 0},
    "discriminator not trained": {"d_lr": _STILL},
    "no adversary: m = 0": {"m": 0.0},
    "no energy: a = 1": {"recon_coefficient": 1.0},
    "whole profiles": {"norm_exponent": 0.0},
    "reconstructions matched": {"matching": "reconstruction"},
    "learned user factors": {"user_factors": "learned"},
    "all from random weights": {"d_init": "glorot", "init": "glorot", "d_lr": 9e-4, "g_lr": 2.5e-3},
}
BESIDE = ("EASE", "SLIM-ElasticNet")


def ganmf(train: defaults.Matrix, change: dict[str, Any], seed: int) -> gf.GANMF:
    """Fit with the number of epochs that a tenth of `train` asks for."""
    params = {**chosen_for(*train.shape, train.nnz, None), **change}
    if "epochs" not in params:
        inner = gf.split.holdout(train, 0.1, seed=1000 + seed)
        search = gf.GANMF(seed=seed, epochs=MOST_EPOCHS, **params)
        params["epochs"] = search.fit(inner.train, validation=inner.test).best_epoch_
    return gf.GANMF(seed=seed, **params).fit(train)


def measured(data: str, name: str, train: defaults.Matrix, held_out: Any, seed: int) -> Any:
    """Values of one row, and its epochs."""
    if name == "EASE":
        return defaults.best_ease(train, held_out), None
    if name in CHANGES:
        model = ganmf(train, CHANGES[name], seed)
        return defaults.values(model, train, held_out), model.best_epoch_
    params = json.loads(CHOSEN.read_text(encoding="utf-8"))["datasets"][data][name]
    return defaults.values(gf.SLIMElasticNet(**params).fit(train), train, held_out), None


def measure(folder: Path, names: list[str], folds: int) -> None:
    """Fit what is missing."""
    done = {(line["data"], line["fold"], line["row"]) for line in defaults.lines_of(JOURNAL)}
    slim = json.loads(CHOSEN.read_text(encoding="utf-8"))["datasets"]
    for fold in range(folds):
        for data in names:
            train, _ = (defaults.SETS | defaults.NEW)[data](folder)
            split = gf.split.holdout(train, 0.1, seed=20 + fold)
            for row in (*BESIDE, *CHANGES):
                known = row != "SLIM-ElasticNet" or data in slim
                if (data, fold, row) in done or not known:
                    continue
                started = time.process_time()
                found, epochs = measured(data, row, split.train, split.test, fold)
                line = {
                    "data": data,
                    "fold": fold,
                    "row": row,
                    "values": found,
                    "epochs": epochs,
                    "seconds": round(time.process_time() - started, 1),
                }
                with JOURNAL.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(line) + "\n")
                print(data, fold, row, epochs, f"{found['map@5']:.4f}", flush=True)


TEXT = """# What each part of GANMF brings

```sh
{command}
```

No test is read: a tenth of each user's interactions in `train` is held out and everything fitted
on the others. EASE has the best of five penalties on what is measured; SLIM-ElasticNet, on the
paper's sets, the parameters that their validation chose; GANMF the parameters that `GANMF()`
chooses, with one part changed in each row, and the epochs that a tenth of what it is fitted on
asks for. Means over folds; in brackets the standard deviation, over folds, of the difference to
`GANMF()`; seconds of CPU time, both fits.

{tables}

{about}
"""


def table(data: str, lines: list[dict[str, Any]]) -> str:
    """One data set."""
    by_row: dict[str, dict[int, dict[str, Any]]] = {}
    for line in lines:
        if line["data"] == data:
            by_row.setdefault(line["row"], {})[line["fold"]] = line
    metrics = [f"{metric}@{k}" for metric, k in defaults.METRICS]
    head = ["model", *(name.upper() for name in metrics), "epochs", "s"]
    rows = [f"| {' | '.join(head)} |", "| --- |" + " ---: |" * (len(head) - 1)]
    base = by_row.get("GANMF()", {})
    for row in (name for name in (*BESIDE, *CHANGES) if name in by_row):
        folds = by_row[row]
        cells = []
        for metric in metrics:
            mean = statistics.fmean(line["values"][metric] for line in folds.values())
            differences = [
                folds[fold]["values"][metric] - base[fold]["values"][metric]
                for fold in folds.keys() & base.keys()
            ]
            spread = ""
            if row != "GANMF()" and len(differences) > 1:
                spread = f" ({statistics.stdev(differences):.4f})"
            cells.append(f"{mean:.4f}{spread}")
        epochs = [str(line["epochs"]) for line in folds.values() if line["epochs"] is not None]
        seconds = statistics.fmean(line["seconds"] for line in folds.values())
        rows.append(f"| {row} | {' | '.join(cells)} | {', '.join(epochs)} | {seconds:.0f} |")
    n_folds = max(len(folds) for folds in by_row.values())
    return f"## {data}\n\nFolds: {n_folds}.\n\n" + "\n".join(rows)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True, help="folder")
    parser.add_argument("--sets", default="lastfm;hetrec2011;ml-1m")
    parser.add_argument("--folds", type=int, default=3)
    arguments = parser.parse_args()
    measure(arguments.data, arguments.sets.split(";"), arguments.folds)
    lines = defaults.lines_of(JOURNAL)
    names = dict.fromkeys(line["data"] for line in lines)
    about = f"{time.strftime('%Y-%m-%d')}, {processor()}."
    tables = "\n\n".join(table(name, lines) for name in names)
    n_folds = max(line["fold"] for line in lines) + 1
    command = "python studies/ganmf_parts.py --data path/to/data"
    command += f' --sets "{";".join(names)}" --folds {n_folds}'
    write_whole(PAGE, TEXT.format(command=command, tables=tables, about=about))


if __name__ == "__main__":
    main()
