"""Choose what the authors did not publish on validation, then measure on test.

    python studies/tune_linear.py --data FOLDER --datasets lastfm,hetrec2011,ml-1m
        [--models slim,ease,walk,users] [--write]

FOLDER holds one folder of the five published splits for each data set. Each model is fitted on
`train_small` at most 50 times and judged by MAP@5 on `validation`; the best parameters are then
fitted on `train` and measured once on `test`. Prints one line for each fit and a table at the end;
`--write` puts the parameters into python/ganmf_fast/reference/chosen_params.json.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np

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


def search(
    splits: gf.Splits,
    build: Callable[..., Recommender],
    draw: Callable[[np.random.Generator], dict[str, Any]],
    near: Callable[[np.random.Generator, dict[str, Any]], dict[str, Any]],
) -> tuple[dict[str, Any], int]:
    """30 random points, then 20 near the best so far, each step half as wide as it was."""
    rng = np.random.default_rng(1337)
    tried: list[tuple[float, dict[str, Any]]] = []
    for call in range(50):
        best = max(tried, key=lambda found: found[0])[1] if tried else {}
        params = draw(rng) if call < 30 else near(rng, best)
        model = build(**params).fit(splits.train_small)
        tried.append((score(model, splits.train_small, splits.validation)[0], params))
        shown = " ".join(f"{name}={value:g}" for name, value in params.items())
        print(f"  {shown}: {tried[-1][0]:.4f}", flush=True)
    return max(tried, key=lambda found: found[0])[1], len(tried)


def _moved(rng: np.random.Generator, value: float, width: float, high: float) -> float:
    return float(f"{min(max(value + rng.normal(0, width), 0), high):.3g}")


def walk(splits: gf.Splits) -> tuple[str, dict[str, Any], int]:
    """RP3beta in the search space that the paper has for P3alpha, and beta as alpha."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {
            "topk": int(rng.integers(5, 1001)),
            "alpha": float(f"{rng.uniform(0, 2):.3g}"),
            "beta": float(f"{rng.uniform(0, 2):.3g}"),
            "normalize_similarity": bool(rng.integers(2)),
        }

    def near(rng: np.random.Generator, best: dict[str, Any]) -> dict[str, Any]:
        return {
            "topk": int(np.clip(best["topk"] * rng.uniform(0.6, 1.6), 5, 1000)),
            "alpha": _moved(rng, best["alpha"], 0.15, 2.0),
            "beta": _moved(rng, best["beta"], 0.15, 2.0),
            "normalize_similarity": best["normalize_similarity"],
        }

    return "RP3beta", *search(splits, gf.RP3beta, draw, near)


def users(splits: gf.Splits) -> tuple[str, dict[str, Any], int]:
    """UserKNN with the cosine."""

    def draw(rng: np.random.Generator) -> dict[str, Any]:
        return {"topk": int(rng.integers(5, 1001)), "shrink": int(rng.integers(0, 1001))}

    def near(rng: np.random.Generator, best: dict[str, Any]) -> dict[str, Any]:
        return {
            "topk": int(np.clip(best["topk"] * rng.uniform(0.6, 1.6), 5, 1000)),
            "shrink": int(np.clip((best["shrink"] + 5) * rng.uniform(0.4, 1.8) - 5, 0, 1000)),
        }

    return "UserKNN", *search(splits, gf.UserKNN, draw, near)


CHOOSE = {"slim": (slim, gf.SLIMElasticNet), "ease": (ease, gf.EASE)}
CHOOSE |= {"walk": (walk, gf.RP3beta), "users": (users, gf.UserKNN)}


def main() -> None:
    """Run as described above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--models", default=",".join(CHOOSE))
    parser.add_argument("--write", action="store_true")
    args = parser.parse_args()
    lines = []
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for choose, build in (CHOOSE[name] for name in args.models.split(",")):
            print(f"{dataset}: {choose.__name__}", flush=True)
            start = time.process_time()
            name, params, fits = choose(splits)
            tuning = time.process_time() - start
            model = build(**params)
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
