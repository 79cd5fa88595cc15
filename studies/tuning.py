"""Tune on real data, beside the published parameters; kill a search at random moments.

    python studies/tuning.py tune --data FOLDER --runs RUNS [--rows A,B] [--datasets a,b]
                                  [--backend B] [--ties T] [--others]
    python studies/tuning.py seeds --data FOLDER --runs RUNS [--rows A,B] [--datasets a,b]
                                   [--backend B] [--others]
    python studies/tuning.py hills --data FOLDER --runs RUNS
    python studies/tuning.py kill --data FOLDER --runs RUNS [--kills 20]
    python studies/tuning.py report --data FOLDER --runs RUNS

FOLDER holds one folder of the five published splits for each data set. `tune` searches each row by
the paper's protocol (journals RUNS/DATASET/ROW/journal.jsonl; finished trials are not run twice)
and measures the published parameters, or for EASE-R those chosen earlier, on the same validation
set. `seeds` makes the same search with nine further seeds, to show what one search of 50 calls
says, and what other searches do: `gp_minimize` by default (plain), Optuna's (optuna), chance
(random). With --others a search begins with what was published for the other two sets. `hills`
measures ItemKNN-cosine on HetRec at every number of neighbours, to show what is climbed. `kill`
runs one search of ItemKNN-cosine on Last.fm again and again, each time killed by SIGKILL after a
random time, until it is through, and compares its journal with that of a search left alone.
`report` writes docs/results/tuning.md from what the others left in RUNS and, where there is a
search of GANMF-u on Last.fm, docs/results/tuning-ganmf.md with a picture and all trials.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.environment import describe
from ganmf_fast.experiments.variants import Row, select
from ganmf_fast.models import model_class
from ganmf_fast.results.study import convergence
from ganmf_fast.tuning import read_journal
from ganmf_fast.tuning.backends import Skopt
from ganmf_fast.tuning.search import best_of

RESULTS = Path(__file__).parents[1] / "docs/results"
LOG = Path(__file__).parents[1] / "tests/tuning/published_searches.json"
SETS = ("lastfm", "hetrec2011", "ml-1m")
FAMILY = tuple(
    f"ItemKNN-{s}" for s in ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
)
ROWS = ("ItemKNN-cosine", "P3alpha", "PureSVD", "EASE-R")
SEED, CALLS = 1337, 50
SEEDS = range(SEED, SEED + 10)
INTRODUCTION = """# Tuning by the paper's protocol

{machine}, {cores} cores shared with other work; Python {python}; {date}. Made by

    python studies/tuning.py tune --data FOLDER --runs runs/tuning
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --rows ItemKNN
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --calls 200 \\
        --datasets hetrec2011 --rows ItemKNN-cosine
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --others
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --backend published
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --backend published \\
        --datasets ml-1m --rows ItemKNN
    python studies/tuning.py tune --data FOLDER --runs runs/tuning --backend published \\
        --ties published --rows ItemKNN-cosine
    python studies/tuning.py seeds --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha
    python studies/tuning.py seeds --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha \\
        --backend B    # plain, optuna, random
    python studies/tuning.py seeds --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha \\
        --others
    python studies/tuning.py hills --data FOLDER --runs runs/tuning
    python studies/tuning.py kill --data FOLDER --runs runs/tuning
    python studies/tuning.py report --data FOLDER --runs runs/tuning

50 calls of a Gaussian process, the first 10 at random, seed 1337, fit on `train_small`, MAP@5 on
`validation`; then one fit on `train`, measured on `test`. The search is ours with scikit-optimize,
*skopt*, or that of the authors, *published*; *others* is explained below. *Ties* is the order of
equal scores in lists: by item number, or as published, with the published quirks of the model.
*Wanted* is MAP@5 of the authors' parameters on the same validation set, measured the same way in
the same run; for EASE-R, whose parameters were not published, of those in `chosen_params.json` (a
grid of 16 values). Wall seconds are those of the whole search, questions included; CPU seconds sum
over threads.
"""
HILLS = ("hetrec2011", "ItemKNN-cosine")
HILL_TOPKS, HILL_SHRINKS = range(60, 301), (0, 1000)
GANMF_ROW = ("lastfm", "GANMF-u")
GANMF = "GANMF-u-published"
GANMF_INTRODUCTION = """# GANMF-u on Last.fm, tuned by the paper's protocol

