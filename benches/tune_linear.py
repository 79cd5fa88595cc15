"""Choose the penalties of SLIM-ElasticNet and EASE on validation, then measure on test.

    python benches/tune_linear.py --data FOLDER --datasets lastfm,hetrec2011,ml-1m [--write]

FOLDER holds one folder of the five published splits for each data set. Each model is fitted on
`train_small` at most 30 times and judged by MAP@5 on `validation`; the best parameters are then
fitted on `train` and measured once on `test`. Prints one line for each fit and a table at the end;
`--write` puts the parameters into python/ganmf_fast/reference/chosen_params.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import ganmf_fast as gf
from ganmf_fast.models.base import Recommender

CHOSEN = Path(__file__).parents[1] / "python/ganmf_fast/reference/chosen_params.json"
# Five values for each power of ten, from 10 to 10000.
L2 = [float(f"{10 ** (1 + k / 5):.3g}") for k in range(16)]
# Strengths by share of absolute values: coarse first, then around the best.
RATIOS = (0.3, 0.1, 0.03, 0.01)
ALPHAS = (0.02, 0.01, 0.005, 0.002, 0.001)
TOPK = 1000


def score(model: Recommender, train: object, held_out: object) -> tuple[float, float]:
    """MAP@5 and NDCG@5."""
    result = gf.evaluate(model, train, held_out, cutoffs=(5,))
    return result["map", 5], result["ndcg", 5]


def slim(splits: gf.Splits) -> tuple[str, dict[str, Any], int]:
    """Two paths: a coarse grid, and neighbours of its best point; 29 fits."""
    tried: dict[tuple[float, float], float] = {}

    def judge(penalties: Iterable[tuple[float, float]]) -> tuple[float, float]:
        new = [p for p in penalties if p not in tried]
        base = gf.SLIMElasticNet(topk=TOPK)
        for penalty, model in zip(new, base.fit_path(splits.train_small, new), strict=True):
            tried[penalty] = score(model, splits.train_small, splits.validation)[0]
            print(f"  alpha={penalty[0]:g} l1_ratio={penalty[1]:g}: {tried[penalty]:.4f}")
            sys.stdout.flush()
        return max(tried, key=lambda p: tried[p])

    alpha, ratio = judge([(a, r) for r in RATIOS for a in ALPHAS])
    steps = [(0.7, 1), (1.4, 1), (1, 0.6), (1, 1.6), (0.7, 1.6), (1.4, 0.6), (2, 0.5), (0.5, 2)]
    near = [(float(f"{alpha * a:.3g}"), float(f"{min(ratio * r, 1):.3g}")) for a, r in steps]
    alpha, ratio = judge(near)
    return "SLIM-ElasticNet", {"topk": TOPK, "alpha": alpha, "l1_ratio": ratio}, len(tried)


def ease(splits: gf.Splits) -> tuple[str, dict[str, Any], int]:
    """A grid of 16 penalties."""
    values = {}
    for l2 in L2:
        model = gf.EASE(float(l2)).fit(splits.train_small)
        values[l2] = score(model, splits.train_small, splits.validation)[0]
        print(f"  l2={l2:g}: {values[l2]:.4f}", flush=True)
    return "EASE-R", {"l2": float(max(values, key=lambda l2: values[l2]))}, len(values)


def main() -> None:
    """Run as described above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = []
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for choose in (slim, ease):
            print(f"{dataset}: {choose.__name__}", flush=True)
            start = time.process_time()
            name, params, fits = choose(splits)
            tuning = time.process_time() - start
            model = (gf.EASE if choose is ease else gf.SLIMElasticNet)(**params)
            start = time.process_time()
            model.fit(splits.train)
            fitting = time.process_time() - start
            quality, ndcg = score(model, splits.train, splits.test)
            shown = ", ".join(f"{k}={v:g}" for k, v in params.items())
            lines.append(
                f"| {dataset} | {name} | {shown} | {fits} | {tuning:.0f} | {fitting:.2f} "
                f"| {quality:.4f} | {ndcg:.4f} |"
            )
            print(lines[-1], flush=True)
            if args.write:
                content = json.loads(CHOSEN.read_text(encoding="utf-8"))
                content["datasets"].setdefault(dataset, {})[name] = params
                CHOSEN.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    print("| data | model | parameters | fits | tuning s | fit s | MAP@5 | NDCG@5 |")
    print("|---|---|---|---|---|---|---|---|")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
