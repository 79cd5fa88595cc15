"""Runs cases: a process that `pool` starts, asks by lines of JSON, and may lose.

Before each case its number is written to a file that outlives the process, a timer is set that
ends the process, and the memory it has is noted. What a library prints goes to stderr.
"""

import faulthandler
import json
import mmap
import os
import re
import resource
import shutil
import signal
import struct
import sys
import time
import traceback
import warnings
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
from tests.fuzz.cases import ODD, UnbuildableError, from_json, keep, to_json
from tests.fuzz.targets import Target, WrongError

from ganmf_fast.base.errors import TooLargeError

_HEADROOM = 2**30
"""Bytes of address space that a case may ask for, beyond what the process has."""
_LONGEST = 1000
"""Characters of a message that is still a sentence."""
_OURS = f"{os.sep}ganmf_fast{os.sep}"


class Worker:
    """The target that is run, and where to say which case."""

    def __init__(self, scratch: Path, position: Path) -> None:
        self._scratch = scratch
        self._file = position.open("r+b")
        self._position = mmap.mmap(self._file.fileno(), 16)
        self._status = os.open("/proc/self/status", os.O_RDONLY)
        self._before = self._used(b"VmRSS", b"VmHWM")
        self._targets: dict[str, Target] = {}
        self._unraisable: list[str] = []
        sys.unraisablehook = lambda found: self._unraisable.append(
            f"{type(found.exc_value).__name__}: {found.exc_value}"
        )

    def target(self, name: str) -> Target:
        """The target of a name, made at the first call."""
        if name not in self._targets:
            # One after the other: the last imports much.
            modules = (
                import_module(f"tests.fuzz.{part}") for part in ("faults", "memory", "files")
            )
            cls = next(t for module in modules for t in module.TARGETS if t.name == name)
            for make in ODD.values() if name != "faults" else ():
                make()  # what is imported for it has its memory before there is a limit
            folder = self._scratch / f"{name}-{os.getpid()}"
            folder.mkdir(parents=True)
            target = cls(folder, self._corpus(cls))
            target.run(target.plain())  # what is imported or allocated once belongs to no case
            self._targets[name] = target
        return self._targets[name]

    def _corpus(self, cls: type[Target]) -> Any:
        """The inputs that cases are made from; made by the first worker that needs them."""
        path = self._scratch / f"{cls.name}.json"
        if not path.is_file():
            part = path.with_suffix(f".{os.getpid()}")
            part.write_text(json.dumps(to_json(cls.make_corpus())), encoding="utf-8")
            part.replace(path)
        return from_json(json.loads(path.read_text(encoding="utf-8")))

    def remove_folders(self) -> None:
        """Remove what cases have left."""
        for name in self._targets:
            shutil.rmtree(self._scratch / f"{name}-{os.getpid()}", ignore_errors=True)

    def draw(self, name: str, seed: int, number: int) -> dict[str, Any]:
        """Case `number` of a target."""
        return self.target(name).draw(Random(f"{seed}:{name}:{number}"))

    def _used(self, *fields: bytes) -> tuple[int, ...]:
        """Bytes of address space (VmSize), of memory now (VmRSS) and at its peak (VmHWM)."""
        # getrusage has the peak of the parent as well.
        status = os.pread(self._status, 4096, 0)
        parts = (status.partition(field + b":")[2].lstrip() for field in fields)
        return tuple(1024 * int(part[: part.index(b" ")]) for part in parts)

    def batch(self, name: str, seed: int, first: int, count: int, say: Any) -> dict[str, Any]:
        """Run cases; `say` each failure, and return the numbers of accepted and refused ones."""
        _limit(resource.RLIM_INFINITY)
        target = self.target(name)
        accepted = refused = 0
        _limit(self._used(b"VmSize")[0] + _HEADROOM)
        self._before = self._used(b"VmRSS", b"VmHWM")
        started = time.perf_counter()
        for number in range(first, first + count):
            struct.pack_into("<qq", self._position, 0, number, accepted)
            case = self.draw(name, seed, number)
            outcome = self.outcome(target, case)
            if outcome is None:
                accepted += 1
            elif not outcome:
                refused += 1
            else:
                say({"number": number, **outcome})
        seconds = time.perf_counter() - started
        return {"accepted": accepted, "refused": refused, "seconds": seconds}

    def outcome(self, target: Target, case: Any, *, trace: bool = False) -> dict[str, Any] | None:
        """None of a case that was accepted, nothing of one that was refused, else the failure."""
        try:
            error, taken = self._run(target, case)
            limit = target.memory + target.FACTOR * _size(case)
            if taken > limit:  # unless something is kept from now on
                Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
                self._before = self._used(b"VmRSS", b"VmHWM")
                error, taken = self._run(target, case)
        except UnbuildableError:
            return {}
        found = self._judged(target, error)
        if not found and taken > limit:
            found = {
                "kind": "memory",
                "where": "",
                "text": f"took {taken / 2**20:.0f} MiB for an input of {_size(case):,} bytes",
            }
        if found and trace and error is not None:
            found["trace"] = "".join(traceback.format_exception(error))
        return found

    def _run(self, target: Target, case: Any) -> tuple[BaseException | None, int]:
        """What a case raises, and the bytes that it takes as far as they are a new peak."""
        resident, peak = self._before
        self._unraisable.clear()
        error: BaseException | None = None
        signal.setitimer(signal.ITIMER_REAL, target.seconds + _size(case) / target.READ)
        try:
            target.run(case)
        except UnbuildableError:
            raise
        except BaseException as raised:  # a panic in Rust is no Exception
            error = raised
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        self._before = _, highest = self._used(b"VmRSS", b"VmHWM")
        return error, highest - resident if highest > peak else 0

    def _judged(self, target: Target, error: BaseException | None) -> dict[str, Any] | None:
        if self._unraisable:
            return {"kind": "warning", "where": "", "text": self._unraisable[0]}
        if error is None:
            return None
        text = f"{type(error).__name__}: {error}"
        found = {"kind": "exception", "text": text}
        if isinstance(error, WrongError):
            return {**found, "kind": "wrong", "where": _where(error)}
        if _out_of_memory(error) and MemoryError not in target.documented:
            return {**found, "kind": "memory", "where": _where(error)}
        if not isinstance(error, target.documented) or isinstance(error, Warning):
            return {**found, "where": _where(error)}
        # What the compiled part says when it is called directly is for its one caller.
        spoken = any(_OURS in file for file, _ in _passed(error)) or target.name == "faults"
        fault = _fault(str(error)) if spoken and not isinstance(error, MemoryError) else None
        if not fault:
            return {}
        return {"kind": "message", "where": _where(error), "text": f"{fault}: {text}"}


