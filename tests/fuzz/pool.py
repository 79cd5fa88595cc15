"""Workers, what they are given to do, and what becomes of a case that ends one.

A worker that dies names the case it was at. A new one runs that case alone; if it lives, the batch
is run again up to that case, since cases before it may have spoiled the memory.
"""

import contextlib
import json
import os
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

__all__ = ["Found", "Pool", "Tally"]

ROOT = Path(__file__).resolve().parents[2]

_EXAMPLES = 3
"""Inputs that are kept of each fault."""
_LOST = {"death": 30, "time-out": 5}
"""Workers that one target may cost."""
_BATCH_SECONDS = 0.5

_ENVIRONMENT = {"OMP_NUM_THREADS": "1", "MALLOC_ARENA_MAX": "2", "RUST_BACKTRACE": "0"}


class DiedError(Exception):
    """A worker is gone."""

    def __init__(self, number: int, accepted: int, kind: str, text: str) -> None:
        super().__init__(text)
        self.number, self.accepted, self.kind, self.text = number, accepted, kind, text


class Child:
    """One process of `worker`."""

    def __init__(self, scratch: Path, number: int) -> None:
        self._position = scratch / f"position-{number}"
        self._position.write_bytes(bytes(16))
        self._errors = (scratch / f"stderr-{number}").open("w+b")
        path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH", ""))))
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.fuzz.worker", str(scratch), str(self._position)],
            cwd=scratch,
            env={**os.environ, "PYTHONPATH": path, **_ENVIRONMENT},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._errors,
            text=True,
        )

    def ask(self, say: Callable[[Any], None] = lambda _answer: None, **command: Any) -> Any:
        """Let it do something.

        Raises
        ------
        DiedError
            If it does not live to answer.
        """
        assert self._process.stdin
        assert self._process.stdout
        self._errors.truncate(0)
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.write(json.dumps(command) + "\n")
            self._process.stdin.flush()
        for line in self._process.stdout:
            answer = json.loads(line)
            if "done" in answer:
                return answer["done"]
            say(answer)
        code = self._process.wait()
        number, accepted = struct.unpack("<qq", self._position.read_bytes())
        raise DiedError(number, accepted, *self._cause(code))

    def _cause(self, code: int) -> tuple[str, str]:
        self._errors.seek(0)
        said = self._errors.read().replace(b"\0", b"").decode(errors="replace").strip()
        if code == -signal.SIGALRM:
            return "time-out", _last_frames(said)
        if code >= 0:
            return "death", f"exit code {code}: {said[-2000:]}"
        name = signal.Signals(-code).name
        first = next((line for line in said.splitlines() if line.strip()), "")
        return "death", f"{name}: {first[:300]}; {_last_frames(said)}"

    def end(self, *, at_once: bool = False) -> None:
        """Let it finish, or end it."""
        if at_once:
            self._process.kill()
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._errors.close()


def _last_frames(said: str) -> str:
    """Where the main thread was, out of what faulthandler wrote."""
    frames = re.findall(r'File "(.*?)", line (\d+) in (\S+)', said.rpartition("Current thread")[2])
    return " <- ".join(f"{Path(file).name}:{line} {name}" for file, line, name in frames[:3])


@dataclass
class Found:
    """A fault: the failures that have kind, place and words in common."""

    kind: str
    where: str
    text: str
    count: int = 0
    kept: list[str] = field(default_factory=list)


