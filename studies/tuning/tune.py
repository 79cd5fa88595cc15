"""Tune on real data by the paper's protocol, beside the published parameters.

    python studies/tuning/tune.py --data FOLDER --runs RUNS [--rows A,B] [--datasets a,b]
                                  [--backend B] [--ties T] [--others] [--moved]

FOLDER has one folder of the five published splits for each data set. Each row is searched (journals
RUNS/DATASET/ROW/journal.jsonl; finished trials are not run twice), and the published parameters, or
for EASE-R those chosen earlier, are evaluated on the same validation set. With --others a search
begins with the parameters published for the other two data sets.
"""

import argparse
import json
import os
import time
from pathlib import Path

from common import first_points, folder_name, label, reference_value, search, search_parser

import ganmf_fast as gf
from ganmf_fast.experiments.environment import describe
from ganmf_fast.experiments.variants import select
from ganmf_fast.models.registry import model_class
from ganmf_fast.tuning import read_journal


def tune(args: argparse.Namespace) -> None:
    """Search, and evaluate the reference parameters."""
    for dataset in args.datasets.split(","):
        splits = gf.Splits.load(args.data / dataset)
        for row in select(args.rows.split(",")):
            name = folder_name(row, args)
            folder = args.runs / dataset / name
            once = not model_class(row.model).iterative
            beside = reference_value(row, dataset, splits, args.ties) if once else None
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
                begin=first_points(row, dataset, args),
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
            # A run with nothing left to do does not replace the time of the search.
            earlier = json.loads(path.read_text()) if path.is_file() else {}
            summary["seconds"] = max(seconds, earlier.get("seconds", 0.0))
            summary["cpu_seconds"] = max(cpu, earlier.get("cpu_seconds", 0.0))
            path.write_text(json.dumps(summary, indent=1) + "\n")
            print(f"{dataset} {name}: {result!r} in {seconds:.1f} s", flush=True)
            if beside is not None:
                print(f"  {beside['source']}: {beside['value']:.4f}", flush=True)


def begin_session(folder: Path) -> None:
    """Record the hardware of the trials from here on."""
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


if __name__ == "__main__":
    options = search_parser(__doc__)
    options.add_argument("--moved", action="store_true")
    given = options.parse_args()
    gf.set_num_threads(given.threads)
    tune(given)