{date}. Made by

    python studies/tuning.py tune --data FOLDER --runs runs/tuning --backend published \\
        --datasets lastfm --rows GANMF-u
    python studies/tuning.py report --data FOLDER --runs runs/tuning

{calls} calls of the authors' search (see [tuning.md](tuning.md)) in nine dimensions, the first 10
at random, seed 1337; each trial trained on `train_small` for at most 300 epochs, stopped early on
`early_stop`, measured by MAP@5 on `validation`. The journal lies beside this page, and where its
trials were run in tuning-ganmf-sessions.json; copied as journal.jsonl and sessions.json to
runs/tuning/lastfm/GANMF-u-published, the search goes on from there, on another machine with
`--moved`.

![Value of each trial, and the best so far](tuning-ganmf.png)
"""
COLUMNS = (
    "data",
    "model",
    "calls",
    "search",
    "ties",
    "wall s",
    "CPU s",
    "best MAP@5",
    "wanted",
    "best parameters",
    "MAP@5 on test",
    "NDCG@5 on test",
)


SEARCHES = {
    "skopt": "Our search",
    "skopt, others": "Our search, begun at what was published for the other two data sets",
    "published": "The authors' search",
}


class Plain(Skopt):
    """`gp_minimize` as most programs call it: whole numbers as they are, MAP as a share."""

    _logarithmic = False
    _unit = 1.0


BACKENDS: dict[str, Any] = {name: name for name in ("skopt", "published", "optuna", "random")}
BACKENDS["plain"] = Plain


def search(
    row: Row,
    splits: gf.Splits,
    folder: Path,
    calls: int,
    seed: int = SEED,
    backend: str = "skopt",
    ties: str = "index",
    moved: bool = False,
    begin: Sequence[dict[str, Any]] = (),
) -> Any:
    """The search of a row, with its journal in `folder`."""
    return gf.tune(
        row.model,
        splits,
        n_calls=calls,
        seed=seed,
        fixed=fixed_of(row, ties),
        backend=BACKENDS[backend],
        journal=folder / "journal.jsonl",
        ties=ties,
        moved=moved,
        first=begin,
    )


def first(row: Row, dataset: str, args: argparse.Namespace) -> list[dict[str, Any]]:
    """Where a search begins: at random, or at what is known from the other data sets."""
    return [params_of(row, other) for other in SETS if args.others and other != dataset]


def params_of(row: Row, dataset: str) -> dict[str, Any]:
    """Published parameters, or chosen ones."""
    published = reference.best_params(dataset, row.name)
    return published or reference.chosen_params(dataset, row.name) or {}


def fixed_of(row: Row, ties: str) -> dict[str, Any]:
    """What is not searched; beside the published order of ties also the published quirks."""
    quirks = {"published_quirks": True} if row.quirks and ties == "published" else {}
    return {**row.fixed, **quirks}


def yardstick(row: Row, dataset: str, splits: gf.Splits, ties: str = "index") -> dict[str, Any]:
    """Published parameters, or chosen ones, fitted and measured as a trial is."""
    params = params_of(row, dataset)
    cls = model_class(row.model)
    seeded = {"seed": SEED} if "seed" in cls().get_params() else {}
    model = cls(**{**fixed_of(row, ties), **params, **seeded}).fit(splits.train_small)
    found = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,), ties=ties)
    value = found["map", 5]
    return {
        "params": params,
        "value": value,
        "source": "published" if reference.best_params(dataset, row.name) else "chosen",
    }


def named(row: Row, args: argparse.Namespace) -> str:
    """The folder of a search: longer and other ones stand beside those of the paper."""
    name = row.name if args.calls == CALLS else f"{row.name}-{args.calls}"
    name = name if args.backend == "skopt" else f"{name}-{args.backend}"
    name = name if args.ties == "index" else f"{name}-ties"
    return f"{name}-others" if args.others else name


def label(args: argparse.Namespace) -> str:
    """What a search is called in tables."""
    return f"{args.backend}, others" if args.others else str(args.backend)


def tune(args: argparse.Namespace) -> None:
    """Search, and measure the yardsticks."""
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for row in select(args.rows.split(",")):
            name = named(row, args)
            folder = args.runs / dataset / name
            once = not model_class(row.model).iterative
            beside = yardstick(row, dataset, splits, args.ties) if once else None
            begin_session(folder)
            started, used = time.perf_counter(), time.process_time()
            result = search(
                row,
                splits,
                folder,
                args.calls,
                backend=args.backend,
                ties=args.ties,
                moved=args.moved,
                begin=first(row, dataset, args),
            )
            seconds, cpu = time.perf_counter() - started, time.process_time() - used
            summary = {
                "dataset": dataset,
                "row": row.name,
                "best_params": result.best_params,
                "best_value": result.best_value,
                "best_trial": result.best_trial.number,
                "failed": result.n_failed,
                "calls": args.calls,
                "backend": label(args),
                "ties": args.ties,
                "trial_seconds": sum(trial.seconds for trial in result.history),
                "test": {k: result.final.test["map", k] for k in (5, 20)},
                "test_ndcg": {k: result.final.test["ndcg", k] for k in (5, 20)},
                "yardstick": beside,
            }
            if not once:
                again = result.refitted
                summary["refitted"] = {
                    "epochs": int(again.model.epochs),
                    "map": {k: again.test["map", k] for k in (5, 20)},
                    "ndcg": {k: again.test["ndcg", k] for k in (5, 20)},
                }
            path = folder / "summary.json"
            # The time of a run that had nothing left to do is no time of a search.
            earlier = json.loads(path.read_text()) if path.is_file() else {}
            summary["seconds"] = max(seconds, earlier.get("seconds", 0.0))
            summary["cpu_seconds"] = max(cpu, earlier.get("cpu_seconds", 0.0))
            path.write_text(json.dumps(summary, indent=1) + "\n")
            print(f"{dataset} {name}: {result!r} in {seconds:.1f} s", flush=True)
            if beside is not None:
                print(f"  {beside['source']}: {beside['value']:.4f}", flush=True)


def begin_session(folder: Path) -> None:
    """Note where the trials from here on are run."""
    journal, path = folder / "journal.jsonl", folder / "sessions.json"
    done = len(read_journal(journal)[1]) if journal.is_file() else 0
    about = describe()
    hardware = about["hardware"]
    where = f"{hardware['processor']}, {os.cpu_count()} cores"
    if hardware["gpu"]:
        where = f"one {hardware['gpu']}"
    sessions = json.loads(path.read_text()) if path.is_file() else []
    sessions = [s for s in sessions if s["first"] < done]
    sessions.append({"first": done, "where": f"{where}, torch {about['versions']['torch']}"})
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(sessions, indent=1) + "\n")


def seeds(args: argparse.Namespace) -> None:
    """The same search with other seeds."""
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for row in select(args.rows.split(",")):
            name = named(row, args)
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
                    begin=first(row, dataset, args),
                ).best_value
                print(f"{dataset} {name}, seed {seed}: {best[seed]:.4f}", flush=True)
            summary = {
                "row": row.name,
                "search": label(args),
                "best": best,
                "yardstick": yardstick(row, dataset, splits, args.ties)["value"],
            }
            (folder / "seeds.json").write_text(json.dumps(summary, indent=1) + "\n")


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


CHILD = """
import sys
import ganmf_fast as gf
gf.set_num_threads(1)
gf.tune("ItemKNN", gf.Splits.load(sys.argv[1]), n_calls=50, fixed={"similarity": "cosine"},
        journal=sys.argv[2])