def _limit(space: int) -> None:
    hard = resource.getrlimit(resource.RLIMIT_AS)[1]
    resource.setrlimit(resource.RLIMIT_AS, (space, hard))


def _size(value: Any) -> int:
    """Bytes that a case holds."""
    match value:
        case dict():
            return sum(map(_size, value.values()))
        case list() | tuple() | set():
            return sum(map(_size, value))
        case bytes() | str():
            return len(value)
        case np.ndarray():
            return value.nbytes
    return 8


def _out_of_memory(error: BaseException | None) -> bool:
    """Whether memory ran out on the way to an error, and not by the library's own estimate."""
    while error is not None:
        estimate = isinstance(error, TooLargeError) or "of memory but" in str(error)
        if isinstance(error, MemoryError) and not estimate:
            return True
        error = error.__cause__ or error.__context__
    return False


def _where(error: BaseException) -> str:
    """The deepest line of the package that an error passed, and where it was raised."""
    frames = _passed(error)
    ours = [frame for frame in frames if _OURS in frame[0]]
    parts = [f"{file.rpartition(_OURS)[2]}:{line}" for file, line in ours[-1:]]
    if frames and (not ours or frames[-1] is not ours[-1]):
        file, line = frames[-1]
        parts.append(f"{'/'.join(Path(file).parts[-2:])}:{line}")
    return " -> ".join(parts)


def _passed(error: BaseException) -> list[tuple[str, int]]:
    """Files and lines that an error passed, the deepest last; `traceback` looks up their text."""
    frames = traceback.walk_tb(error.__traceback__)
    return [(frame.f_code.co_filename, line) for frame, line in frames]


def _fault(message: str) -> str | None:
    """What is wrong with the text of an error that is one sentence for a user."""
    if not message.strip():
        return "empty"
    if len(message) > _LONGEST:
        return f"{len(message)} characters"
    odd = re.search(r"[\x00-\x1f\x7f-\x9f\u202a-\u202e\ud800-\udfff]", message)
    return f"holds {odd[0]!r}" if odd else None


def main() -> None:
    """Answer commands until there are no more."""
    scratch, position = map(Path, sys.argv[1:])
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    faulthandler.enable()
    faulthandler.register(signal.SIGALRM, all_threads=True, chain=True)
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the pool ends its workers
    import ganmf_fast as gf

    gf.set_num_threads(1)
    warnings.simplefilter("ignore")
    for kind in (RuntimeWarning, ResourceWarning):
        warnings.simplefilter("error", kind)
    worker = Worker(scratch, position)

    def say(answer: Any) -> None:
        answers.write(json.dumps(answer) + "\n")
        answers.flush()

    for line in sys.stdin:
        command = json.loads(line)
        match command.pop("do"):
            case "batch":
                say({"done": worker.batch(**command, say=say)})
            case "keep":
                path, about = Path(command.pop("path")), command.pop("about")
                keep(worker.draw(**command), about, path)
                say({"done": {}})
            case "replay":
                target = worker.target(command["name"])
                case = from_json(command["case"])
                say({"done": {"outcome": worker.outcome(target, case, trace=True)}})
    worker.remove_folders()


if __name__ == "__main__":
    main()
