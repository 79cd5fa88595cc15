"""Executors of tasks: this process, several on this machine, or a cluster.

An executor is made by a callable ``make(task, n_workers)`` and is a context manager with one
method, ``submit(question)``, that returns a `concurrent.futures.Future` of ``task(question)``.
A task is the trial of a search, or the evaluation of some users. At most `n_workers` questions are
open at a time; the caller decides their order. Requirements for another executor:

- The task is plain data. Send it to each worker once and call it there with each question; it may
  keep what it has prepared between calls.
- A future that ends with an exception means that the task raised it, which trials never do, or
  that the worker is gone. An executor that can run the question elsewhere should do so.
- On leaving the context nothing goes on running, also after Ctrl-C.

Register the name in `EXECUTORS`, or pass the callable itself as `executor`.
"""

import contextlib
import importlib
import importlib.util
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast

from ganmf_fast.base.errors import unknown
from ganmf_fast.base.text import shown
from ganmf_fast.base.threads import get_num_threads
from ganmf_fast.base.worker import Worker

Task: TypeAlias = Callable[[Any], Any]


class Executor(Protocol):
    """Runs a task."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything that is still running."""

    def submit(self, question: Any) -> "Future[Any]":
        """Start to answer a question."""


MakeExecutor: TypeAlias = Callable[[Task, int], Executor]


class Serial(contextlib.AbstractContextManager["Serial"]):
    """Answers each question in this process, before `submit` returns."""

    def __init__(self, task: Task) -> None:
        self._task = task

    def __exit__(self, *_error: object) -> None:
        """Nothing is running."""

    def submit(self, question: Any) -> "Future[Any]":
        """See `Executor`."""
        future: Future[Any] = Future()
        future.set_result(self._task(question))
        return future


class Processes(contextlib.AbstractContextManager["Processes"]):
    """Some processes on this machine, each with a fraction of the threads.

    A process that dies, because memory ran out for example, takes its own question with it and no
    other; a new one takes its place.

    Raises
    ------
    ImportError
        If cloudpickle, with which tasks are sent to them, is not installed.
    """

    def __init__(self, task: Task, n_workers: int) -> None:
        if importlib.util.find_spec("cloudpickle") is None:
            raise ImportError('n_workers above 1 needs cloudpickle: pip install "ganmf-fast[tune]"')
        self._dumps = importlib.import_module("cloudpickle").dumps
        self._task: bytes = self._dumps(task)
        self._threads = max(1, get_num_threads() // n_workers)
        self._slots: list[tuple[Worker, Future[Any]] | None] = [None] * n_workers

    def submit(self, question: Any) -> "Future[Any]":
        """See `Executor`."""
        at = next(at for at, slot in enumerate(self._slots) if slot is None or slot[1].done())
        slot = self._slots[at]
        if slot is not None and not slot[0].alive:
            slot[0].end()
            slot = None
        worker = Worker(self._task, self._threads) if slot is None else slot[0]
        future = worker.ask(self._dumps(question))
        self._slots[at] = (worker, future)
        return future

    def __exit__(self, *_error: object) -> None:
        """End all processes, at once if they are at work."""
        for slot in self._slots:
            if slot is not None:
                slot[0].end()


def local(task: Task, n_workers: int) -> Executor:
    """Work in this process with one worker, in processes of their own with more."""
    return Serial(task) if n_workers == 1 else Processes(task, n_workers)


EXECUTORS: dict[str, str] = {
    "local": "ganmf_fast.base.executors:local",
    "ray": "ganmf_fast.base.ray_executor:on_ray",
}
"""Executors by name: module and callable ``make(task, n_workers)``."""


def executor_maker(executor: object) -> MakeExecutor:
    """What makes the executor of a name, or a callable of the user's own as it is.

    Raises
    ------
    TypeError, ValueError
        If there is no such executor.
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise ValueError(unknown("executor", executor, EXECUTORS))
        module, _, name = EXECUTORS[executor].partition(":")
        return cast("MakeExecutor", getattr(importlib.import_module(module), name))
    if not callable(executor):
        raise TypeError(
            f"executor must be a name or a callable that makes one, not {shown(executor)}"
        )
    return cast("MakeExecutor", executor)
