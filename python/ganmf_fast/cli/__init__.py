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
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.base.text import one_line, printable

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
    _open_streams()
    with _sigterm_interrupts() as terminated, _no_interrupt_lost(), _warnings_in_a_line():
        return _run(tokens, terminated)


def _run(tokens: Sequence[str] | None, terminated: threading.Event) -> int:
    try:
        # It takes a while, in which Ctrl-C is answered already.
        from ganmf_fast.cli.app import build
        from ganmf_fast.cli.config import install

        app = build()
        install(app)
        code = app(
            list(sys.argv[1:] if tokens is None else tokens),
            exit_on_error=False,
            print_error=False,
        )
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        _ignore_another()
        _show_traceback()
        _complain("".join(["interrupted", *(str(part) for part in interrupt.args)]))
        _leave(_TERMINATED if terminated.is_set() else _INTERRUPTED)
    except BrokenPipeError:
        # Whoever read our output has enough of it.
        _give_up_stdout()
        return _FAILED
    except Exception as error:
        _show_traceback()
        _complain(_sentence(error))
        try:
            sys.stdout.flush()
        except OSError:
            _give_up_stdout()
        return _exit_code(error)
    return code if isinstance(code, int) else 0


def _open_streams() -> None:
    """Where the shell closed stdout or stderr, nobody reads it; no file may get its number."""
    if sys.stdout is None:
        sys.stdout = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123
    if sys.stderr is None:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115, PTH123


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


@contextmanager
def _no_interrupt_lost() -> Iterator[None]:
    """Raise KeyboardInterrupt once more where Python drops it, as in finalizers and callbacks."""
    others = sys.unraisablehook

    def again(found: "sys.UnraisableHookArgs") -> None:
        if not issubclass(found.exc_type, KeyboardInterrupt):
            others(found)
            return
        later = threading.Timer(0.05, _interrupt_main)
        later.daemon = True
        later.start()

    sys.unraisablehook = again
    try:
        yield
    finally:
        sys.unraisablehook = others


def _interrupt_main() -> None:
    if sys.platform == "win32":
        signal.raise_signal(signal.SIGINT)
    elif (thread := threading.main_thread().ident) is not None:
        signal.pthread_kill(thread, signal.SIGINT)


def _ignore_another() -> None:
    """Leave in peace, also after Ctrl-C twice."""
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGINT, signal.SIG_IGN)


@contextmanager
def _warnings_in_a_line() -> Iterator[None]:
    """Warnings as the other messages, without the place in the code."""
    before = warnings.formatwarning
    warnings.formatwarning = lambda message, *_place: f"ganmf: warning: {one_line(message)}\n"
    try:
        yield
    finally:
        warnings.formatwarning = before


def _show_traceback() -> None:
    if os.environ.get("GANMF_DEBUG", "0") != "0":
        for line in traceback.format_exc().splitlines():
            sys.stderr.write(f"{printable(line, None)}\n")


def _give_up_stdout() -> None:
    """Nothing more can be written, also at exit."""
    with suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _exit_code(error: Exception) -> int:
    if isinstance(error, DataError):
        return _DATA
    return _USAGE if isinstance(error, (*_cyclopts_errors(), ValueError, TypeError)) else _FAILED


def _cyclopts_errors() -> tuple[type[Exception], ...]:
    """What wrong options raise, if options were looked at."""
    cyclopts = sys.modules.get("cyclopts")
    return () if cyclopts is None else (cyclopts.CycloptsError,)


def _what_is_missing(error: Exception) -> str | None:
    """The argument that a command line lacks altogether, and what may have been meant as it."""
    cyclopts = sys.modules.get("cyclopts")
    if cyclopts is None or not isinstance(error, cyclopts.MissingArgumentError):
        return None
    argument = error.argument
    if argument is None or error.keyword is not None or argument.tokens:
        return None
    command = " ".join(error.command_chain or ())
    lost = ""
    if error.unused_tokens:
        first = error.unused_tokens[0]
        what = "is none of its options" if first.startswith("-") else "belongs to no option"
        lost = f", and {first!r} {what}"
    return f"{command} needs {argument.name}{lost} (ganmf {command} --help)"


def _sentence(error: Exception) -> str:
    """One line that says what is wrong."""
    if isinstance(error, OSError) and not isinstance(error, WriteError) and error.strerror:
        where = "" if error.filename is None else f"{printable(str(error.filename))}: "
        return f"{where}{error.strerror}"
    text = _what_is_missing(error) or one_line(error)
    expected = (
        *_cyclopts_errors(),
        *(ValueError, TypeError, ImportError, MemoryError, RuntimeError),
        *(OSError, ArithmeticError),
    )
    if isinstance(error, expected) and text:
        return text
    return f"unexpected {type(error).__name__} {text} (GANMF_DEBUG=1 shows where)"


def _complain(text: str) -> None:
    sys.stderr.write(f"ganmf: {printable(text, 5000)}\n")
    sys.stderr.flush()


def _leave(code: int) -> None:
    """End now: a long foreign call may still run in a thread that would hold up a normal exit."""
    sys.stdout.flush()
    os._exit(code)