"""


def kill(args: argparse.Namespace) -> None:
    """Kill a search at random moments and compare."""
    rng = np.random.default_rng(args.seed)
    journal = args.runs / "killed" / "journal.jsonl"
    journal.unlink(missing_ok=True)
    data = args.data / "lastfm"
    command = [sys.executable, "-c", CHILD, str(data), str(journal)]
    kills, moments = 0, []
    while True:
        # Left by the one that was killed; a new one shows that the search has begun.
        spare(journal).unlink(missing_ok=True)
        process = subprocess.Popen(command)
        # Most of a start goes into imports: count from when the journal is being written.
        while process.poll() is None and not spare(journal).exists():
            time.sleep(0.01)
        limit = rng.uniform(0.0, args.longest) if kills < args.kills else None
        try:
            process.wait(limit)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            moments.append((round(limit or 0.0, 2), journal.read_bytes().count(b"\n") - 1))
            print(f"killed {kills} times, {moments[-1][1]} trials", flush=True)
            continue
        if process.returncode != 0:
            raise SystemExit(f"the search failed with {process.returncode}")
        break
    alone = gf.tune(
        "ItemKNN", gf.Splits.load(data), n_calls=50, fixed={"similarity": "cosine"}
    ).history
    _, killed = read_journal(journal)
    numbers = [json.loads(line)["number"] for line in journal.read_text().splitlines()[1:]]
    summary = {
        "kills": kills,
        "moments": moments,
        "equal": [plain(trial) for trial in killed] == [plain(trial) for trial in alone],
        "each_once": numbers == list(range(50)),
    }
    (journal.parent / "summary.json").write_text(json.dumps(summary, indent=1) + "\n")
    print(summary)


def spare(journal: Path) -> Path:
    """The file that lies beside a journal while a search writes to it."""
    return journal.with_name(f".{journal.name}.spare")


def plain(trial: Any) -> dict[str, Any]:
    """A trial without what depends on the clock."""
    clock = ("seconds", "fit_seconds", "finished")
    return {name: value for name, value in trial.to_dict().items() if name not in clock}


def shown(params: dict[str, Any]) -> str:
    """Parameters in a table."""
    hidden = ("similarity", "seed", "mode", "device", "published_quirks", "epochs")
    parts = (
        f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
        for k, v in params.items()
        if k not in hidden
    )
    return ", ".join(parts)


def report(args: argparse.Namespace) -> None:
    """Write the pages."""
    if (args.runs / "lastfm" / GANMF / "journal.jsonl").is_file():
        ganmf_page(args.runs)
    if any(
        (args.runs / dataset / row / "summary.json").is_file() for dataset in SETS for row in ROWS
    ):
        page(args.runs)


def machine() -> dict[str, Any]:
    """What the introduction of a page says of where its figures come from."""
    about = describe()
    return {
        "machine": about["hardware"]["processor"],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": about["versions"]["torch"],
        "date": dt.datetime.now(dt.UTC).strftime("%d %b %Y"),
    }


def page(runs: Path) -> None:
    """Models that are fitted in seconds, on all data sets."""
    page = INTRODUCTION.format(**machine())
    lines = [*page.splitlines(), "", f"| {' | '.join(COLUMNS)} |", "|---" * len(COLUMNS) + "|"]
    found = {}
    for dataset in SETS:
        for path in sorted((runs / dataset).glob("*/summary.json")):
            if path.parent.name == GANMF:
                continue
            one = json.loads(path.read_text())
            found[dataset, path.parent.name] = one
            beside = "" if one["yardstick"] is None else f"{one['yardstick']['value']:.4f}"
            cells = (
                dataset,
                one["row"],
                one["calls"],
                one.get("backend", "skopt"),
                one.get("ties", "index"),
                round(one["seconds"]),
                round(one["cpu_seconds"]),
                f"{one['best_value']:.4f}",
                beside,
                shown(one["best_params"]),
                f"{one['test']['5']:.4f}",
                f"{one['test_ndcg']['5']:.4f}",
            )
            lines.append(f"| {' | '.join(map(str, cells))} |")
    for backend in SEARCHES:
        for ties in ("index", "published"):
            lines += verdict(found, backend, ties)
    family = [found[key] for key in found if key[0] == "ml-1m" and key[1] in FAMILY]
    if len(family) == len(FAMILY):
        wall, cpu = (sum(one[name] for one in family) for name in ("seconds", "cpu_seconds"))
        lines += [
            "",
            f"The ItemKNN family on MovieLens 1M, 300 calls: {wall:.0f} s, {cpu:.0f} CPU seconds.",
        ]
    for part in (whole_lines, seeds_lines, hills_lines, killed_lines):
        lines += part(runs)
    (RESULTS / "tuning.md").write_text("\n".join(lines) + "\n")


def ganmf_page(runs: Path) -> None:
    """GANMF-u on Last.fm, as far as its search has gone."""
    folder = runs / "lastfm" / GANMF
    header, trials = read_journal(folder / "journal.jsonl")
    shutil.copyfile(folder / "journal.jsonl", RESULTS / "tuning-ganmf.jsonl")
    picture = convergence(header, trials)
    picture.savefig(RESULTS / "tuning-ganmf.png", dpi=150, metadata={"Software": None})
    lines = GANMF_INTRODUCTION.format(**machine(), calls=CALLS).splitlines()
    hours = sum(trial.seconds for trial in trials) / 3600
    sessions = json.loads((folder / "sessions.json").read_text())
    shutil.copyfile(folder / "sessions.json", RESULTS / "tuning-ganmf-sessions.json")
    firsts = [one["first"] for one in sessions] + [len(trials)]
    where = "; ".join(
        f"{first} to {nxt - 1} on {one['where']}"
        for one, first, nxt in zip(sessions, firsts, firsts[1:], strict=False)
        if nxt > first
    )
    text = f"""
