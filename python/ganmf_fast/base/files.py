"""Files written whole or not at all, locks between processes, and arrays in files."""

import contextlib
import errno
import glob
import hashlib
import math
import os
import re
import secrets
import stat
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ganmf_fast.base.errors import WriteError
from ganmf_fast.base.tensor_headers import read_header
from ganmf_fast.base.text import one_line
from ganmf_fast.base.unpacking import check_fits

if TYPE_CHECKING:
    from filelock import BaseFileLock

CHECKSUM = "sha256"
_LONG_AGO = 3600.0
"""Seconds after which nobody writes any more to a file that has not changed since."""


@contextmanager
def write_errors(path: Path) -> Iterator[None]:
    """Turn every ``OSError`` within the block into a `WriteError` that names `path`."""
    try:
        yield
    except WriteError:
        raise
    except OSError as error:
        number = error_number(error)
        why = one_line(error) if number is None else os.strerror(number)
        raise WriteError(number, why, str(path)) from None


def error_number(error: Exception) -> int | None:
    """The system's number of an error, which libraries in Rust give in their text only."""
    number: int | None = getattr(error, "errno", None)
    if number is None and os.name == "posix" and (found := _OS_ERROR.search(str(error))):
        number = int(found[1] or found[2])
    return number


# As Rust displays an error, and as older libraries print its fields.
_OS_ERROR = re.compile(r"\(os error (\d+)\)|\bOs { code: (\d+),")


@contextmanager
def all_written(paths: Sequence[Path]) -> Iterator[list[Path]]:
    """Replace files atomically: all of them, or none if one cannot be written.

    Yields a name beside each path. The files written there are brought to the disk and then
    renamed, so that after a crash or a power cut each path has the old file or the new one. What
    a path links to is replaced, not the link, and keeps its permissions.

    Raises
    ------
    WriteError
        If a file cannot be written, or something other than a file is at a path.
    """
    with write_errors(paths[0] if len(paths) == 1 else paths[0].parent):
        for path in paths:
            if path.is_dir():
                raise WriteError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
            if path.exists() and not path.is_file():
                # Renaming would put a file in the place of a device.
                raise WriteError(errno.EINVAL, "It is a device or a pipe", str(path))
        paths = [Path(os.path.realpath(path)) for path in paths]
        parts = [p.with_name(f"{_part_of(p)}{secrets.token_hex(8)}.part") for p in paths]
        try:
            modes = []
            for part, path in zip(parts, paths, strict=True):
                part.touch(exist_ok=False)
                modes.append(stat.S_IMODE((path if path.exists() else part).stat().st_mode))
            yield parts
            for part, mode in zip(parts, modes, strict=True):
                sync_file(part)
                # Libraries that rename a temporary file of their own leave it to its owner alone.
                part.chmod(mode)
            for part, path in zip(parts, paths, strict=True):
                part.replace(path)
        finally:
            for part in parts:
                with contextlib.suppress(OSError):
                    part.unlink()
    for folder in {path.parent for path in paths}:
        sync_folder(folder)


def _part_of(path: Path) -> str:
    # Not the whole name, which may be as long as names can be.
    if len(path.name) <= 40:
        return f".{path.name}."
    return f".{path.name[:40]}-{hashlib.sha256(path.name.encode()).hexdigest()[:16]}."


def remove_parts(path: Path, *, left_alone: bool = False) -> None:
    """Remove what writers of `path` that were killed had begun.

    There must be no other now, unless only those are removed that were `left_alone` for an hour.
    Looks at every name in the folder, which is not for each of many files.
    """
    path = Path(os.path.realpath(path))
    before = time.time() - _LONG_AGO if left_alone else math.inf
    for part in path.parent.glob(f"{glob.escape(_part_of(path))}{'[0-9a-f]' * 16}.part"):
        with contextlib.suppress(FileNotFoundError):
            if part.stat().st_mtime < before:
                part.unlink()


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Replace one file atomically, see `all_written`."""
    with all_written([path]) as [part]:
        yield part


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes to a file atomically, see `all_written`."""
    with written_whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def is_file(path: str | Path) -> bool:
    """Whether there is such a file; text that is too long for a name is none."""
    try:
        return Path(path).is_file()
    except OSError:
        return False


