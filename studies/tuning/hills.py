"""ItemKNN-cosine on HetRec at every number of neighbours: the landscape that a search climbs.

python studies/tuning/hills.py --data FOLDER --runs RUNS
"""

import argparse
import json

from common import parser

import ganmf_fast as gf
from ganmf_fast.experiments.variants import select
from ganmf_fast.models.registry import model_class

HILLS = ("hetrec2011", "ItemKNN-cosine")
HILL_TOPKS, HILL_SHRINKS = range(60, 301), (0, 1000)


def hills(args: argparse.Namespace) -> None:
    """MAP@5 of ItemKNN-cosine on HetRec along topk, at both ends of shrink."""
    [row] = select([HILLS[1]])
    splits = gf.Splits.load(args.data / HILLS[0])
    found: dict[str, list[float]] = {}
    for shrink in HILL_SHRINKS:
        for topk in HILL_TOPKS:
            params = {"topk": topk, "shrink": shrink, "normalize": True}
            model = model_class(row.model)(**{**row.fixed, **params}).fit(splits.train_small)
            of = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,))
            found.setdefault(str(shrink), []).append(of["map", 5])
        print(f"shrink {shrink}: {max(found[str(shrink)]):.4f}", flush=True)
    (args.runs / "hills.json").write_text(json.dumps(found) + "\n")


if __name__ == "__main__":
    options = parser(__doc__)
    given = options.parse_args()
    gf.set_num_threads(given.threads)
    hills(given)