**{len(trials)} of {CALLS} trials{" so far" * (len(trials) < CALLS)}**, {hours:.1f} hours, in
[tuning-ganmf.jsonl](tuning-ganmf.jsonl): {where}."""
    lines += text.split("\n")
    best = best_of(trials)
    if best is not None:
        lines += [
            f"Best MAP@5 on `validation`: **{best.value:.4f}**, trial {best.number}, epoch",
            f"{best.epochs}: {shown(best.params)}.",
        ]
    if (folder / "summary.json").is_file():
        lines += test_lines(json.loads((folder / "summary.json").read_text()))
    lines += ganmf_lines(runs)
    (RESULTS / "tuning-ganmf.md").write_text("\n".join(lines) + "\n")


def test_lines(one: dict[str, Any]) -> list[str]:
    """The best parameters on `test`, beside the published figures."""
    rows = {
        f"found here, its {one['best_params']['epochs']} epochs": (one["test"], one["test_ndcg"])
    }
    if "refitted" in one:
        again = one["refitted"]
        rows[f"found here, {again['epochs']} epochs, sought again (`refitted`)"] = (
            again["map"],
            again["ndcg"],
        )
    values = [
        {str(k): reference.published_value(*GANMF_ROW, metric, k) for k in (5, 20)}
        for metric in ("map", "ndcg")
    ]
    rows["published, as published"] = (values[0], values[1])
    lines = [
        "",
        "| parameters, fitted on `train` | MAP@5 | NDCG@5 | MAP@20 | NDCG@20 |",
        "|---" * 5 + "|",
    ]
    for name, metrics in rows.items():
        cells = (f"{one_of[k]:.4f}" for k in ("5", "20") for one_of in metrics)
        lines.append(f"| {' | '.join((name, *cells))} |")
    return lines


def verdict(found: dict[Any, dict[str, Any]], backend: str, ties: str) -> list[str]:
    """How often a kind of search found what was wanted."""
    kind = {
        key: one
        for key, one in found.items()
        if one["yardstick"]
        and one["calls"] == CALLS
        and (one.get("backend", "skopt"), one.get("ties", "index")) == (backend, ties)
    }
    below = [
        f"{one['row']} on {dataset}"
        for (dataset, _), one in kind.items()
        if one["best_value"] < one["yardstick"]["value"]
    ]
    if not kind:
        return []
    order = {"index": "our order of ties", "published": "the published order of ties"}[ties]
    reached = f"{len(kind) - len(below)} of {len(kind)} reach what was wanted"
    text = f"{SEARCHES[backend]}, {order}: {reached}"
    return ["", f"{text}; below it: {'; '.join(below)}." if below else f"{text}."]


def logged(runs: Path, row: str, name: str) -> list[tuple[Any, dict[str, Any]]]:
    """Trials of a search on Last.fm, each beside the one of the same number in the log."""
    journal = runs / "lastfm" / name / "journal.jsonl"
    if not journal.is_file():
        return []
    searches = json.loads(LOG.read_text())["searches"]
    [theirs] = [one for one in searches if (one["row"], one["dataset"]) == (row, "lastfm")]
    points = [dict(zip(theirs["columns"], one, strict=True)) for one in theirs["trials"]]
    return list(zip(read_journal(journal)[1], points, strict=False))


def whole_lines(runs: Path) -> list[str]:
    """How far the whole search of ItemKNN-cosine is that of the authors."""
    pairs = logged(runs, "ItemKNN-cosine", "ItemKNN-cosine-published-ties")
    if not pairs:
        return []
    names = ("topk", "shrink", "normalize")
    same = [(t, p) for t, p in pairs if all(t.params[name] == p[name] for name in names)]
    largest = max(abs(t.value - p["map"]) for t, p in same)
    off = max(abs(t.params["topk"] - p["topk"]) for t, p in pairs)
    text = f"""
