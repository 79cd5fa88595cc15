"""Files written whole or not at all, locks between processes, and arrays in files."""

import contextlib
import hashlib
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import save_file

from ganmf_fast.base.tensor_headers import read_header
from ganmf_fast.base.unpacking import check_fits

if TYPE_CHECKING:
    from filelock import BaseFileLock

__all__ = [
    "checksum",
    "read_tensors",
    "sync_file",
    "sync_folder",
    "try_lock",
    "unlock",
    "write_tensors",
    "write_whole",
    "written_whole",
]

CHECKSUM = "sha256"


@contextmanager
def written_whole(path: Path) -> Iterator[Path]:
    """Replace a file atomically.

    Yields a name in the folder of `path`. The file written there is brought to the disk and then
    renamed to `path`, so that after a crash or a power cut there is the old file or the new one.
    """
    part = path.with_name(f".{path.name}.{secrets.token_hex(4)}.part")
    try:
        yield part
        # Libraries that rename a temporary file of their own leave it to its owner alone.
        mask = os.umask(0)
        os.umask(mask)
        part.chmod(0o666 & ~mask)
        sync_file(part)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_whole(path: Path, content: str | bytes) -> None:
    """Write text (UTF-8) or bytes to a file atomically, see `written_whole`."""
    with written_whole(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


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
    OSError
        If the file cannot be written.
    """
    with written_whole(path) as part:
        try:
            save_file(dict(tensors), part, {kind: text, CHECKSUM: checksum(text, tensors)})
        except SafetensorError as error:
            raise OSError(f"{path} cannot be written: {error}") from None


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
