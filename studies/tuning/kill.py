"""Kill a search at random moments, resume it, and compare it with an uninterrupted one.

    python studies/tuning/kill.py --data FOLDER --runs RUNS [--kills 20]

A search of ItemKNN-cosine on Last.fm runs again and again, each time killed by SIGKILL after a
random time, until it is complete.
"""

import argparse
import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from common import parser

import ganmf_fast as gf
from ganmf_fast.tuning import read_journal

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
        # The killed process left it; a new one shows that the search has begun.
        spare(journal).unlink(missing_ok=True)
        process = subprocess.Popen(command)
        # Imports take most of the start: count from when the journal is being written.
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
    """The file beside a journal while a search writes to it."""
    return journal.with_name(f".{journal.name}.spare")


def plain(trial: Any) -> dict[str, Any]:
    """A trial without what depends on the clock."""
    clock = ("seconds", "fit_seconds", "finished")
    return {name: value for name, value in trial.to_dict().items() if name not in clock}


if __name__ == "__main__":
    options = parser(__doc__)
    options.add_argument("--kills", type=int, default=20)
    options.add_argument("--longest", type=float, default=6.0)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    gf.set_num_threads(given.threads)
    kill(given)