## ItemKNN-cosine on Last.fm beside the authors' log

Their search with the published order of ties, measured here: {len(same)} of {len(pairs)} questions
are theirs, the values of these differ by at most {largest:.1e}, and topk of the others by at most
{off}."""
    return text.split("\n")


def ganmf_lines(runs: Path) -> list[str]:
    """Trials of GANMF beside those of the authors, as far as the questions are the same."""
    pairs = logged(runs, "GANMF-u", GANMF)
    if not pairs:
        return []
    text = """
Beside the authors' log, as far as the questions are the same: the same parameters, weights drawn
anew. Their MAP@5 on `validation` is the log's; their best epoch is six before the number in the log
(see [findings](../findings.md)), and not known where training was never stopped.

| trial | factors | batch | emb_dim | MAP@5 | theirs | epochs | theirs |
|---|---|---|---|---|---|---|---|"""
    lines = text.split("\n")
    for trial, point in pairs:
        names = ("num_factors", "batch_size", "emb_dim")
        if any(trial.params[name] != point[name] for name in names):
            break
        cells = (
            trial.number,
            *(point[name] for name in names),
            f"{trial.value:.4f}",
            f"{point['map']:.4f}",
            trial.epochs,
            "-" if point["epochs"] == 276 else point["epochs"] - 6,
        )
        lines.append(f"| {' | '.join(map(str, cells))} |")
    return lines


def seeds_lines(runs: Path) -> list[str]:
    """What other seeds find."""
    lines = [
        "",
        "## Other seeds",
        "",
        f"Seeds {SEEDS[0]} to {SEEDS[-1]}, the first of which is that of the table above.",
        "*Plain* is `gp_minimize` by default: whole numbers are seen as they are, MAP as a share.",
        "Ours, *skopt*, sees log(1 + x) of whole numbers and MAP in percent. *Optuna* is its",
        "tree-structured Parzen estimator, *random* draws every point evenly. With *others* the",
        "first two points are what was published for the other two data sets, and eight are at",
        "random.",
        "",
        "| data | model | search | published | best MAP@5, seed by seed | median | reached by |",
    ]
    lines += ["|---" * 7 + "|"]
    paths = [p for dataset in SETS for p in sorted((runs / dataset).glob("*/seeds.json"))]
    reached: dict[str, list[bool]] = {}
    for path in paths:
        one = json.loads(path.read_text())
        best = list(one["best"].values())
        hits = [value >= one["yardstick"] for value in best]
        # The first seed is the one that everything else here is measured with.
        reached.setdefault(one["search"], []).extend(hits[1:])
        cells = (
            path.parent.parent.name,
            one["row"],
            one["search"],
            f"{one['yardstick']:.4f}",
            " ".join(f"{value:.4f}" for value in best),
            f"{np.median(best):.4f}",
            f"{sum(hits)} of {len(hits)}",
        )
        lines.append(f"| {' | '.join(cells)} |")
    both = ", ".join(f"{sum(hits)} of {len(hits)} ({kind})" for kind, hits in reached.items())
    text = f"Searches with seeds other than {SEED} that reach the published parameters: {both}."
    lines += ["", text]
    return lines if paths else []


def hills_lines(runs: Path) -> list[str]:
    """What one search has to climb."""
    path = runs / "hills.json"
    if not path.is_file():
        return []
    found = {int(shrink): np.asarray(of) for shrink, of in json.loads(path.read_text()).items()}
    published = reference.best_params(*HILLS) or {}
    figure = Figure(figsize=(7.0, 3.5), layout="constrained")
    axes = figure.subplots()
    for (shrink, of), colour in zip(found.items(), ("#D55E00", "#56B4E9"), strict=True):
        axes.plot(HILL_TOPKS, of, linewidth=1.0, color=colour, label=f"shrink {shrink}")
    wanted = found[published["shrink"]][HILL_TOPKS.index(published["topk"])]
    axes.plot(published["topk"], wanted, "o", color="black", label="published")
    axes.set_xlabel("neighbours (topk)")
    axes.set_ylabel("MAP@5 on validation")
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False, fontsize=9)
    figure.savefig(RESULTS / "tuning-hills.png", dpi=150, metadata={"Software": None})
    step = np.mean([abs(np.diff(of)).mean() for of in found.values()])
    above = {shrink: int((of >= wanted).sum()) for shrink, of in found.items()}
    counts = " and ".join(f"{n} with a shrink of {shrink}" for shrink, n in above.items())
    text = f"""
