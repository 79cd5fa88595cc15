"""What workers gain: the same number of trials by one and two, on local processes and on Ray.

``python benches/python/speedup.py --data FOLDER [--repeats 3]``. Every setting has one thread for
each worker. Prints a line of Markdown for each: median wall time of the whole search with the start
of its workers, its quotient with one worker in this process, the seconds that its trials took
together, and the processor time of this process, which asks the questions.
"""

import argparse
import statistics
import time
from pathlib import Path

import ganmf_fast as gf

SEARCHES = {
    "ItemKNN, 16 calls, Gaussian process": ("ItemKNN", 16, "skopt", {}),
    "ItemKNN, 16 calls, random": ("ItemKNN", 16, "random", {}),
    "WRMF, 8 calls, random": ("WRMF", 8, "random", {"epochs": 10}),
}
SETTINGS = (("local", 1), ("local", 2), ("ray", 1), ("ray", 2))


def measure(splits, name, executor, n_workers):
    model, n_calls, backend, fixed = SEARCHES[name]
    # Local processes share the threads of this one; a worker on Ray has one of its own.
    gf.set_num_threads(n_workers)
    began, cpu = time.perf_counter(), time.process_time()
    result = gf.tune(
        model,
        splits,
        n_calls,
        backend=backend,
        fixed=fixed,
        executor=executor,
        n_workers=n_workers,
    )
    trials = sum(trial.seconds for trial in result.history)
    return time.perf_counter() - began, trials, time.process_time() - cpu


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    splits = gf.Splits.load(options.data)
    print("| search | workers | wall | gain | trials | asking |")
    print("| --- | --- | --- | --- | --- | --- |", flush=True)
    for name in SEARCHES:
        # Interleaved, so that a busy moment of the machine does not fall on one setting only.
        found = {setting: [] for setting in SETTINGS}
        for _ in range(options.repeats):
            for setting in SETTINGS:
                found[setting].append(measure(splits, name, *setting))
        first = None
        for (executor, n_workers), rows in found.items():
            wall, trials, asking = (statistics.median(column) for column in zip(*rows, strict=True))
            first = first or wall
            print(
                f"| {name} | {n_workers} {executor} | {wall:.1f} s | {first / wall:.2f} "
                f"| {trials:.1f} s | {asking:.1f} s |",
                flush=True,
            )


if __name__ == "__main__":
    main()
