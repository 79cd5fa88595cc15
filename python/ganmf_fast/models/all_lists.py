"""Lists of all users in parquet files: part by part, in constant memory, to be gone on with.

A part holds the lists of some thousand users. It is written beside its place and renamed, so that
whatever ends the work leaves whole parts, and the same call goes on after them. Each file says in
its metadata which model and arguments it is of; others are refused.
"""

import io
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.executors import MakeExecutor
from ganmf_fast.base.files import (
    checksum,
    remove_parts,
    try_lock,
    unlock,
    write_whole,
    written_whole,
)
from ganmf_fast.base.progress import Report
from ganmf_fast.models.ids import Ids
from ganmf_fast.models.item_filters import ItemFilters
from ganmf_fast.models.ranking import Ranking
from ganmf_fast.scorers.tensors import Tensors, csr_tensors

# Entries of the lists of a part: some ten MiB while they are made.
_PART_ENTRIES = 2**20
_METADATA = "ganmf_fast"
# Endings that promise another format.
_TEXT = {".csv", ".tsv", ".txt", ".json"}
_FORMAT = 1


class AllLists(NamedTuple):
    """What `Recommender.recommend_all` has written."""

    path: Path
    """The file, or the folder of parts."""
    n_users: int
    """Users asked for and known, with or without a list."""
    n_rows: int
    """Recommendations."""
    skipped: int
    """Unknown users."""


