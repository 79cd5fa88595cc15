"""The journal of a search: one line of JSON for each finished trial, on the disk before the next.

The first line says what is searched, on which data, how, and with which versions; only a search
that agrees in all of it may go on. Lines are appended and synced, so that a process killed at any
moment leaves whole lines and at most a part of one, which is dropped when the search goes on. One
process writes at a time; others may read.

A spare file beside the journal holds enough of the disk for the trials that are under way, so that
they can still be written when the disk is full.
"""

import errno
import json
import os
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from ganmf_fast.base.errors import ConflictError, DataError, difference
from ganmf_fast.base.files import sync_folder, try_lock
from ganmf_fast.tuning.trial import Trial

__all__ = ["FORMAT", "Journal", "in_use", "parse_journal", "read_journal"]

FORMAT = 1
# What readers of a header count on.
_SHOWN = ("model", "space", "dataset", "metric", "backend", "seed")
_SPARE_BYTES = 2**17
# What a header may differ in: it does not decide any number.
_BESIDE = ("created", "dataset")


class Journal:
    """A journal that is open for writing; a context manager.

    Parameters
    ----------
    path : str or Path
        Its folder is made if it is not there.
    header : mapping
        What decides the sequence of trials, as plain values.
    stamp : mapping, optional
        What is written into every line, such as versions.
    moved : bool, default False
        Whether the journal may have been begun with other versions.

    Attributes
    ----------
    trials : dict of int to Trial
        What is in the journal, by number.

    Raises
    ------
    ConflictError
        If the journal is one of another search; the message names the difference.
    DataError
        If it is damaged, or no journal.
    ValueError
        If it is a folder.
    RuntimeError
        If another process is writing to it.
    OSError
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
        if self.path.is_dir():
            raise ValueError(f"journal must be a file, but {str(self.path)!r} is a folder")
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._handle = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o666)
        try:
            self._open(json.loads(json.dumps(dict(header))), moved)
        except BaseException:
            self.close()
            raise

    def _open(self, header: dict[str, Any], moved: bool) -> None:
        if not try_lock(self._handle):
            raise RuntimeError(f"another process is writing to the journal {self.path}")
        content = self.path.read_bytes()
        stored, trials, whole = _parse(str(self.path), content)
        if whole < len(content):
            warnings.warn(
                f"{self.path}: the last line is incomplete and is dropped; its trial is run again",
                stacklevel=4,
            )
            os.ftruncate(self._handle, whole)
        if stored is not None:
            beside = (*_BESIDE, "versions") if moved else _BESIDE
            kept = {key: value for key, value in stored.items() if key not in beside}
            wanted = {key: value for key, value in header.items() if key not in beside}
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

    def __enter__(self) -> Self:
        """The journal."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let other processes write to the journal."""
        if self._handle >= 0:
            # Only the process that holds the lock has a spare file.
            if hasattr(self, "_spare"):
                self._spare.unlink(missing_ok=True)
            os.close(self._handle)
            self._handle = -1

    def append(self, trial: Trial) -> None:
        """Write a finished trial and bring it to the disk.

        Raises
        ------
        OSError
            If the disk is full. The trial is written nevertheless, out of what was kept spare.
        """
        self._append({**trial.to_dict(), **self._stamp})
        self.trials[trial.number] = trial

    def _append(self, content: Mapping[str, Any]) -> None:
        line = json.dumps(content, allow_nan=False).encode() + b"\n"
        try:
            self._write(line)
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            self._spare.unlink(missing_ok=True)
            self._write(line)
            raise self._full(error.errno) from None

    def _write(self, line: bytes) -> None:
        """Write all of a line or nothing."""
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

    def _full(self, number: int | None) -> OSError:
        return OSError(
            number,
            f"{os.strerror(number or 0)}; every finished trial is in the journal, and the search "
            "goes on from there when it is run again",
            str(self.path),
        )


def read_journal(path: str | Path) -> tuple[dict[str, Any], list[Trial]]:
    """What is in a journal, also while a search writes to it.

    Parameters
    ----------
    path : str or Path

    Returns
    -------
    header : dict
    trials : list of Trial
        In the order of asking.

    Raises
    ------
    DataError
        If it is damaged, or no journal.
    OSError
        If it cannot be read.
    """
    path = Path(path)
    header, trials = parse_journal(path.read_bytes(), str(path))
    missing = [name for name in _SHOWN if name not in header]
    if missing:
        raise DataError(f"{path} is damaged: its header has no {missing[0]}")
    return header, trials


def parse_journal(
    content: bytes, name: str, damaged: Callable[[str], None] | None = None
) -> tuple[dict[str, Any], list[Trial]]:
    """What is in the bytes of a journal.

    Parameters
    ----------
    content : bytes
    name : str
        What an error calls the journal.
    damaged : callable, optional
        Called with a phrase for each line that cannot be read, which then costs its trial alone.

    Returns
    -------
    as `read_journal`

    Raises
    ------
    DataError
        If it is no journal, or is damaged and there is nobody to tell.
    """
    header, trials, _ = _parse(name, content, damaged)
    if header is None:
        raise DataError(f"{name} is an empty journal")
    return header, [trials[number] for number in sorted(trials)]


def in_use(path: Path) -> bool:
    """Whether a process is writing to a journal at this moment."""
    try:
        with path.open("rb") as file:
            return not try_lock(file.fileno())
    except OSError:
        return False


def _parse(
    name: str, content: bytes, damaged: Callable[[str], None] | None = None
) -> tuple[dict[str, Any] | None, dict[int, Trial], int]:
    """Header, trials, and how many bytes are whole lines."""
    *lines, tail = content.split(b"\n")
    if not lines:
        if tail and not _begins_header(tail):
            raise DataError(f"{name} is no journal of a search")
        return None, {}, 0
    try:
        header = _object(lines[0])
    except ValueError:
        header = {}
    if "format" not in header:
        raise DataError(f"{name} is no journal of a search")
    if header["format"] != FORMAT:
        raise DataError(
            f"{name} is a journal of format {header['format']!r:.20}, but this version reads "
            f"{FORMAT}"
        )
    trials: dict[int, Trial] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            trial = Trial.from_dict(_object(line))
        except ValueError as error:
            if damaged is not None:
                damaged(f"line {number} cannot be read ({error})")
            elif number == len(lines):
                # After a loss of power the last line can hold anything.
                lines.pop()
            else:
                raise DataError(
                    f"{name} is damaged: line {number} cannot be read ({error})"
                ) from None
        else:
            trials[trial.number] = trial
    return header, trials, sum(len(line) + 1 for line in lines)


def _object(line: bytes) -> dict[str, Any]:
    try:
        content = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("it is not JSON") from None
    match content:
        case dict():
            return content
        case _:
            raise ValueError("it is no table of names and values")


def _begins_header(piece: bytes) -> bool:
    """Whether a piece may be what was written of a header before the process ended."""
    start = b'{"format": '
    return piece.startswith(start) or start.startswith(piece)
