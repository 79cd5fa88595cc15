"""Files that appear whole or not at all, or that one process writes at a time; arrays in files."""

import contextlib
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

if sys.platform != "win32":
    import fcntl

__all__ = ["checksum", "read_tensors", "sync_folder", "try_lock", "write_tensors", "written_whole"]

CHECKSUM = "sha256"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """A name beside `path` to write to; what is there after the block takes the place of `path`.

    It is on the disk before it is moved, so that a crash leaves the old file or the new one.
    """
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    os.close(handle)
    part = Path(name)
    try:
        yield part
        with part.open("rb") as file:
            os.fsync(file.fileno())
        # mkstemp lets only the owner read; give it what a plain open() would have given.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Let the names of new files reach the disk, where the system lets one sync a folder."""
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def try_lock(handle: int) -> bool:
    """Lock an open file against other processes, until it is closed; false if one of them has."""
    if sys.platform == "win32":  # without these locks
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def write_tensors(path: Path, kind: str, text: str, tensors: Mapping[str, NDArray[Any]]) -> None:
    """Write arrays with a describing text to one safetensors file.

    Parameters
    ----------
    path : Path
    kind : str
        What the file is, the name under which the text stands.
    text : str
    tensors : mapping of str to contiguous arrays
    """
    with written_whole(path) as part:
        save_file(dict(tensors), part, {kind: text, CHECKSUM: checksum(text, tensors)})


def read_tensors(path: Path, kind: str) -> tuple[str | None, dict[str, NDArray[Any]], bool]:
    """Text and arrays of a file, and whether their checksum is right.

    The text is None, and nothing else is read, if the file is of another kind.

    Raises
    ------
    OSError
        If the file cannot be read.
    safetensors.SafetensorError
        If it is no safetensors file, or is cut short.
    """
    with safe_open(path, framework="numpy") as file:
        header = file.metadata() or {}
        if kind not in header:
            return None, {}, False
        names = file.keys()
        tensors = {name: file.get_tensor(name) for name in names}
    text = header[kind]
    return text, tensors, header.get(CHECKSUM) == checksum(text, tensors)


def checksum(text: str, tensors: Mapping[str, NDArray[Any]]) -> str:
    """SHA-256 of a text and of named arrays with their types and shapes."""
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        array = tensors[name]
        digest.update(f"\n{name} {array.dtype.str} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array).reshape(-1).view(np.uint8).data)
    return digest.hexdigest()
