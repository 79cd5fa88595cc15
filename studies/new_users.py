"""Lists for people who were not fitted, beside those of the same people had they been fitted.

    python studies/new_users.py --data FOLDER/lastfm [--rows GANMF-u,UserKNN]

FOLDER/lastfm holds the five published splits. A fifth of the users of `train`, drawn with seed 0,
is left out; each row is fitted on the others with its published parameters (GANMF-u with 110
epochs), and once more on all of `train`. The table printed has MAP@5 on `test`: of the fitted users
by what was fitted for them, and from their profiles as if they were new; of the others from their
profiles, and had they been fitted. A row that was measured is kept in runs/new_users/.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.variants import VARIANTS

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "new_users"
ROWS = (
    "GANMF-u,GANMF-i,binGANMF-u,CFGAN-u,CFGAN-i,UserKNN,ItemKNN-cosine,EASE-R,PureSVD,WRMF,"
    "TopPopular"
)
# GANMF learns a little longer than the published number of epochs.
CHANGED = {"GANMF-u": {"epochs": 110}}


def main() -> None:
    """Measure the rows that are missing, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--rows", default=ROWS)
    options = parser.parse_args()
    torch.set_num_threads(1)
    splits = gf.Splits.load(options.data)
    found = {row: measured(row, splits, options.data.name) for row in options.rows.split(",")}
    lines = [
        "| model | fitted users | the same, as new | new users | had they been fitted | fit, s |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
        *(
            f"| {row} | {r['fitted']:.4f} | {r['as_new']:.4f} | {r['new']:.4f} | "
            f"{r['had_been']:.4f} | {r['seconds']:.0f} |"
            for row, r in found.items()
        ),
    ]
    print("\n".join(lines))


def measured(row: str, splits: gf.Splits, dataset: str) -> dict[str, float]:
    """MAP@5 of one row, kept once it is known."""
    path = KEPT / f"{dataset}-{row}.json"
    if path.exists():
        known: dict[str, float] = json.loads(path.read_text(encoding="utf-8"))
        return known
    train, test = sp.csr_array(splits.train), sp.csr_array(splits.test)
    users = np.arange(train.shape[0])
    new = gf.split.cold_users(train, 0.2, seed=0).users
    old = np.setdiff1d(users, new)
    started = time.perf_counter()
    model = made(row, dataset).fit(train[old])
    seconds = time.perf_counter() - started

    def map_at_5(lists: Any, rows: Any) -> float:
        return gf.evaluate_lists(lists.items, test[rows], [5], metrics=["map"])["map", 5]

    whole = made(row, dataset).fit(train)
    found = {
        "fitted": map_at_5(model.recommend(range(len(old)), n=5), old),
        "as_new": map_at_5(model.recommend(profiles=train[old], n=5), old),
        "new": map_at_5(model.recommend(profiles=train[new], n=5), new),
        "had_been": map_at_5(whole.recommend(new, n=5), new),
        "seconds": seconds,
    }
    KEPT.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(found), encoding="utf-8")
    return found


def made(row: str, dataset: str) -> Any:
    """The model of a row with its parameters."""
    variant = next(variant for variant in VARIANTS if variant.name == row)
    params = reference.best_params(dataset, row) or reference.chosen_params(dataset, row)
    params = {**(variant.defaults if params is None else params), **variant.fixed}
    if variant.quirks:
        params["published_quirks"] = True
    return getattr(gf, variant.model)(**{**params, **CHANGED.get(row, {})})


if __name__ == "__main__":
    main()