@dataclass(frozen=True, eq=False)
class ListsTask:
    """The lists of a part, as parquet; plain data that can be sent to any process.

    Attributes
    ----------
    model : str
        Fingerprint of the model.
    ranking : Ranking
    ids : Ids or None
    rows : int64 array or None
        Users in the order of the lists; all of them if None.
    filters : ItemFilters
        By the place in `rows`.
    size : int
        Users of a part.
    """

    model: str
    ranking: Ranking
    ids: Ids | None
    rows: NDArray[np.int64] | None
    filters: ItemFilters
    size: int

    @property
    def n_users(self) -> int:
        """Number of users."""
        return self.ranking.urm.n_rows if self.rows is None else len(self.rows)

    @property
    def n_parts(self) -> int:
        """Number of parts, one at least."""
        return max(1, -(-self.n_users // self.size))

    def __call__(self, part: int) -> bytes:
        """A parquet file with columns user, item, rank and score."""
        places = np.arange(part * self.size, min((part + 1) * self.size, self.n_users))
        rows = places if self.rows is None else self.rows[places]
        items, scores = self.ranking.lists(rows, self.filters.of(places))
        at, place = np.nonzero(items >= 0)
        users = _series(None if self.ids is None else self.ids.users[rows], rows)
        table = pl.DataFrame(
            {
                "user": users.gather(at),
                "item": self._items.gather(items[at, place]),
                "rank": (place + 1).astype(np.int32),
                "score": scores[at, place],
            }
        )
        file = io.BytesIO()
        table.write_parquet(file, metadata={_METADATA: self.fingerprint})
        return file.getvalue()

    @cached_property
    def _items(self) -> pl.Series:
        numbers = np.arange(self.ranking.scorer.n_items, dtype=np.int32)
        return _series(None if self.ids is None else self.ids.items, numbers)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of everything that decides the lists."""
        tensors: Tensors = {} if self.rows is None else {"users": self.rows}
        for name, items in zip(self.filters._fields, self.filters, strict=True):
            if items is not None:
                tensors |= csr_tensors(name, items) if isinstance(items, Csr) else {name: items}
        ranking = self.ranking
        about = [
            self.model,
            ranking.n,
            ranking.exclude_seen,
            ranking.fallback is not None,
            self.size,
        ]
        return checksum(json.dumps([_FORMAT, *about]), tensors)


def part_size(n: int) -> int:
    """Users of a part with lists of `n` places."""
    return max(1, _PART_ENTRIES // n)


def _series(ids: NDArray[Any] | None, numbers: NDArray[Any]) -> pl.Series:
    if ids is None:
        return pl.Series(numbers)
    return pl.Series(ids.tolist(), dtype=pl.String) if ids.dtype == object else pl.Series(ids)


def write_lists(
    task: ListsTask, path: Path, make: MakeExecutor, n_workers: int, report: Report
) -> int:
    """Write the parts of `task` that are not there, and join them if `path` ends in ``.parquet``.

    Returns
    -------
    int
        Number of rows.

    Raises
    ------
    ValueError
        If something else is at `path`, or another process writes there.
    OSError
        If a file cannot be written.
    """
    path = path.absolute()
    if not path.parent.is_dir():
        raise ValueError(f"path is in {str(path.parent)!r}, which is no folder")
    if path.suffix in _TEXT:
        raise ValueError(
            f"path (--output) must end in .parquet, or name a folder, not {path.name!r}"
        )
    fingerprint = task.fingerprint
    is_file = path.suffix == ".parquet"
    if is_file and path.exists():
        if not path.is_file() or _written_by(path) != fingerprint:
            raise ValueError(_other(path))
        return _count([path])
    folder = path.with_name(f"{path.name}.parts") if is_file else path
    with _owned(folder, fingerprint, path):
        parts = [folder / f"part-{part:06}.parquet" for part in range(task.n_parts)]
        _write_parts(task, parts, make, n_workers, report)
        n_rows = _count(parts)
        if is_file:
            _join(parts, path, fingerprint)
    if is_file:
        shutil.rmtree(folder)
    return n_rows


def _other(path: Path) -> str:
    return (
        f"{path} holds something else than lists of this model with these arguments: delete it, or "
        "choose another path"
    )


@contextmanager
def _owned(folder: Path, fingerprint: str, path: Path) -> Iterator[None]:
    """Lock a folder that holds parts of these lists alone."""
    if folder.exists() and not folder.is_dir():
        raise ValueError(_other(path))
    folder.mkdir(exist_ok=True)
    lock = try_lock(folder / ".lock")
    if lock is None:
        raise ValueError(f"another process writes to {folder}: wait for its end")
    try:
        begun = set(folder.glob(".part-*"))
        others = set(folder.iterdir()) - begun - {folder / ".lock"}
        if any(_written_by(file) != fingerprint for file in others):
            raise ValueError(_other(folder))
        # What a process that was killed had begun.
        for file in begun:
            file.unlink()
        remove_parts(path)
        yield
    finally:
        unlock(lock)


def _write_parts(
    task: ListsTask,
    parts: list[Path],
    make: MakeExecutor,
    n_workers: int,
    report: Report,
) -> None:
    missing = [part for part, path in enumerate(parts) if not path.is_file()]
    done = len(parts) - len(missing)
    if not missing:
        return
    waiting = iter(missing)
    running: dict[Future[bytes], int] = {}
    with make(task, n_workers) as executor:
        while True:
            for part in waiting:
                running[executor.submit(part)] = part
                if len(running) == n_workers:
                    break
            if not running:
                return
            for future in wait(running, return_when=FIRST_COMPLETED).done:
                part = running.pop(future)
                _write(parts[part], future.result(), done, len(parts))
                done += 1
                report(done * task.size, len(parts) * task.size)


def _write(path: Path, content: bytes, done: int, n_parts: int) -> None:
    try:
        write_whole(path, content)
    except OSError as error:
        raise OSError(
            error.errno,
            f"{error.strerror} ({done} of {n_parts} parts are written; the same call goes on)",
            str(path),
        ) from None


def _count(files: list[Path]) -> int:
    return int(pl.scan_parquet(files, glob=False).select(pl.len()).collect().item())


def _join(parts: list[Path], path: Path, fingerprint: str) -> None:
    try:
        with written_whole(path) as whole:
            pl.scan_parquet(parts, glob=False).sink_parquet(
                whole, metadata={_METADATA: fingerprint}
            )
    except (pl.exceptions.PolarsError, OSError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise OSError(
            f"{path} cannot be written: {reason} (all {len(parts)} parts are; the same call goes "
            "on)"
        ) from None


def _written_by(path: Path) -> str | None:
    try:
        return pl.read_parquet_metadata(path).get(_METADATA)
    except (pl.exceptions.PolarsError, OSError):
        return None
