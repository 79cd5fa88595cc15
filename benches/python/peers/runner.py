"""Who is measured when: inputs, a first run of everyone, the check, then interleaved runs.

Each run is a process of its own with one thread. Short operations are run in several rounds, all
packages in turn, and the median counts; one that takes long is run once or twice.
"""

import hashlib
import inspect
import json
import signal
import statistics
import subprocess
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

import ganmf_fast
from ganmf_fast.experiments.environment import describe
from peers.environment import Environment, variables
from peers.inputs import QUICK, REQUESTS, SYNTHETIC
from peers.operations import OPERATIONS
from peers.operations.base import OURS, Operation

Result = dict[str, Any]
"""What is kept of one operation on one data set; see `Runner.run`."""


@dataclass(frozen=True)
class Runner:
    """Measures operations and keeps their results.

    Attributes
    ----------
    peers : Environment
    results : Path
        Folder of one JSON file per operation and data set.
    cache : Path
        Folder for inputs and answers.
    limit : int
        CPU seconds after which a run is given up.
    """

    peers: Environment
    results: Path
    cache: Path
    limit: int

    def kept(self, operation: Operation, dataset: str) -> Result | None:
        """A result of before, if it was made by this build, these packages and this machine."""
        path = self._path(operation, dataset)
        if not path.is_file():
            return None
        result: Result = json.loads(path.read_text(encoding="utf-8"))
        return result if result["key"] == self._key(operation, dataset) else None

    def run(self, operation: Operation, dataset: str) -> Result:
        """Measure an operation on a data set with every package, and keep the result."""
        packages = {name: self._absent(name) for name in operation.packages_for(dataset)}
        prepared = self._worker(operation, dataset, OURS, "--prepare")
        if prepared["status"] != "ok":
            packages = dict.fromkeys(packages, prepared)
        present = [name for name, row in packages.items() if row is None]
        answers = {}
        for name in present:
            path = self.cache / f"answer-{operation.name}-{dataset}-{name}.npz"
            row = self._worker(operation, dataset, name, "--answer", str(path))
            packages[name] = row
            if row["status"] == "ok":
                with np.load(path) as arrays:
                    answers[name] = {key: arrays[key] for key in arrays}
            path.unlink(missing_ok=True)
        if answers:
            self._check(operation, dataset, answers, packages)
        del answers
        self._time(
            operation, dataset, [n for n in present if packages[n]["status"] == "ok"], packages
        )
        result = {
            "operation": operation.name,
            "dataset": dataset,
            "key": self._key(operation, dataset),
            "date": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            "environment": describe() | {"peers": self.peers.versions},
            "packages": packages,
        }
        self.results.mkdir(parents=True, exist_ok=True)
        path = self._path(operation, dataset)
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
        return result

    def _check(
        self,
        operation: Operation,
        dataset: str,
        answers: dict[str, dict[str, Any]],
        packages: dict[str, Any],
    ) -> None:
        for name, verdict in operation.check(dataset, answers).items():
            packages[name] |= {"agrees": verdict.agrees, "detail": verdict.detail}
            if not verdict.agrees and name not in operation.yardsticks:
                print(f"    {name}: another answer: {verdict.detail}", flush=True)

    def _time(
        self, operation: Operation, dataset: str, names: list[str], packages: dict[str, Any]
    ) -> None:
        plans = {
            name: _plan(packages[name]["seconds"][0], packages[name].pop("wall")) for name in names
        }
        samples: dict[str, list[float]] = {name: [] for name in names}
        for turn in range(max((rounds for rounds, _ in plans.values()), default=0)):
            for name, (rounds, repeats) in plans.items():
                if turn < rounds:
                    row = self._worker(operation, dataset, name, "--repeats", str(repeats))
                    seconds = row.get("seconds", [])
                    # The first run in a process pays for what is made or loaded once.
                    samples[name] += seconds[1:] or seconds
        for name in names:
            seconds = samples[name] or packages[name]["seconds"]
            packages[name] |= {"seconds": statistics.median(seconds), "samples": seconds}

    def _worker(self, operation: Operation, dataset: str, package: str, *options: str) -> Result:
        """One process; its report."""
        python = Path(sys.executable) if package == OURS else self.peers.python
        command = [str(python), "-m", "peers.worker", operation.name, dataset]
        if "--prepare" not in options:
            command += ["--package", package, "--limit", str(self.limit), *options]
        start = time.monotonic()
        try:
            done = subprocess.run(
                command,
                env=variables(self.cache),
                capture_output=True,
                text=True,
                timeout=20 * self.limit,
                check=False,
            )
        except subprocess.TimeoutExpired:
            return {"status": "given up", "note": "it neither worked nor ended"}
        if done.returncode == -signal.SIGXCPU:
            print(f"    {package}: given up after {self.limit} CPU s", flush=True)
            return {"status": "given up", "note": f"not done after {self.limit} CPU s"}
        lines = done.stdout.strip().splitlines()
        try:
            report: Result = json.loads(lines[-1])
        except (IndexError, ValueError):
            report = {"status": "failed", "note": f"the process ended with {done.returncode}"}
        if report["status"] == "failed":
            log = self.cache / f"failed-{operation.name}-{dataset}-{package}.log"
            log.write_text(done.stdout + done.stderr, encoding="utf-8")
        seconds = report.get("seconds", [])
        shown = ", ".join(f"{s:.3f}" for s in seconds) or report.get("note") or "inputs"
        wall = time.monotonic() - start
        print(f"    {package}: {shown} ({wall:.0f} s with loading)", flush=True)
        return report | {"wall": wall}

    def _absent(self, package: str) -> Result | None:
        why = self.peers.failures.get(package.replace("_", "-"))
        return None if why is None else {"status": "not installed", "note": why}

    def _path(self, operation: Operation, dataset: str) -> Path:
        return self.results / f"{operation.name}-{dataset}.json"

    def _key(self, operation: Operation, dataset: str) -> str:
        """Changes with the library, the other packages, the processor and what is measured."""
        state = hashlib.sha256()
        package, here = Path(ganmf_fast.__file__).parent, Path(__file__).parent
        sources = [*package.glob("_core*.so"), *package.rglob("*.py"), here / "measure.py"]
        sources.append(Path(inspect.getfile(operation.check)))
        sources += [here / "packages" / f"{name}_.py" for name in operation.packages]
        for path in sorted(sources):
            state.update(path.read_bytes())
        about = (
            operation.packages_for(dataset),
            self.peers.versions,
            self.peers.failures,
            describe()["hardware"],
        )
        state.update(json.dumps(about, sort_keys=True).encode())
        return state.hexdigest()[:16]


