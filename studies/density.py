"""Which validation ranks models as `test` does: the paper's, or one at the density of use.

    python studies/density.py --data FOLDER [--datasets lastfm,hetrec2011,ml-1m] [--seeds 5,5,3]

FOLDER holds one folder of the five published splits for each data set. Classical models, some of
them with several settings, are fitted on `train` and measured on `test` by MAP@5; then each is
measured by validation, as published and drawn anew with several seeds: by the paper's rule, which
fits on 64 % of train, and by folds of `gf.tune(protocol="dense")`, which fit on nine tenths. How
far a validation ranks as `test` does is Spearman's correlation over the models. This opens
`test`: nothing may be chosen by it. Fits that are done are kept in runs/density/, so that the
command can be interrupted; at the end docs/results/density.md is written.
"""

import argparse
import json
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from scipy import stats

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.hardware import processor
from ganmf_fast.tuning.protocols import Dense

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "density"
PAGE = ROOT / "docs" / "results" / "density.md"
PUBLISHED = "published"
KINDS = {"paper": "the paper's rule", "dense": "a tenth of train"}
TEXT = """# Which validation ranks models as the test does

```sh
python studies/density.py --data path/to/data --datasets {datasets} --seeds {seeds}
```

**This page opens `test`.** It says which validation can be trusted, and nothing here may be used to
choose a model or a parameter.

{models} classical models and settings, MAP@5: fitted on `train` and measured on `test`, and by
validation inside `train`. The paper's rule fits on `train_small`, 64 % of `train`, and measures a
quarter of it; `protocol="dense"` of `gf.tune` ([tuning.md](../tuning.md#at-the-density-of-use))
fits nine tenths and measures a tenth. Both are drawn for several seeds; the published
`train_small` and `validation` are one more draw of the first kind. The correlation is Spearman's
over the models, its interval the 95 % t interval of the mean over the seeds; *of the mean* ranks
the models by their mean over the seeds, *best by it* is the first of that ranking with its figure
on `test`. Parameters are the published ones or those chosen by the paper's validation, where there
is no other number; WRMF has its published number of epochs.

{correlations}

{about}
"""


def models(dataset: str) -> dict[str, Callable[[], Any]]:
    """Models and settings, those of the paper with its parameters."""

    def published(row: str) -> dict[str, Any]:
        known = reference.best_params(dataset, row) or reference.chosen_params(dataset, row)
        return dict(known or {})

    factors = published("PureSVD")["num_factors"]
    return {
        "EASE, l2 100": lambda: gf.EASE(l2=100.0),
        "EASE, l2 500": lambda: gf.EASE(l2=500.0),
        "EASE, l2 2000": lambda: gf.EASE(l2=2000.0),
        f"PureSVD, {factors} factors": lambda: gf.PureSVD(num_factors=factors, seed=1337),
        f"PureSVD, {3 * factors} factors": lambda: gf.PureSVD(num_factors=3 * factors, seed=1337),
        "ItemKNN": lambda: gf.ItemKNN(**published("ItemKNN-cosine")),
        "UserKNN": lambda: gf.UserKNN(**published("UserKNN")),
        "P3alpha": lambda: gf.P3alpha(**published("P3alpha")),
        "RP3beta": lambda: gf.RP3beta(**published("RP3beta")),
        "WRMF": lambda: gf.WRMF(**published("WRMF")),
        "SLIM-ElasticNet": lambda: gf.SLIMElasticNet(**published("SLIM-ElasticNet")),
    }


def divisions(splits: gf.Splits, seeds: int) -> Iterator[tuple[str, Any, Any]]:
    """A name, what is fitted and what is measured; the test is the first."""
    yield "test", splits.train, splits.test
    yield f"paper {PUBLISHED}", splits.train_small, splits.validation
    for seed in range(seeds):
        [fold] = Dense(splits, 0.1, 1, seed).folds()()
        yield f"dense {seed}", fold.whole, fold.held_out
        outer = gf.split.holdout(splits.train, 0.25, seed=seed)
        small = gf.split.holdout(outer.train, 0.15, seed=seed + 2**32).train
        yield f"paper {seed}", small, outer.test


