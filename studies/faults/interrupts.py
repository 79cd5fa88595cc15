"""How long Ctrl-C and SIGTERM take to be answered, and what is left behind."""

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

__all__ = ["Interrupted", "interrupt_call", "interrupt_command", "left_behind"]

PROGRAM = Path(__file__).with_name("calls.py")
COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ganmf_fast.cli import main; sys.exit(main())"
)
MOST_SECONDS = 60.0
"""A call that is not interrupted by then counts as never."""
_GRACE = 1.0
"""Seconds after the end of a process in which its children may still be there."""


@dataclass
class Interrupted:
    """What a signal did to a call or a command."""

    name: str
    sent: str
    after: float
    """Seconds of work before it was sent."""
    seconds: float | None
    """To the answer; None if the work had ended before."""
    code: int | None = None
    """Exit code; None where the process went on."""
    said: str = ""
    """What a library printed."""
    left: int = 0
    """Processes that were still alive a second later."""

    def to_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def _session(pid: int) -> list[int]:
    """Processes of the session that a process leads, but for it."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            fields = path.read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
            if int(fields[3]) == pid and int(path.parent.name) != pid and fields[0] != "Z":
                found.append(int(path.parent.name))
    return found


def left_behind(pid: int) -> int:
    """Processes that outlive the one that began them by more than a moment; they are ended."""
    until = time.monotonic() + _GRACE
    while (alive := _session(pid)) and time.monotonic() < until:
        time.sleep(0.02)
    for child in alive:
        with contextlib.suppress(ProcessLookupError):
            os.kill(child, signal.SIGKILL)
    return len(alive)


def interrupt_call(name: str, folder: Path, moments: Sequence[float]) -> Iterator[Interrupted]:
    """Press Ctrl-C after so many seconds of a call, again and again, and end it by SIGTERM."""
    with subprocess.Popen(
        [sys.executable, str(PROGRAM), name, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        assert process.stdout
        try:
            for after in moments:
                if _lasts(process, after):
                    sent = time.time()
                    # As a terminal does: to every process in it.
                    os.killpg(process.pid, signal.SIGINT)
                    how, at, _ = process.stdout.readline().split()
                    yield Interrupted(name, "SIGINT", after, max(0.0, float(at) - sent))
                    if how == "ended":
                        return  # and was interrupted between two calls
                else:
                    yield Interrupted(name, "SIGINT", after, None)
                    break
            if _lasts(process, moments[-1]):
                yield _ended(process, signal.SIGTERM, name, moments[-1])
        finally:
            process.kill()
            left_behind(process.pid)


def _lasts(process: subprocess.Popen[str], seconds: float) -> bool:
    """Begin the call; whether it goes on for so many seconds."""
    assert process.stdin
    assert process.stdout
    process.stdin.write("\n")
    process.stdin.flush()
    if process.stdout.readline() != "ready\n":
        raise RuntimeError(f"{process.args} does not begin: {process.stderr.read()}")  # type: ignore[union-attr]
    if select.select([process.stdout], [], [], seconds)[0]:
        process.stdout.readline()
        return False
    return True


def _ended(process: subprocess.Popen[str], sent: int, name: str, after: float) -> Interrupted:
    """End a process by a signal; a terminal sends Ctrl-C to all that run in it."""
    began = time.monotonic()
    if sent == signal.SIGINT:
        os.killpg(process.pid, sent)
    else:
        process.send_signal(sent)
    _, said = process.communicate(timeout=MOST_SECONDS)
    seconds = time.monotonic() - began
    left = left_behind(process.pid)
    return Interrupted(
        name, signal.Signals(sent).name, after, seconds, process.returncode, said, left
    )


def interrupt_command(tokens: Sequence[str], sent: int, after: float, cwd: Path) -> Interrupted:
    """Start ``ganmf``, and end it by a signal after so many seconds, if it has not ended."""
    name = " ".join(("ganmf", *tokens))
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GANMF_")}
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND, *tokens],
        cwd=cwd,
        env={**environment, "XDG_CONFIG_HOME": os.devnull},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            with contextlib.suppress(subprocess.TimeoutExpired):
                _, said = process.communicate(timeout=after)
                name_of = signal.Signals(sent).name
                return Interrupted(name, name_of, after, None, process.returncode, said)
            return _ended(process, sent, name, after)
        finally:
            process.kill()
            left_behind(process.pid)
