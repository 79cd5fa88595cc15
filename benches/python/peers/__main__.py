"""`python -m peers`: measure, print, write the report."""

import argparse
import os
import sys
import time
import traceback
from pathlib import Path

from peers.environment import ROOT, ready
from peers.report import all_results, ratio, summary, table, write
from peers.runner import Runner, jobs


def main() -> int:
    """Measure what was asked for and is not kept; 1 if something broke, 2 if it does not exist."""
    parser = argparse.ArgumentParser(prog="python -m peers", description=__doc__)
    parser.add_argument("--ops", type=_names, help="comma-separated; by default all")
    parser.add_argument("--datasets", type=_names, help="comma-separated; by default all")
    parser.add_argument("--environment", type=Path, required=True, help="of the other packages")
    parser.add_argument("--cache", type=Path, default=ROOT / "runs" / "bench-peers")
    parser.add_argument("--results", type=Path, default=ROOT / "docs" / "results" / "peers")
    parser.add_argument("--page", type=Path, default=ROOT / "docs" / "benchmarks.md")
    parser.add_argument("--limit", type=int, default=150, help="CPU seconds for one run")
    parser.add_argument("--fresh", action="store_true", help="measure again what is kept")
    arguments = parser.parse_args()
    try:
        chosen = jobs(arguments.ops, arguments.datasets)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    peers = ready(arguments.environment.resolve())
    cache = arguments.cache.resolve()
    os.environ["BENCH_PEERS_CACHE"] = str(cache)
    runner = Runner(peers, arguments.results, cache, arguments.limit)
    for package, why in runner.peers.failures.items():
        print(f"{package}: {why}")
    start = time.monotonic()
    broken = 0
    for operation, dataset in chosen:
        result = None if arguments.fresh else runner.kept(operation, dataset)
        print(f"\n{operation.title} on {dataset}{'' if result is None else ' (kept)'}", flush=True)
        if result is None:
            try:
                result = runner.run(operation, dataset)
            except Exception:
                # The others go on; what broke is printed, and nothing of it kept.
                traceback.print_exc()
                broken += 1
                continue
            # After each one, so that an interrupted run has written what it has.
            write(all_results(arguments.results), arguments.page, _csv(arguments.results))
        print("\n".join(table(result)))
        times = ratio(result)
        if times is not None:
            print(f"best other package / ours: {times:.2f}", flush=True)
    results = all_results(arguments.results)
    write(results, arguments.page, _csv(arguments.results))
    print(f"\n{time.monotonic() - start:.0f} s\n")
    print("\n".join(summary(results)))
    return 1 if broken else 0


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]


def _csv(results: Path) -> Path:
    return results.with_suffix(".csv")


if __name__ == "__main__":
    sys.exit(main())
