"""Number of threads of Rust, BLAS and torch; interruptible calls into BLAS."""

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import TypeVar

import scipy.linalg
from threadpoolctl import ThreadpoolController

from ganmf_fast import _core
from ganmf_fast.base.text import shown

T = TypeVar("T")

# Importing scipy.linalg loads the BLAS of scipy: a library loaded later would escape the limits.
_BLAS_LOADED = scipy.linalg.__name__


def set_num_threads(n: int) -> None:
    """Set the number of threads of Rust kernels, BLAS and (if it is loaded) torch.

    Parameters
    ----------
    n : int
        Between 1 and 1024. Results do not depend on it.

    Raises
    ------
    TypeError
        If `n` is not an integer.
    ValueError
        If `n` is out of range.
    """
    if isinstance(n, bool) or not hasattr(n, "__index__"):
        raise TypeError(f"n must be an integer number of threads, not {shown(n)}")
    n = int(n)
    _core.set_num_threads(n)
    _limit_blas(n)
    torch = sys.modules.get("torch")
    if torch is not None:
        torch.set_num_threads(n)


def get_num_threads() -> int:
    """Number of threads of Rust kernels."""
    return _core.get_num_threads()


@contextmanager
def num_threads(n: int | None) -> Iterator[None]:
    """Use `n` threads within the block; ``None`` changes nothing.

    For Rust kernels and BLAS only: torch keeps its own setting.
    """
    if n is None:
        yield
        return
    with _of_rust.limited(n), _of_blas.limited(n):
        yield


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Run BLAS and LAPACK on one thread: the bits of a sum depend on the number of threads."""
    with _of_blas.limited(1):
        yield


class _Limit:
    """A limit of the whole process, for blocks that may overlap in several threads of Python.

    While blocks are open, the one of them that `chosen` gives holds; after the last one, what held
    before the first.
    """

    def __init__(
        self,
        limit: Callable[[int], Callable[[], object]],
        chosen: Callable[[list[int]], int],
    ) -> None:
        self._limit, self._chosen = limit, chosen
        self._lock = threading.Lock()
        self._open: list[int] = []
        self._restore: Callable[[], object] | None = None

    @contextmanager
    def limited(self, n: int) -> Iterator[None]:
        """Limit to `n` threads within the block."""
        with self._lock:
            self._open.append(n)
            restore = self._limit(self._chosen(self._open))
            self._restore = self._restore or restore
        try:
            yield
        finally:
            with self._lock:
                # Of equal numbers it does not matter which.
                del self._open[len(self._open) - 1 - self._open[::-1].index(n)]
                if self._open:
                    self._limit(self._chosen(self._open))
                elif self._restore is not None:
                    self._restore()
                    self._restore = None


def _limit_rust(n: int) -> Callable[[], object]:
    before = _core.get_num_threads()
    _core.set_num_threads(n)
    return lambda: _core.set_num_threads(before)


def _limit_blas(n: int) -> Callable[[], object]:
    """Limit BLAS to `n` threads; what is returned undoes it."""
    libraries = _blas(len(sys.modules))
    _take_control(libraries)
    limits = libraries.limit(limits=n, user_api="blas")

    def restore() -> None:
        _take_control(libraries)
        limits.restore_original_limits()

    return restore


def _take_control(libraries: ThreadpoolController) -> None:
    # As of 3.8 threadpoolctl lets one thread of Python limit OpenBLAS, and ignores all others.
    for library in libraries.lib_controllers:
        if hasattr(library, "clear_controlling_thread"):
            library.clear_controlling_thread(force=True)


@lru_cache(maxsize=1)
def _blas(_n_modules: int) -> ThreadpoolController:
    """The libraries that are loaded: looking for them takes milliseconds.

    New ones come with new modules.
    """
    return ThreadpoolController()


_of_rust = _Limit(_limit_rust, lambda asked: asked[-1])
# The least: a block that relies on one thread must not get more from another.
_of_blas = _Limit(_limit_blas, min)


def interruptible(function: Callable[[], T]) -> T:
    """Run a long call that ignores signals so that Ctrl-C is handled at once.

    The call runs in a daemon thread while this one waits. After Ctrl-C its result is dropped: it
    must not change anything that the caller still uses. Only calls that release Python's lock
    (numpy's linear algebra and sparse products do, scipy's LAPACK wrappers do not) benefit.

    Parameters
    ----------
    function : callable without arguments

    Returns
    -------
    The result of `function`; its exceptions are raised here.
    """
    results: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            results.append(function())
        except BaseException as error:  # raised again by the thread that waits
            errors.append(error)

    thread = threading.Thread(target=work, name="ganmf-call", daemon=True)
    thread.start()
    while thread.is_alive():
        thread.join(0.1)
    if errors:
        raise errors[0]
    return results[0]
