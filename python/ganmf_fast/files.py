"""Files that appear whole or not at all, and arrays with a description and a checksum in them."""

import contextlib
import hashlib
import os
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import safe_open
from safetensors.numpy import save_file

__all__ = ["checksum", "read_tensors", "write_tensors", "written_whole"]

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
    # The new name itself reaches the disk with the directory, where the system lets one sync it.
    with contextlib.suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


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
