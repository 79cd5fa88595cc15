"""Write docs/results/tuning.md from what the other studies left in RUNS.

    python studies/tuning/report.py --runs RUNS

If there is a search of GANMF-u on Last.fm, also docs/results/tuning-ganmf.md with a picture and all
trials.
"""

import argparse
import datetime as dt
import json
import os
import platform
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from common import CALLS, ROWS, SEED, SETS
from hills import HILL_TOPKS, HILLS
from matplotlib.figure import Figure
from seeds import SEEDS

from ganmf_fast import reference
from ganmf_fast.experiments.environment import describe
from ganmf_fast.results.charts.files import rendered, search_figures
from ganmf_fast.results.search import read_search
from ganmf_fast.tuning import read_journal
from ganmf_fast.tuning.trial import best_of

RESULTS = Path(__file__).parents[2] / "docs/results"
LOG = Path(__file__).parents[2] / "tests/tuning/published_searches.json"
FAMILY = tuple(
    f"ItemKNN-{s}" for s in ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
)
INTRODUCTION = """# Tuning by the paper's protocol

{machine}, {cores} cores shared with other work; Python {python}; {date}. Made by

    python studies/tuning/tune.py --data FOLDER --runs runs/tuning
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --rows ItemKNN
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --calls 200 \\
        --datasets hetrec2011 --rows ItemKNN-cosine
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --others
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --backend published
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --backend published \\
        --datasets ml-1m --rows ItemKNN
    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --backend published \\
        --ties published --rows ItemKNN-cosine
    python studies/tuning/seeds.py --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha
    python studies/tuning/seeds.py --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha \\
        --backend B    # plain, optuna, random
    python studies/tuning/seeds.py --data FOLDER --runs runs/tuning --rows ItemKNN-cosine,P3alpha \\
        --others
    python studies/tuning/hills.py --data FOLDER --runs runs/tuning
    python studies/tuning/kill.py --data FOLDER --runs runs/tuning
    python studies/tuning/report.py --runs runs/tuning

50 calls of a Gaussian process, the first 10 at random, seed 1337, fit on `train_small`, MAP@5 on
`validation`; then one fit on `train`, measured on `test`. The search is ours with scikit-optimize,
*skopt*, or that of the authors, *published*; *others* is explained below. *Ties* is the order of
equal scores in lists: by item number, or as published, with the published quirks of the model.
*Reference* is MAP@5 of the authors' parameters on the same validation set, measured the same way;
for EASE-R, whose parameters were not published, of those in `chosen_params.json` (a grid of 16
values). Wall seconds are those of the whole search with its suggestions; CPU seconds sum over
threads.
"""
GANMF_ROW = ("lastfm", "GANMF-u")
GANMF = "GANMF-u-published"
GANMF_INTRODUCTION = """# GANMF-u on Last.fm, tuned by the paper's protocol

{date}. Made by

    python studies/tuning/tune.py --data FOLDER --runs runs/tuning --backend published \\
        --datasets lastfm --rows GANMF-u
    python studies/tuning/report.py --runs runs/tuning

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
    "reference",
    "best parameters",
    "MAP@5 on test",
    "NDCG@5 on test",
)
SEARCHES = {
    "skopt": "Our search",
    "skopt, others": "Our search, begun at what was published for the other two data sets",
    "published": "The authors' search",
}


def shown(params: dict[str, Any]) -> str:
    """Parameters as text for a table."""
    hidden = ("similarity", "seed", "mode", "device", "published_quirks", "epochs")
    parts = (
        f"{k}={v:.4g}" if isinstance(v, float) else f"{k}={v}"
        for k, v in params.items()
        if k not in hidden
    )
    return ", ".join(parts)


def report(runs: Path) -> None:
    """Write the pages."""
    if (runs / "lastfm" / GANMF / "journal.jsonl").is_file():
        ganmf_page(runs)
    if any((runs / dataset / row / "summary.json").is_file() for dataset in SETS for row in ROWS):
        page(runs)


def machine() -> dict[str, Any]:
    """Hardware, versions and date for the introduction of a page."""
    about = describe()
    return {
        "machine": about["hardware"]["processor"],
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": about["versions"]["torch"],
        "date": dt.datetime.now(dt.UTC).strftime("%d %b %Y"),
    }


def page(runs: Path) -> None:
    """The page of models that are fitted in seconds, on all data sets."""
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
    """The page of GANMF-u on Last.fm, with the trials so far."""
    folder = runs / "lastfm" / GANMF
    _, trials = read_journal(folder / "journal.jsonl")
    shutil.copyfile(folder / "journal.jsonl", RESULTS / "tuning-ganmf.jsonl")
    search = read_search("", (folder / "journal.jsonl").read_text(), print)
    picture = rendered(search_figures(search)["convergence"], "png")
    (RESULTS / "tuning-ganmf.png").write_bytes(picture)
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
        rows[f"found here, {again['epochs']} epochs, determined again (`refitted`)"] = (
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
    """How many searches of a kind reach their reference."""
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
    reached = f"{len(kind) - len(below)} of {len(kind)} reach the reference"
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
    """The search of ItemKNN-cosine beside that of the authors."""
    pairs = logged(runs, "ItemKNN-cosine", "ItemKNN-cosine-published-ties")
    if not pairs:
        return []
    names = ("topk", "shrink", "normalize")
    same = [(t, p) for t, p in pairs if all(t.params[name] == p[name] for name in names)]
    largest = max(abs(t.value - p["map"]) for t, p in same)
    off = max(abs(t.params["topk"] - p["topk"]) for t, p in pairs)
    text = f"""
## ItemKNN-cosine on Last.fm beside the authors' log

Their search with the published order of ties, measured here: {len(same)} of {len(pairs)} points
are theirs, the values of these differ by at most {largest:.1e}, and topk of the others by at most
{off}."""
    return text.split("\n")


def ganmf_lines(runs: Path) -> list[str]:
    """Trials of GANMF beside those of the authors, as far as the points are the same."""
    pairs = logged(runs, "GANMF-u", GANMF)
    if not pairs:
        return []
    text = """
Beside the authors' log, as far as the points are the same: the same parameters, other random
weights. Their MAP@5 on `validation` is the log's; their best epoch is six before the number in the
log (see [findings](../findings.md)), and unknown where training was never stopped.

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
    """Best values of searches with other seeds."""
    lines = [
        "",
        "## Other seeds",
        "",
        f"Seeds {SEEDS[0]} to {SEEDS[-1]}, the first of which is that of the table above.",
        "*Plain* is `gp_minimize` by default: integers on a linear scale, MAP as a fraction.",
        "Ours, *skopt*, models log(1 + x) of integers and MAP in percent. *Optuna* is its",
        "tree-structured Parzen estimator, *random* draws every point uniformly. With *others* the",
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
    """The landscape of a search on HetRec, with a picture."""
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
    """Result of the killed search."""
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
Equal to the uninterrupted search, trial for trial: {verdict[one["equal"]]}; each trial once in the
journal: {verdict[one["each_once"]]}."""
    return text.split("\n")


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    options.add_argument("--runs", type=Path, required=True)
    report(options.parse_args().runs)