## What a search on HetRec climbs

![MAP@5 on validation along the number of neighbours, at both ends of shrink](tuning-hills.png)

ItemKNN-cosine, rows normalised. From one number of neighbours to the next MAP@5 changes by
{step:.4f} on average, and there are two hills at the ends of shrink. The published point has
{wanted:.4f}; of the {len(HILL_TOPKS)} numbers of neighbours here as much is reached by
{counts}."""
    return text.split("\n")


def killed_lines(runs: Path) -> list[str]:
    """What came of killing."""
    path = runs / "killed" / "summary.json"
    if not path.is_file():
        return []
    one = json.loads(path.read_text())
    trials = ", ".join(str(n) for _, n in one["moments"])
    verdict = {True: "yes", False: "NO"}
    text = f"""
## Killed at random moments

ItemKNN-cosine on Last.fm, 50 calls, {one["kills"]} times SIGKILL. Trials in the journal after each:
{trials}.
Equal to the search left alone, trial for trial: {verdict[one["equal"]]}; each trial in the journal
once: {verdict[one["each_once"]]}."""
    return text.split("\n")


def main() -> None:
    """Run as described above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=("tune", "seeds", "hills", "kill", "report"))
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--runs", type=Path, required=True)
    parser.add_argument("--rows", default=",".join(ROWS))
    parser.add_argument("--datasets", default=",".join(SETS))
    parser.add_argument("--calls", type=int, default=CALLS)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--longest", type=float, default=6.0)
    parser.add_argument("--backend", choices=BACKENDS, default="skopt")
    parser.add_argument("--ties", choices=("index", "published"), default="index")
    parser.add_argument("--others", action="store_true")
    parser.add_argument("--moved", action="store_true")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    args = parser.parse_args()
    gf.set_num_threads(args.threads)
    {"tune": tune, "seeds": seeds, "hills": hills, "kill": kill, "report": report}[args.what](args)


if __name__ == "__main__":
    main()