def measured(dataset: str, splits: gf.Splits, seeds: int) -> dict[str, dict[str, float]]:
    """MAP@5 by division and model; what an earlier call has measured is not fitted again."""
    path = KEPT / f"{dataset}.json"
    kept = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    path.parent.mkdir(parents=True, exist_ok=True)
    known = models(dataset)
    for name, train, held_out in divisions(splits, seeds):
        found = kept.setdefault(name, {})
        for model, make in known.items():
            if model in found:
                continue
            started = time.process_time()
            fitted = make().fit(train)
            found[model] = gf.evaluate(fitted, train, held_out, cutoffs=(5,))["map", 5]
            seconds = time.process_time() - started
            print(f"{dataset}, {name}, {model}: {found[model]:.4f} ({seconds:.1f} s)", flush=True)
            write_whole(path, json.dumps(kept, indent=1) + "\n")
    return kept


def correlation(one: dict[str, float], other: dict[str, float]) -> float:
    """Spearman's, over the models."""
    return float(stats.spearmanr([one[m] for m in other], list(other.values())).statistic)


def interval(values: list[float]) -> str:
    """The mean and its 95 % t interval."""
    mean = statistics.fmean(values)
    if len(values) == 1:
        return f"{mean:.2f}"
    half = stats.t.ppf(0.975, len(values) - 1) * statistics.stdev(values) / len(values) ** 0.5
    return f"{mean:.2f} ({mean - half:.2f} to {min(mean + half, 1):.2f})"


def means(kept: dict[str, dict[str, float]], kind: str, seeds: int) -> dict[str, float]:
    """Of each model, over the seeds."""
    return {m: statistics.fmean(kept[f"{kind} {s}"][m] for s in range(seeds)) for m in kept["test"]}


def correlations(found: dict[str, dict[str, dict[str, float]]], counts: dict[str, int]) -> str:
    """One row for each data set and kind of validation."""
    head = ["data", "validation", "seeds", "correlation with `test`", "of the mean", "published"]
    head.append("best by it")
    lines = [f"| {' | '.join(head)} |", "| --- | --- | ---: | ---: | ---: | ---: | --- |"]
    for dataset, kept in found.items():
        seeds = counts[dataset]
        for kind, name in KINDS.items():
            each = [correlation(kept[f"{kind} {s}"], kept["test"]) for s in range(seeds)]
            mean = means(kept, kind, seeds)
            published = kept.get(f"{kind} {PUBLISHED}")
            shown = "" if published is None else f"{correlation(published, kept['test']):.2f}"
            best = max(mean, key=lambda m: mean[m])
            of_mean = correlation(mean, kept["test"])
            lines.append(
                f"| {dataset} | {name} | {seeds} | {interval(each)} | {of_mean:.2f} | {shown} "
                f"| {best}, test {kept['test'][best]:.4f} |"
            )
    return "\n".join(lines)


def values(dataset: str, kept: dict[str, dict[str, float]], seeds: int) -> str:
    """What was measured of each model."""
    lines = [
        f"## {dataset}",
        "",
        "| model | test | a tenth of train | paper's rule | published draw |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    columns = [kept["test"], means(kept, "dense", seeds), means(kept, "paper", seeds)]
    columns.append(kept[f"paper {PUBLISHED}"])
    lines += [
        f"| {model} | " + " | ".join(f"{column[model]:.4f}" for column in columns) + " |"
        for model in sorted(kept["test"], key=lambda m: -kept["test"][m])
    ]
    return "\n".join(lines)


def main() -> None:
    """Measure what is missing, then write the page of all data sets that are complete."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--datasets", default="lastfm,hetrec2011,ml-1m")
    parser.add_argument("--seeds", default="5,5,3", help="for each data set")
    parser.add_argument("--threads", type=int, default=1)
    arguments = parser.parse_args()
    gf.set_num_threads(arguments.threads)
    datasets = arguments.datasets.split(",")
    counts = dict(zip(datasets, map(int, arguments.seeds.split(",")), strict=True))
    found = {}
    for dataset, seeds in counts.items():
        splits = gf.Splits.load(arguments.data / dataset)
        found[dataset] = measured(dataset, splits, seeds)
    page = TEXT.format(
        models=len(next(iter(found.values()))["test"]),
        datasets=arguments.datasets,
        seeds=arguments.seeds,
        correlations=correlations(found, counts),
        about=f"{time.strftime('%Y-%m-%d')}, {processor()}.",
    )
    parts = [page.rstrip(), *(values(d, kept, counts[d]) for d, kept in found.items())]
    write_whole(PAGE, "\n\n".join(parts) + "\n")


if __name__ == "__main__":
    main()