def _plan(seconds: float, wall: float) -> tuple[int, int]:
    """Rounds, and runs in each, after a first run of so many CPU seconds.

    `wall` is what the process took with loading: where that is long, one more has to do.
    """
    if seconds > 10:
        return 0, 1
    if seconds > 3:
        return 1, 1
    return 1 if wall > 30 else 2, 1 + max(1, min(5, int(0.5 / max(seconds, 1e-3))))


def jobs(operations: list[str] | None, datasets: list[str] | None) -> list[tuple[Operation, str]]:
    """Operations and data sets that were asked for; all of them where nothing was.

    Several operations can be asked for by what their names begin with, such as "one_user".

    Raises
    ------
    ValueError
        If a name is unknown, or nothing is left.
    """
    known = {dataset for operation in OPERATIONS.values() for dataset in operation.datasets}
    known |= {QUICK}
    operations = [
        name
        for asked in operations or ()
        for name in [n for n in OPERATIONS if f"{n}_".startswith(f"{asked}_")] or [asked]
    ]
    for given, names, what in ((operations, set(OPERATIONS), "OPS"), (datasets, known, "DATASETS")):
        unknown = sorted(set(given or []) - names)
        if unknown:
            raise ValueError(f"{what} holds {unknown[0]!r}; there are {', '.join(sorted(names))}")
    chosen = [
        (operation, dataset)
        for operation in OPERATIONS.values()
        for dataset in _datasets(operation, datasets)
        if (not operations or operation.name in operations)
        and (not datasets or dataset in datasets)
    ]
    if not chosen:
        raise ValueError("none of these operations is measured on these data sets")
    return chosen


def _datasets(operation: Operation, asked: list[str] | None) -> tuple[str, ...]:
    quick = QUICK in (asked or []) and {SYNTHETIC, REQUESTS} & set(operation.datasets)
    return (*operation.datasets, QUICK) if quick else operation.datasets