def is_folder(path: str | Path) -> bool:
    """Whether there is such a folder, in the same way."""
    try:
        return Path(path).is_dir()
    except OSError:
        return False


def make_folder(path: Path) -> None:
    """Make a folder, and those it lies in, unless it is there.

    Raises
    ------
    WriteError
        If it cannot be made, or is a file.
    """
    with write_errors(path):
        path.mkdir(parents=True, exist_ok=True)


def reserve(path: Path) -> None:
    """Give a file with holes all its space: a write to its memory map must not find the disk full.

    Raises
    ------
    WriteError
        If there is not enough, on systems that can tell.
    """
    if not hasattr(os, "posix_fallocate"):
        return
    with write_errors(path), path.open("rb+") as file:
        try:
            os.posix_fallocate(file.fileno(), 0, max(path.stat().st_size, 1))
        except OSError as error:
            # Some file systems know no reservations.
            if error.errno not in {errno.EINVAL, errno.ENODEV, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise


def sync_file(path: Path) -> None:
    """Bring the content of a file to the disk."""
    # Windows flushes only what is open for writing.
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def sync_folder(folder: Path) -> None:
    """Bring the names in a folder to the disk, on systems that can."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def try_lock(path: Path) -> "BaseFileLock | None":
    """Lock a file against other processes and other locks of this one.

    Parameters
    ----------
    path : Path
        Made for the lock, and removed by `unlock`.

    Returns
    -------
    filelock.BaseFileLock or None
        Held until `unlock` or the end of the process; None if the file is locked already.

    Raises
    ------
    OSError
        If the file cannot be made.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        return None
    return lock


def unlock(lock: "BaseFileLock") -> None:
    """Release a lock and remove its file."""
    path = Path(lock.lock_file)
    if sys.platform == "win32":  # where an open file cannot be removed
        lock.release()
        with contextlib.suppress(OSError):
            path.unlink()
    else:
        path.unlink(missing_ok=True)
        lock.release()


def write_tensors(path: Path, kind: str, text: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays with a describing text to one safetensors file.

    Parameters
    ----------
    path : Path
    kind : str
        Kind of the file, the key of the text in the header.
    text : str
    tensors : mapping of str to contiguous arrays

    Raises
    ------
    WriteError
        If the file cannot be written.
    """
    with written_whole(path) as part:
        try:
            save_file(dict(tensors), part, {kind: text, CHECKSUM: checksum(text, tensors)})
        except SafetensorError as error:
            raise OSError(str(error)) from None


def read_tensors(path: Path, kind: str) -> tuple[str | None, dict[str, NDArray[Any]], bool]:
    """Text and arrays of a file, and whether their checksum is right.

    The text is None, and no array is read, if the file is of another kind.

    Raises
    ------
    OSError
        If the file cannot be read.
    ValueError
        If it is no safetensors file, is cut short, or its header lies; the message is a phrase.
    TooLargeError
        (a ``DataError``) If it does not fit into memory.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        texts, places = read_header(file, size)
        if kind not in texts:
            return None, {}, False
        check_fits(size, str(path), "use a machine with more")
        tensors = {}
        for place in places:
            raw: NDArray[np.uint8] = np.empty(place.size, np.uint8)
            if file.readinto(raw.data) < place.size:
                raise ValueError("it is cut short")
            array = raw != 0 if place.dtype.kind == "b" else raw.view(place.dtype)
            tensors[place.name] = array.reshape(place.shape)
    text = texts[kind]
    return text, tensors, texts.get(CHECKSUM) == checksum(text, tensors)


def checksum(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of a text and of named arrays with their types and shapes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
