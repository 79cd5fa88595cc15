"""How many more epochs more interactions want, by early stopping inside train.

    python studies/epochs.py --data FOLDER [--datasets lastfm,...] [--seeds 3] [--models ...]

FOLDER holds one folder of the five published splits for each data set; `test` is not read. Each
model is fitted on `train_small` and again on `train_small` and `validation` together, .6375 and
.8875 of `train`, both times stopped on `early_stop` by the paper's rule: a check every fifth epoch,
the end at the sixth that is not better. Parameters are the published ones, for models that the
paper does not have the defaults. Fits that are done are kept in runs/epochs/, so that the command
can be interrupted; at the end docs/results/epochs.md is written, of all that is kept.
"""

import argparse
import json
import math
import statistics
import time
from pathlib import Path
from typing import Any

import ganmf_defaults as defaults
import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.experiments.variants import select
from ganmf_fast.models.registry import model_class
from ganmf_fast.tuning.protocols import Paper

KEPT = defaults.ROOT / "runs" / "epochs" / "epochs.jsonl"
PAGE = defaults.ROOT / "docs" / "results" / "epochs.md"
MODELS = ("GANMF-u", "SLIM-BPR", "BPR-MF-DNS", "CDAE")
MOST = 400
TEXT = """# Epochs, and the number of interactions

```sh
python studies/epochs.py --data path/to/data
```

Epochs that early stopping asks for on .6375 of `train` (`train_small`) and on .8875 of it (with
`validation`), stopped on `early_stop` both times by MAP@5: a check every fifth epoch, patience of
five checks. Published parameters, or the defaults of models that the paper does not have; `test`
is not read. Geometric means over seeds; a row that is not here was not run yet.

{table}

*Power* is that of the ratio of interactions by which the epochs grow. An epoch of GANMF has a step
for each batch of users, however long their profiles are. One of SLIM-BPR, BPR-MF and CDAE has a
step for each interaction, and of longer epochs fewer are asked for. `epochs_for_more_data`, by
which `GANMF()` and the final fit of the dense protocol go from a part of the data to all, has the
power .25 for every model: 1.04 times the epochs from .85 of the data.

{about}
"""


def fits(splits: gf.Splits, name: str, seed: int, device: str) -> dict[str, Any]:
    """Interactions and best epoch of both fits."""
    (row,) = select([name])
    published = reference.best_params(splits.name, row.params_of or row.name)
    params = {**row.defaults, **(published or {}), **row.fixed}
    params |= {"epochs": MOST, "freq": 5, "allow_worse": 5, "seed": seed}
    if "device" in model_class(row.model)().get_params():
        params["device"] = device
    found = []
    more, early_stop = Paper(splits).again()
    for X in (splits.train_small, more):
        model = model_class(row.model)(**params).fit(X, validation=early_stop)
        found.append((int(X.nnz), int(model.best_epoch_)))
    return {"data": splits.name, "model": name, "seed": seed, "fits": found}


def power(one: dict[str, Any]) -> float:
    """Of the ratio of interactions, by which the epochs grew."""
    (n, epochs), (more, more_epochs) = one["fits"]
    return math.log(more_epochs / epochs) / math.log(more / n)


def table(found: list[dict[str, Any]]) -> str:
    """A row for each model and data set."""
    datasets, models = (dict.fromkeys(one[key] for one in found) for key in ("data", "model"))
    lines = [
        "| model | data | seeds | epochs on .6375 | on .8875 | power |",
        "| --- | --- | ---: | ---: | ---: | ---: |",
    ]
    for model in models:
        for data in datasets:
            mine = [one for one in found if (one["data"], one["model"]) == (data, model)]
            if mine:
                few, many = (
                    statistics.geometric_mean(one["fits"][nth][1] for one in mine) for nth in (0, 1)
                )
                mean = statistics.fmean(map(power, mine))
                cells = f"{len(mine)} | {few:.0f} | {many:.0f} | {mean:+.2f}"
                lines.append(f"| {model} | {data} | {cells} |")
    return "\n".join(lines)


def main() -> None:
    """Fit what is missing, then write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--models", default=",".join(MODELS))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    datasets, models = arguments.datasets.split(","), arguments.models.split(",")
    KEPT.parent.mkdir(parents=True, exist_ok=True)
    kept = {(one["data"], one["model"], one["seed"]): one for one in defaults.lines_of(KEPT)}
    for seed in range(arguments.seeds):
        for data in datasets:
            splits = gf.Splits.load(arguments.data / data)
            for model in (name for name in models if (data, name, seed) not in kept):
                started = time.process_time()
                one = fits(splits, model, seed, arguments.device)
                print(one, f"{time.process_time() - started:.0f} s", flush=True)
                with KEPT.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(one) + "\n")
                kept[data, model, seed] = one
    found = list(kept.values())
    about = f"{time.strftime('%Y-%m-%d')}, {processor()}."
    write_whole(PAGE, TEXT.format(table=table(found), about=about))


if __name__ == "__main__":
    main()
