"""The journal of a search: one line of JSON for each finished trial, on disk before the next.

The first line describes the search (model, data, settings, versions); only a search with the same
description may continue it. Lines are appended and synced: a process killed at any moment leaves
whole lines and at most a part of one, which is dropped on resuming. One process writes at a time;
others may read.

A spare file beside the journal reserves disk space for the running trials, so that they can still
be written when the disk is full.
"""

import errno
import json
import os
import warnings
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from ganmf_fast.base.errors import ConflictError, DataError, WriteError, difference
from ganmf_fast.base.files import make_folder, sync_folder, try_lock, unlock, write_errors
from ganmf_fast.base.json_files import contents, decode
from ganmf_fast.base.text import printable, shown
from ganmf_fast.tuning.trial import Trial

FORMAT = 1
MAX_BYTES = 2**30
"""Limit of a journal's size: a million trials of a kilobyte each."""
# Entries of a header that `read_journal` requires.
_REQUIRED = ("model", "space", "dataset", "metric", "backend", "seed")
_SPARE_BYTES = 2**17
# Entries of a header without effect on results; they may differ.
_NOT_COMPARED = ("created", "dataset")


class Journal(AbstractContextManager["Journal"]):
    """A journal open for writing; a context manager.

    Parameters
    ----------
    path : str or Path
        Its folder is created if it does not exist.
    header : mapping
        Everything that decides the sequence of trials, as plain values.
    stamp : mapping, optional
        Entries added to every line, such as versions.
    moved : bool, default False
        Whether the journal may be of other versions.

    Attributes
    ----------
    trials : dict of int to Trial
        Trials in the journal, by number.

    Raises
    ------
    ConflictError
        If the journal belongs to another search; the message names the difference.
    DataError
        If it is damaged, or not a journal.
    ValueError
        If it is a folder.
    RuntimeError
        If another process is writing to it.
    WriteError
        If it cannot be written.
    """

    def __init__(
        self,
        path: str | Path,
        header: Mapping[str, Any],
        stamp: Mapping[str, Any] | None = None,
        moved: bool = False,
    ) -> None:
        self.path = Path(path)
        self.trials: dict[int, Trial] = {}
        self._stamp = dict(stamp or {})
        with write_errors(self.path):
            is_folder = self.path.is_dir()
        if is_folder:
            raise ValueError(
                f"journal must be a file, but {shown(str(self.path), 400)} is a folder"
            )
        make_folder(self.path.parent)
        with write_errors(self.path):
            self._lock = try_lock(_lock_path(self.path))
        if self._lock is None:
            raise RuntimeError(
                f"another process is writing to the journal {printable(str(self.path))}"
            )
        self._handle = -1
        try:
            with write_errors(self.path):
                self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
                self._open(json.loads(json.dumps(dict(header))), moved)
        except BaseException:
            self.close(unless_empty=True)
            raise

    def _open(self, header: dict[str, Any], moved: bool) -> None:
        content = contents(self.path, MAX_BYTES)
        stored, trials, whole = _parse(str(self.path), content)
        if whole < len(content):
            warnings.warn(
                f"{printable(str(self.path))}: the last line is incomplete and is dropped; its "
                "trial is run again",
                stacklevel=4,
            )
            os.ftruncate(self._handle, whole)
        if stored is not None:
            ignored = (*_NOT_COMPARED, "versions") if moved else _NOT_COMPARED
            # First, since what differs between protocols is more than the data.
            usual = {"protocol": "paper"}
            kept, wanted = (
                {key: value for key, value in (usual | one).items() if key not in ignored}
                for one in (stored, header)
            )
            if "bound" not in kept:
                wanted.pop("bound", None)  # journals of before do not have it
            found = difference(kept, wanted)
            if found is not None:
                moving = {**kept, "versions": None} == {**wanted, "versions": None}
                raise ConflictError(
                    f"the journal {self.path} is of a search with {found}: give another journal, "
                    + ("or moved=True (--moved)" if moving else "or the earlier settings")
                )
        self._spare = self.path.with_name(f".{self.path.name}.spare")
        self._reserve()
        if stored is None:
            self._append(header)
            sync_folder(self.path.parent)
        self.trials = trials

    def __exit__(self, *_error: object) -> None:
        """Close it."""
        self.close()

    def close(self, *, unless_empty: bool = False) -> None:
        """Remove the spare file, with `unless_empty` an empty journal as well; unlock."""
        if self._handle >= 0:
            if hasattr(self, "_spare"):
                self._spare.unlink(missing_ok=True)
            is_empty = not os.fstat(self._handle).st_size
            os.close(self._handle)
            self._handle = -1
            if unless_empty and is_empty:
                # Before another process can have it.
                self.path.unlink(missing_ok=True)
        if self._lock is not None:
            unlock(self._lock)
            self._lock = None

    def append(self, trial: Trial) -> None:
        """Write a finished trial and sync it to disk.

        Raises
        ------
        WriteError
            If the disk is full. The trial is written nevertheless, in the reserved space.
        """
        self._append({**trial.to_dict(), **self._stamp})
        self.trials[trial.number] = trial

    def _append(self, content: Mapping[str, Any]) -> None:
        line = json.dumps(content, allow_nan=False).encode() + b"\n"
        with write_errors(self.path):
            try:
                self._write(line)
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._spare.unlink(missing_ok=True)
                self._write(line)
                raise self._full(error.errno) from None

    def _write(self, line: bytes) -> None:
        """Write a whole line or nothing."""
        end = os.fstat(self._handle).st_size
        try:
            rest = line
            while rest:
                rest = rest[os.write(self._handle, rest) :]
            os.fsync(self._handle)
        except OSError:
            os.ftruncate(self._handle, end)
            raise

    def _reserve(self) -> None:
        try:
            with self._spare.open("wb") as file:
                file.write(bytes(_SPARE_BYTES))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            self._spare.unlink(missing_ok=True)
            raise self._full(error.errno) from None

    def _full(self, number: int | None) -> WriteError:
        return WriteError(
            number,
            f"{os.strerror(number or 0)}; every finished trial is in the journal, and the search "
            "goes on from there when it is run again",
            str(self.path),
        )


