"""The command ``ganmf``.

Results go to stdout, progress and messages to stderr. Exit codes: 0 done, 1 failed, 2 usage or
configuration, 3 data missing or damaged, 4 some models failed, 130 interrupted (Ctrl-C), 143 ended
by SIGTERM, which is answered in the same way: files are whole, checkpoints and journals are kept.
"""

import os
import signal
import sys
import threading
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cyclopts import CycloptsError

from ganmf_fast.base.errors import DataError
from ganmf_fast.cli.app import build
from ganmf_fast.cli.common import printable
from ganmf_fast.cli.config import ConfigError, install

__all__ = ["main"]

_FAILED, _USAGE, _DATA, _INTERRUPTED, _TERMINATED = 1, 2, 3, 130, 143


def main(tokens: Sequence[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    tokens : sequence of str, optional
        By default what the program was called with.

    Returns
    -------
    int
        The exit code.
    """
    # OpenMP reads this when torch is loaded, later on. Threads that spin while they wait for each
    # other make a step several times slower as soon as anything else runs on the machine.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    with _sigterm_interrupts() as terminated:
        return _run(tokens, terminated)


def _run(tokens: Sequence[str] | None, terminated: threading.Event) -> int:
    try:
        app = build()
        install(app)
        code = app(
            list(sys.argv[1:] if tokens is None else tokens),
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        if os.environ.get("GANMF_DEBUG"):
            traceback.print_exc()
        _complain("".join(["interrupted", *(str(part) for part in interrupt.args)]))
        _leave(_TERMINATED if terminated.is_set() else _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough of it; nothing more can be written, also at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return _FAILED
    except Exception as error:
        if os.environ.get("GANMF_DEBUG"):
            traceback.print_exc()
        _complain(_sentence(error))
        return _exit_code(error)
    return code if isinstance(code, int) else 0


@contextmanager
def _sigterm_interrupts() -> Iterator[threading.Event]:
    """Answer SIGTERM like Ctrl-C, once: a second one ends the process at once.

    The event is set by the signal. Where the signal has a handler already, that one is kept.
    """
    terminated = threading.Event()

    def interrupt(number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_DFL)
        terminated.set()
        raise KeyboardInterrupt

    # Only the main thread may set handlers.
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    )
    if ours:
        signal.signal(signal.SIGTERM, interrupt)
    try:
        yield terminated
    finally:
        if ours:
            signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _exit_code(error: Exception) -> int:
    if isinstance(error, DataError):
        return _DATA
    if isinstance(error, CycloptsError | ConfigError | ValueError | TypeError):
        return _USAGE
    return _FAILED


def _sentence(error: Exception) -> str:
    """One line that says what is wrong."""
    if isinstance(error, OSError) and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    text = " ".join(str(error).split())
    expected = (
        CycloptsError | ValueError | TypeError | ImportError | MemoryError | RuntimeError
    ) | (OSError | ArithmeticError)
    if isinstance(error, expected) and text:
        return text
    return f"unexpected {type(error).__name__} {text} (GANMF_DEBUG=1 shows where)"


def _complain(text: str) -> None:
    sys.stderr.write(f"ganmf: {printable(text)}\n")
    sys.stderr.flush()


def _leave(code: int) -> None:
    """End now: a long foreign call may still run in a thread that would hold up a normal exit."""
    sys.stdout.flush()
    os._exit(code)
