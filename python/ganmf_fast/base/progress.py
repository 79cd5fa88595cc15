"""Progress on stderr, of work that takes more than two seconds; never after `set_quiet(True)`.

A bar on a terminal and in a notebook that has ipywidgets; elsewhere a line every ten seconds, and
one that says how long it will take where that is more than a minute.
"""

import importlib.util
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from typing import Protocol, Self

from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

from ganmf_fast.base.console import TextConsole
from ganmf_fast.base.text import printable

_DELAY = 2.0
_EVERY = 10.0
"""Seconds between two lines where no bar can be drawn."""
_LONG = 60.0
"""Seconds from which on it is said how long work will take."""
_MOST = 5000
_everywhere = {"quiet": False}
_verbose: ContextVar[bool | None] = ContextVar("verbose", default=None)
"""What the block asks for in which this thread is."""


class Report(Protocol):
    """Callback of long work with its progress."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Show that `done` of `total` steps are finished, with a short text beside the bar."""


def set_quiet(quiet: bool) -> None:
    """Switch progress off (true), or on for terminals (false, the default)."""
    _everywhere["quiet"] = bool(quiet)


def is_quiet() -> bool:
    """Whether progress is switched off, here or everywhere."""
    verbose = _verbose.get()
    return _everywhere["quiet"] if verbose is None else not verbose


def line(text: str) -> None:
    """Write a message of one line to stderr, unless told to be quiet."""
    if not is_quiet():
        console = TextConsole(stderr=True, soft_wrap=True, force_jupyter=False)
        console.print(printable(text, _MOST))


def announce(text: str, seconds: float) -> None:
    """Say before work begins what it needs and how long it takes, if that is over a minute.

    Parameters
    ----------
    text : str
        Such as ``"EASE: fit: 30,000 items, 7.5 GiB"``.
    seconds : float
        The estimate.
    """
    if seconds > _LONG:
        line(f"{text}, about {duration(seconds)}")


def duration(seconds: float) -> str:
    """A time in words: ``"50 seconds"``, ``"4 minutes"``, ``"2.5 hours"``."""
    if seconds < 90:
        return f"{seconds:.0f} seconds"
    if seconds < 90 * 60:
        return f"{seconds / 60:.0f} minutes"
    return f"{seconds / 3600:.1f} hours"


@contextmanager
def verbosity(verbose: bool | None) -> Iterator[None]:
    """Show progress within the block at once (true), never (false), or as usual (None).

    At once means without the delay of two seconds, and a line a second where no bar can be drawn.
    """
    before = _verbose.set(_verbose.get() if verbose is None else bool(verbose))
    try:
        yield
    finally:
        _verbose.reset(before)


class _Bar:
    """Progress of one piece of work, whose view is made once the work has taken two seconds."""

    def __init__(self, label: str) -> None:
        self._label = label
        self._is_quiet = is_quiet()
        self._is_eager = bool(_verbose.get())
        self._started = time.monotonic()
        self._view: _Drawn | _Lines | None = None

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        if self._is_quiet:
            return
        if self._view is None:
            if not self._is_eager and time.monotonic() - self._started < _DELAY:
                return
            # Not before: making one takes longer than recommending for a user.
            console = TextConsole(stderr=True)
            if console.is_terminal or (console.is_jupyter and _has_widgets()):
                self._view = _Drawn(console, printable(self._label))
            else:
                every = 1.0 if self._is_eager else _EVERY
                self._view = _Lines(printable(self._label), self._started, every)
        self._view.show(done, total, printable(text))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Remove the bar from the screen."""
        if self._view is not None:
            self._view.close()


def _has_widgets() -> bool:
    return importlib.util.find_spec("ipywidgets") is not None


class _Drawn:
    """A bar that is drawn again and again: on a terminal, or as rich's form for notebooks."""

    def __init__(self, console: TextConsole, label: str) -> None:
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f}%"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=console,
            transient=True,
        )
        self._task = self._progress.add_task(label, total=None, text="")
        self._progress.start()

    def show(self, done: int, total: int, text: str) -> None:
        """Move the bar."""
        self._progress.update(self._task, completed=done, total=total or None, text=text)

    def close(self) -> None:
        """Remove the bar."""
        self._progress.stop()


class _Lines:
    """Lines, for logs and wherever a bar cannot be drawn."""

    def __init__(self, label: str, started: float, every: float) -> None:
        self._label, self._started, self._every = label, started, every
        self._next = started + every
        # Where the present part of the work was first seen: some count several, one after the
        # other, and the first steps may take longer than all others.
        self._seen: tuple[float, int] | None = None
        self._done = 0
        self._is_told = False

    def show(self, done: int, total: int, text: str) -> None:
        """Write a line if it is time for one."""
        now = time.monotonic()
        if self._seen is None or done < self._done:
            self._seen = now, done
        self._done = done
        began, first = self._seen
        left = (now - began) * (total - done) / (done - first) if done > first else None
        if left is not None and now - began >= 1 and not self._is_told:
            self._is_told = True
            announce(self._label, now - self._started + left)
        if now < self._next:
            return
        self._next = now + self._every
        words = [f"{100 * done / total:.0f}%"] if total else []
        if left:
            words.append(f"{duration(left)} left")
        line(f"{self._label}: {', '.join(filter(None, [*words, text]))}")

    def close(self) -> None:
        """Nothing is on the screen to be removed."""


def reporter(label: str) -> AbstractContextManager[Report]:
    """Show progress of the work inside the block once it has taken two seconds.

    Parameters
    ----------
    label : str
        Description, such as ``"ItemKNN: fit"``.

    Returns
    -------
    context manager that gives a callable ``report(done, total, text="")``
        Does nothing after ``set_quiet(True)``.
    """
    return _Bar(label)
