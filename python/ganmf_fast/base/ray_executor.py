"""Work on a Ray cluster: an existing one, or one of this machine alone.

Ray chooses the cluster: the one that the program is connected to already, else the one that the
environment variable ``RAY_ADDRESS`` names, else one that runs on this machine, else a new one that
ends with the work. Ray places the tasks, watches the nodes, and runs a task again (three
times at most) whose node or process died. The task goes into the object store once; a worker
process takes it from there once and keeps it, with what it has prepared.

Between processes Ray moves pickled objects, which can run any code: use a cluster that you trust,
in a network that you trust.
"""

import contextlib
import importlib
import importlib.util
import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Self

from ganmf_fast.base import progress
from ganmf_fast.base.checks import check_int, check_real
from ganmf_fast.base.executors import Task
from ganmf_fast.base.threads import set_num_threads

if TYPE_CHECKING:
    from concurrent.futures import Future


@dataclass(frozen=True)
class OnRay:
    """Makes executors that work on a Ray cluster; ``executor="ray"`` is ``executor=OnRay()``.

    Parameters
    ----------
    num_cpus : int, default 1
        Processors, and threads, of each worker.
    num_gpus : float, default 0
        GPUs of each worker, such as 0.5 for two workers on each GPU. A GAN with device="auto" sees
        the GPUs that its worker is given, and no other.

    Raises
    ------
    ImportError
        When an executor is made, if Ray is not installed.
    """

    num_cpus: int = 1
    num_gpus: float = 0.0

    def __post_init__(self) -> None:
        """Check the numbers."""
        check_int("num_cpus", self.num_cpus, 1)
        check_real("num_gpus", self.num_gpus, 0.0)

    def __call__(self, task: Task, n_workers: int) -> "RayTasks":
        """An executor of `task`; Ray itself limits the number of questions that run."""
        if importlib.util.find_spec("ray") is None:
            raise ImportError('executor="ray" needs Ray: pip install "ganmf-fast[ray]"')
        return RayTasks(importlib.import_module("ray"), task, self)


on_ray = OnRay()
"""What ``executor="ray"`` stands for."""


class RayTasks(contextlib.AbstractContextManager["RayTasks"]):
    """Questions as Ray tasks."""

    def __init__(self, ray: Any, task: Task, limits: OnRay) -> None:
        self._ray = ray
        self._task = task
        self._limits = limits
        self._open: dict[Future[Any], Any] = {}

    def __enter__(self) -> Self:
        """Connect to a cluster, and give it the task."""
        self._connected_here = not self._ray.is_initialized()
        if self._connected_here:
            self._ray.init(logging_level=logging.WARNING, include_dashboard=False)
        self._stored = self._ray.put(self._task)
        self._answer = self._ray.remote(_answer).options(
            num_cpus=self._limits.num_cpus, num_gpus=self._limits.num_gpus
        )
        return self

    def submit(self, question: Any) -> "Future[Any]":
        """See `Executor`."""
        # In a list the reference stays one, and the worker decides whether it needs the task.
        stored = [self._stored]
        reference = self._answer.remote(self._stored.hex(), stored, self._limits.num_cpus, question)
        future: Future[Any] = reference.future()
        self._open[future] = reference
        future.add_done_callback(self._open.pop)
        return future

    def __exit__(self, *_error: object) -> None:
        """End what is still running; disconnect from a cluster that was connected to here."""
        for reference in list(self._open.values()):
            self._ray.cancel(reference, force=True)
        if self._connected_here:
            self._ray.shutdown()


# The task of this worker process, by the name of its object.
_worker: dict[str, Task] = {}


def _answer(name: str, stored: list[Any], threads: int, question: Any) -> Any:
    if name not in _worker:
        _worker.clear()
        progress.set_quiet(True)
        set_num_threads(threads)
        _worker[name] = importlib.import_module("ray").get(stored[0])
    return _worker[name](question)