@dataclass
class Tally:
    """What became of the cases of a target."""

    target: str
    cases: int = 0
    accepted: int = 0
    refused: int = 0
    failures: int = 0
    seconds: float = 0.0
    """Of all workers together."""
    stopped: str = ""
    found: dict[str, Found] = field(default_factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        kinds = Counter[str]()
        for one in self.found.values():
            kinds[one.kind] += one.count
        return {**asdict(self), "found": [asdict(f) for f in self.found.values()], "kinds": kinds}


class Pool:
    """Runs cases in processes.

    Parameters
    ----------
    scratch : Path
        Folder in memory.
    keep : Path
        Folder for inputs that fail.
    seed : int
    n_workers : int
    """

    def __init__(self, scratch: Path, keep: Path, seed: int, n_workers: int) -> None:
        self._scratch, self._keep, self._seed = scratch, keep, seed
        self._lock = threading.Lock()
        self._started = 0
        self._children: dict[int, Child] = {}
        self._n_workers = n_workers
        self._failed: BaseException | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        with self._lock:
            self._failed = self._failed or InterruptedError()
            for child in self._children.values():
                child.end(at_once=kind is not None)

    def _child(self, slot: int) -> Child:
        if slot not in self._children:
            with self._lock:
                if self._failed:
                    raise self._failed
                self._started += 1
                self._children[slot] = Child(self._scratch, self._started)
        return self._children[slot]

    def _replace(self, slot: int) -> Child:
        self._children[slot].end()
        with self._lock:
            del self._children[slot]
        return self._child(slot)

    def run(self, target: str, n_cases: int, seconds: float | None) -> Tally:
        """Run so many cases of a target, or as many as there is time for."""
        tally = Tally(target)
        self._batch(0, tally, 0, 1)  # makes the corpus
        handed = iter(self._batches(tally, n_cases, seconds))

        def work(slot: int) -> None:
            while True:
                with self._lock:
                    batch = next(handed, None)
                if batch is None or self._failed:
                    return
                try:
                    self._batch(slot, tally, *batch)
                except BaseException as error:
                    self._failed = error
                    return

        threads = [
            threading.Thread(target=work, args=(slot,), daemon=True)
            for slot in range(self._n_workers)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
        if self._failed:
            raise self._failed
        return tally

    def _batches(
        self, tally: Tally, n_cases: int, seconds: float | None
    ) -> Iterator[tuple[int, int]]:
        """First number and length of batches that take about half a second each."""
        first, began = 1, time.perf_counter()
        while first < n_cases and not tally.stopped:
            left = seconds and seconds - (time.perf_counter() - began)
            if left is not None and left <= 0:
                return
            rate = tally.cases / max(tally.seconds, 1e-3)
            count = min(int(rate * _BATCH_SECONDS) + 1, 20_000, n_cases - first)
            yield first, count
            first += count

    def _batch(self, slot: int, tally: Tally, first: int, count: int) -> None:
        """Run some cases, each of them once."""
        end = first + count
        while first < end:
            child, failed = self._child(slot), []
            command = {"do": "batch", "name": tally.target, "seed": self._seed, "first": first}
            began = time.perf_counter()
            try:
                done = child.ask(failed.append, **command, count=end - first)
            except DiedError as death:
                at, accepted = max(death.number, first), death.accepted
                done = {"accepted": accepted, "refused": at - first - accepted - len(failed)}
                done["seconds"] = time.perf_counter() - began
                failed.append(self._confirmed(slot, tally.target, first, at, death))
                ran = at - first + 1
            else:
                ran = end - first
            with self._lock:
                tally.cases += ran
                tally.accepted += done["accepted"]
                tally.refused += max(0, done["refused"])
                tally.seconds += done["seconds"]
            for failure in failed:
                self._record(slot, tally, failure)
            first += ran

    def _confirmed(
        self, slot: int, target: str, first: int, at: int, death: DiedError
    ) -> dict[str, Any]:
        """The failure of the case that a worker died of, after another look."""
        command = {"do": "batch", "name": target, "seed": self._seed}
        alone = False
        for start in dict.fromkeys((at, first)):
            child = self._replace(slot)
            try:
                child.ask(**command, first=start, count=at - start + 1)
            except DiedError as again:
                alone = start == at
                death = again if alone else death
                self._replace(slot)
                break
        else:
            return {**vars(death), "where": "", "text": f"(not when run again) {death.text}"}
        text = death.text if alone else f"(only after cases from {first} on) {death.text}"
        return {"number": at, "kind": death.kind, "where": "", "text": text}

    def _record(self, slot: int, tally: Tally, failure: dict[str, Any]) -> None:
        kind, where, text = failure["kind"], failure["where"], failure["text"]
        plain = re.sub(r"0x[0-9a-f]+|'.*?'|\".*?\"|[-\d.]+", "*", text)[:60]
        if kind == "message" or text.startswith("("):  # its words or frames are those of an input
            plain = plain.partition(":")[0]
        with self._lock:
            found = tally.found.setdefault(
                f"{kind} {where} {plain}", Found(kind, where, text[:500])
            )
            found.count += 1
            tally.failures += 1
            lost = sum(f.count for f in tally.found.values() if f.kind == kind)
            if lost >= _LOST.get(kind, lost + 1):
                tally.stopped = f"after {lost} lost workers ({kind})"
            if len(found.kept) >= _EXAMPLES:
                return
            path = self._keep / f"{tally.target}-{self._seed}-{failure['number']}.json"
            found.kept.append(str(path))
        about = {"target": tally.target, "kind": kind, "where": where, "text": text[:2000]}
        command = {"name": tally.target, "seed": self._seed, "number": failure["number"]}
        command |= {"do": "keep", "path": str(path.absolute()), "about": about}
        try:
            self._child(slot).ask(**command)
        except DiedError:  # an earlier case has spoiled its memory
            self._replace(slot).ask(**command)

    def replay(self, path: Path) -> dict[str, Any] | None:
        """What becomes of a case that was kept: its failure, nothing if refused, None if accepted.

        Raises
        ------
        ValueError
            If the file is none that was kept.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8", errors="surrogatepass"))
            command = {"name": content["target"], "case": content["case"]}
        except (ValueError, KeyError, TypeError) as error:
            raise ValueError(f"{path} is no case that was kept: {error}") from None
        try:
            outcome: dict[str, Any] | None = self._child(0).ask(do="replay", **command)["outcome"]
        except DiedError as death:
            return {"kind": death.kind, "where": "", "text": death.text}
        return outcome
