"""Break the public surface with inputs that nobody would pass.

    python -m tests.fuzz [--target NAME,...] [--cases N] [--seconds S] [--seed SEED] [--keep DIR]
                         [--workers N] [--json FILE]
    python -m tests.fuzz --replay FILE

Ends with 1 if a case failed: it ended the process, hung, raised an exception that the documentation
does not name, took memory out of proportion to its size, or got a wrong answer. Failing inputs are
kept in DIR, each as a file for `--replay`, with the files it is made of beside it.
"""

import argparse
import json
import os
import secrets
import signal
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.fuzz import files, memory
from tests.fuzz.faults import FaultsTarget
from tests.fuzz.pool import Pool, Tally

TARGETS = (*memory.TARGETS, *files.TARGETS)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.fuzz", description=__doc__.split("\n")[0]
    )
    names = ", ".join(target.name for target in TARGETS)
    parser.add_argument("--target", help=f"names with commas between them; all by default: {names}")
    parser.add_argument("--cases", type=int, help="of each target; by default those of a whole run")
    parser.add_argument("--seconds", type=float, help="at most, for all targets together")
    parser.add_argument("--seed", type=int, help="by default another one each time")
    parser.add_argument("--keep", type=Path, default=Path("runs/fuzz"), help="folder")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--json", type=Path, help="file to write the summary to")
    parser.add_argument("--replay", type=Path, help="a case that was kept, to be run once more")
    given = parser.parse_args()
    wanted = [target.name for target in TARGETS]
    if given.target is not None:
        wanted.append(FaultsTarget.name)
        unknown = [name for name in given.target.split(",") if name not in wanted]
        if unknown:
            parser.error(f"there is no target {unknown[0]!r}; targets are {names}")
        wanted = given.target.split(",")
    given.targets = [target for target in (*TARGETS, FaultsTarget) if target.name in wanted]
    if given.seed is None:
        given.seed = secrets.randbelow(2**32)
    return given


def main() -> int:
    """Run as described above."""
    given = _arguments()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was begun is removed
    memory_folder = Path("/dev/shm")
    place = memory_folder if os.access(memory_folder, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(prefix="ganmf-fuzz-", dir=place) as scratch,
        Pool(Path(scratch), given.keep, given.seed, given.workers) as pool,
    ):
        if given.replay:
            return _replay(pool, given.replay)
        print(f"seed {given.seed}", flush=True)
        seconds = given.seconds and given.seconds / len(given.targets)
        tallies = []
        print(_row("target", "cases", "a second", "accepted", "refused", "failed"))
        for target in given.targets:
            began = time.perf_counter()
            tally = pool.run(target.name, given.cases or target.whole, seconds)
            tallies.append((tally, time.perf_counter() - began))
            _print(tally)
    if given.json:
        content = {"seed": given.seed, "workers": given.workers}
        content["targets"] = [{**t.to_dict(), "wall_seconds": wall} for t, wall in tallies]
        given.json.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
    failed = sum(tally.failures for tally, _ in tallies)
    if failed:
        print(f"{failed} cases failed; inputs are in {given.keep} (see --replay)")
    return 1 if failed else 0


def _row(name: str, *cells: Any) -> str:
    shown = (f"{cell:,}" if isinstance(cell, int) else str(cell) for cell in cells)
    return f"{name:12}" + "".join(f"{cell:>12}" for cell in shown)


def _print(tally: Tally) -> None:
    rate = round(tally.cases / max(tally.seconds, 1e-3))
    row = _row(tally.target, tally.cases, rate, tally.accepted, tally.refused, tally.failures)
    print(row + (f"  stopped {tally.stopped}" if tally.stopped else ""), flush=True)
    for found in sorted(tally.found.values(), key=lambda one: -one.count):
        place = f" [{found.where}]" if found.where else ""
        print(f"  {found.count:7,} {found.kind}: {found.text[:300]!r}{place}")
        print(f"          {' '.join(found.kept)}", flush=True)


def _replay(pool: Pool, path: Path) -> int:
    found = pool.replay(path)
    if not found:
        print("accepted" if found is None else "refused as documented")
        return 0
    print(found.get("trace", ""), end="")
    print(f"{found['kind']}: {found['text']} [{found['where']}]")
    return 1


if __name__ == "__main__":
    sys.exit(main())
