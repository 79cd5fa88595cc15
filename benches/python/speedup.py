"""What workers gain: the same searches with one and two, on local processes and on Ray.

``python benches/python/speedup.py --data FOLDER [--repeats 3]``; every worker has one thread.
Prints a line of Markdown for each setting, medians over the repeats: seconds until the first trial
has ended, which is the start of the workers above all; seconds from there to the last; how many
times as fast that is as one worker in this process.
"""

import argparse
import statistics
import time
from pathlib import Path

import ganmf_fast as gf

SEARCHES = {
    "ItemKNN, 30 calls, Gaussian process": ("ItemKNN", 30, "skopt", {}),
    "WRMF, 16 calls, random": ("WRMF", 16, "random", {"epochs": 10}),
}
SETTINGS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


class Clock:
    """A tracker that notes when trials end."""

    def __init__(self):
        self.ends = []

    def begin(self, study, earlier):
        """Nothing is noted."""

    def trial(self, _trial):
        """It has ended."""
        self.ends.append(time.perf_counter())

    def end(self, ending):
        """Nothing is noted."""


def measure(splits, name, executor, n_workers):
    model, n_calls, backend, fixed = SEARCHES[name]
    # Local processes share the threads of this one; a worker on Ray has one of its own.
    gf.set_num_threads(n_workers)
    clock, began = Clock(), time.perf_counter()
    gf.tune(
        model,
        splits,
        n_calls,
        backend=backend,
        fixed=fixed,
        executor=executor,
        n_workers=n_workers,
        trackers=[clock],
    )
    return clock.ends[0] - began, clock.ends[-1] - clock.ends[0]


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    splits = gf.Splits.load(options.data)
    print("| search | workers | start | the other trials | gain |")
    print("| --- | --- | --- | --- | --- |", flush=True)
    for name in SEARCHES:
        # Interleaved, so that a busy moment of the machine does not fall on one setting only.
        found = {setting: [] for setting in SETTINGS}
        for _ in range(options.repeats):
            for setting in SETTINGS:
                found[setting].append(measure(splits, name, *setting))
        alone = None
        for (executor, n_workers), rows in found.items():
            start, others = (statistics.median(column) for column in zip(*rows, strict=True))
            alone = alone or others
            print(
                f"| {name} | {n_workers} {executor} | {start:.1f} s | {others:.1f} s "
                f"| {alone / others:.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
