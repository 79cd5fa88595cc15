"""Where trials run: in this process, or in several on this machine.

An executor is made by a callable ``make(objective, n_workers)`` and is a context manager with one
method, ``submit(question)``, that answers with a `concurrent.futures.Future` of the `Trial`.
The search never has more than `n_workers` questions open, decides their order, and writes the
journal; an executor only takes them to where they are answered. What makes another one:

- The objective is plain data. Send it to each worker once (Ray: put it into the object store) and
  call it there with each question; it keeps its prepared matrices between calls.
- It catches every failure of a trial. A future that ends with an exception means that the worker
  is gone: the search records a failed trial with the exception as its reason. An executor that can
  run the question elsewhere should do so and answer with the trial.
- On leaving the context nothing goes on running, also after Ctrl-C.

Register the name in `EXECUTORS`, or pass the callable itself as `executor`.
"""

import contextlib
import importlib
import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias, cast

from ganmf_fast import progress
from ganmf_fast.errors import suggestion
from ganmf_fast.threads import get_num_threads, set_num_threads
from ganmf_fast.tuning.objective import Objective
from ganmf_fast.tuning.trial import Question, Trial

__all__ = ["EXECUTORS", "Executor", "MakeExecutor", "executor_maker"]


class Executor(Protocol):
    """What runs trials."""

    def __enter__(self) -> Self:
        """Start."""

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End everything that is still running."""

    def submit(self, question: Question) -> "Future[Trial]":
        """Answer a question, as soon as there is an answer."""


MakeExecutor: TypeAlias = Callable[[Objective, int], Executor]


class Serial(contextlib.AbstractContextManager["Serial"]):
    """Runs each trial here, before `submit` returns."""

    def __init__(self, objective: Objective) -> None:
        self._objective = objective

    def __exit__(self, *_error: object) -> None:
        """Nothing is running."""

    def submit(self, question: Question) -> "Future[Trial]":
        """See `Executor`."""
        future: Future[Trial] = Future()
        future.set_result(self._objective(question))
        return future


class Processes(contextlib.AbstractContextManager["Processes"]):
    """Some processes on this machine, each with its share of the threads.

    A process that dies, because memory ran out for example, takes its own trial with it and no
    other; a new one takes its place.

    Raises
    ------
    ImportError
        If loky, which starts the processes, is not installed.
    """

    def __init__(self, objective: Objective, n_workers: int) -> None:
        if importlib.util.find_spec("loky") is None:
            raise ImportError('n_workers above 1 needs loky: pip install "ganmf-fast[tune]"')
        self._pool = importlib.import_module("loky").ProcessPoolExecutor
        self._objective = objective
        self._threads = max(1, get_num_threads() // n_workers)
        self._slots: list[tuple[Any, Future[Trial]] | None] = [None] * n_workers

    def _start(self) -> Any:
        threads = str(self._threads)
        return self._pool(
            1,
            initializer=_begin_worker,
            initargs=(self._objective, self._threads, os.getpid()),
            # For libraries that are loaded later, such as torch.
            env={"OMP_NUM_THREADS": threads, "MKL_NUM_THREADS": threads},
        )

    def submit(self, question: Question) -> "Future[Trial]":
        """See `Executor`."""
        at = next(at for at, slot in enumerate(self._slots) if slot is None or slot[1].done())
        slot = self._slots[at]
        if slot is not None and slot[1].exception() is not None:
            self._end(slot[0])
            slot = None
        process = self._start() if slot is None else slot[0]
        future: Future[Trial] = process.submit(_answer, question)
        self._slots[at] = (process, future)
        return future

    def __exit__(self, *_error: object) -> None:
        """End all processes, at once if they are at work."""
        for slot in self._slots:
            if slot is not None:
                self._end(slot[0])

    @staticmethod
    def _end(process: Any) -> None:
        process.shutdown(wait=True, kill_workers=True)


_worker: dict[str, Objective] = {}


def _begin_worker(objective: Objective, threads: int, search: int) -> None:
    # Ctrl-C reaches every process of the terminal; the search answers it.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(search,), daemon=True).start()
    progress.set_quiet(True)
    set_num_threads(threads)
    _worker["objective"] = objective


def _end_with(search: int) -> None:
    """End this process in the middle of a trial when the search is no more, killed for example."""
    while os.getppid() == search:
        time.sleep(1.0)
    os._exit(1)


def _answer(question: Question) -> Trial:
    return _worker["objective"](question)


def local(objective: Objective, n_workers: int) -> Executor:
    """Run trials in this process with one worker, in processes of their own with more."""
    return Serial(objective) if n_workers == 1 else Processes(objective, n_workers)


EXECUTORS: dict[str, str] = {"local": "ganmf_fast.tuning.executors:local"}
"""Executors by name: module and callable ``make(objective, n_workers)``."""


def executor_maker(executor: object) -> MakeExecutor:
    """What makes the executor of a name, or a callable of the user's own as it is.

    Raises
    ------
    TypeError, ValueError
        If there is no such executor.
    """
    if isinstance(executor, str):
        if executor not in EXECUTORS:
            raise ValueError(
                f"there is no executor {executor!r}{suggestion(executor, EXECUTORS)} "
                f"(executors are {', '.join(EXECUTORS)})"
            )
        module, _, name = EXECUTORS[executor].partition(":")
        return cast("MakeExecutor", getattr(importlib.import_module(module), name))
    if not callable(executor):
        raise TypeError(f"executor must be a name or a callable that makes one, not {executor!r}")
    return cast("MakeExecutor", executor)
