"""Progress bar on stderr: after two seconds, only on a terminal, never after `set_quiet(True)`."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

__all__ = ["Report", "is_quiet", "reporter", "set_quiet", "silence"]

_DELAY = 2.0
_state = {"quiet": False}


class Report(Protocol):
    """Callback of long work with its progress."""

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        """Show that `done` of `total` steps are finished, with a short text beside the bar."""


def set_quiet(quiet: bool) -> None:
    """Switch progress off (true), or on for terminals (false, the default)."""
    _state["quiet"] = bool(quiet)


def is_quiet() -> bool:
    """Whether progress is switched off."""
    return _state["quiet"]


@contextmanager
def silence() -> Iterator[None]:
    """Show no progress within the block, because an outer bar covers it."""
    before = _state["quiet"]
    _state["quiet"] = True
    try:
        yield
    finally:
        _state["quiet"] = before


class _Bar:
    """Progress bar that is drawn once the work has taken two seconds."""

    def __init__(self, label: str, console: Console | None) -> None:
        self._label = label
        self._console = console
        self._started = time.monotonic()
        self._progress: Progress | None = None
        self._task = TaskID(0)

    def __call__(self, done: int, total: int, text: str = "", /) -> None:
        if self._console is None:
            return
        if self._progress is None:
            if time.monotonic() - self._started < _DELAY:
                return
            self._progress = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(),
                TextColumn("{task.percentage:>3.0f}%"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[text]}", markup=False),
                console=self._console,
                transient=True,
            )
            self._task = self._progress.add_task(self._label, total=None, text="")
            self._progress.start()
        self._progress.update(self._task, completed=done, total=total or None, text=text)

    def close(self) -> None:
        """Remove the bar from the screen."""
        if self._progress is not None:
            self._progress.stop()


@contextmanager
def reporter(label: str) -> Iterator[Report]:
    """Show progress of the work inside the block once it has taken two seconds.

    Parameters
    ----------
    label : str
        Description, such as ``"ItemKNN: fit"``.

    Yields
    ------
    callable ``report(done, total, text="")``
        Does nothing off a terminal or after ``set_quiet(True)``.
    """
    console = Console(stderr=True)
    bar = _Bar(label, console if console.is_terminal and not is_quiet() else None)
    try:
        yield bar
    finally:
        bar.close()
