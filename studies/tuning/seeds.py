"""The same search with ten seeds: what one search of 50 calls says, and what other searches find.

    python studies/tuning/seeds.py --data FOLDER --runs RUNS [--rows A,B] [--datasets a,b]
                                   [--backend B] [--others]

Backends beside ours: `gp_minimize` by default (plain), Optuna's (optuna), random search (random).
"""

import argparse
import json

from common import (
    SEED,
    first_points,
    folder_name,
    label,
    reference_value,
    search,
    search_parser,
)

import ganmf_fast as gf
from ganmf_fast.experiments.variants import select

SEEDS = range(SEED, SEED + 10)


def seeds(args: argparse.Namespace) -> None:
    """The same search with other seeds."""
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for row in select(args.rows.split(",")):
            name = folder_name(row, args)
            folder = args.runs / dataset / name
            best = {}
            for seed in SEEDS:
                own = folder if seed == SEED else folder / f"seed-{seed}"
                best[seed] = search(
                    row,
                    splits,
                    own,
                    args.calls,
                    seed,
                    args.backend,
                    args.ties,
                    begin=first_points(row, dataset, args),
                ).best_value
                print(f"{dataset} {name}, seed {seed}: {best[seed]:.4f}", flush=True)
            summary = {
                "row": row.name,
                "search": label(args),
                "best": best,
                "yardstick": reference_value(row, dataset, splits, args.ties)["value"],
            }
            (folder / "seeds.json").write_text(json.dumps(summary, indent=1) + "\n")


if __name__ == "__main__":
    options = search_parser(__doc__)
    given = options.parse_args()
    gf.set_num_threads(given.threads)
    seeds(given)