def read_journal(path: str | Path) -> tuple[dict[str, Any], list[Trial]]:
    """Header and trials of a journal, also while a search writes to it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    header : dict
    trials : list of Trial
        In the order of suggestion.

    Raises
    ------
    DataError
        If it cannot be read, is damaged, or not a journal.
    """
    path = Path(path)
    header, trials = parse_journal(contents(path, MAX_BYTES), str(path))
    missing = [name for name in _REQUIRED if name not in header]
    if missing:
        raise DataError(f"{path} is damaged: its header has no {missing[0]}")
    return header, trials


def parse_journal(
    content: bytes, name: str, damaged: Callable[[str], None] | None = None
) -> tuple[dict[str, Any], list[Trial]]:
    """Header and trials from the bytes of a journal.

    Parameters
    ----------
    content : bytes
    name : str
        Name of the journal in errors.
    damaged : callable, optional
        Called with a phrase for each line that cannot be read; only its trial is then left out.

    Returns
    -------
    as `read_journal`

    Raises
    ------
    DataError
        If it is not a journal, or is damaged and `damaged` is not given.
    """
    header, trials, _ = _parse(name, content, damaged)
    if header is None:
        raise DataError(f"{name} is an empty journal")
    return header, [trials[number] for number in sorted(trials)]


def in_use(path: Path) -> bool:
    """Whether a process is writing to the journal now."""
    file = _lock_path(path)
    if not file.exists():
        return False
    try:
        lock = try_lock(file)
    except OSError:
        return False
    if lock is None:
        return True
    unlock(lock)
    return False


def _lock_path(journal: Path) -> Path:
    return journal.with_name(f".{journal.name}.lock")


def _parse(
    name: str, content: bytes, damaged: Callable[[str], None] | None = None
) -> tuple[dict[str, Any] | None, dict[int, Trial], int]:
    """Header, trials, and the number of bytes in whole lines."""
    *lines, tail = content.split(b"\n")
    if not lines:
        if tail and not _begins_header(tail):
            raise DataError(f"{name} is no journal of a search")
        return None, {}, 0
    try:
        header: dict[str, Any] = decode(lines[0], name, dict[str, Any])
    except DataError:
        header = {}
    if "format" not in header:
        raise DataError(f"{name} is no journal of a search")
    if header["format"] != FORMAT:
        raise DataError(
            f"{name} is a journal of format {shown(header['format'], 20)}, but this version reads "
            f"{FORMAT}"
        )
    trials: dict[int, Trial] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            trial: Trial = decode(line, f"line {number} of {name}", Trial)
        except DataError as error:
            if damaged is not None:
                damaged(str(error))
            elif number == len(lines):
                # After a loss of power the last line can hold anything.
                lines.pop()
            else:
                raise
        else:
            trials[trial.number] = trial
    return header, trials, sum(len(line) + 1 for line in lines)


def _begins_header(piece: bytes) -> bool:
    """Whether `piece` may be the beginning of a header that was not written completely."""
    start = b'{"format": '
    return piece.startswith(start) or start.startswith(piece)
