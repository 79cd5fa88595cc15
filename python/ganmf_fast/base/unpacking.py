"""What a file may become: bounds of unpacking and of memory, for files from anyone.

A compressed file may become `DEFLATE_RATIO` or `RATIO` times as large as it is, and `GRACE` bytes
in any case. The environment variable ``GANMF_MAX_UNPACKED`` replaces these bounds by a number of
bytes, such as ``20G``. What is kept in memory must fit into what is available, whatever that says.
The table in docs/reliability.md lists every file.
"""

import os
import re
from typing import IO

from ganmf_fast.base.checks import check_memory
from ganmf_fast.base.errors import TooLargeError
from ganmf_fast.base.text import shown

VARIABLE = "GANMF_MAX_UNPACKED"
GRACE = 128 * 2**20
"""Bytes that any file may become."""
DEFLATE_RATIO = 150
"""For gzip and zip, which reach 1032; logs of one user after another have 4 to 30."""
RATIO = 1000
"""For bzip2, xz and zstandard, which reach 10,000 and more; regular logs have up to 750."""
MOST = 2**40
"""Bytes of any compressed file, unpacked."""

_SIZE = re.compile(r"(\d{1,18})([KMGT]?)(?:i?B)?", re.IGNORECASE | re.ASCII)


def most_unpacked(packed: int, ratio: int = DEFLATE_RATIO) -> int:
    """Bytes that a compressed file of `packed` bytes may become.

    Raises
    ------
    ValueError
        If ``GANMF_MAX_UNPACKED`` is no number of bytes.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if not given:
        return min(max(GRACE, ratio * packed), MOST)
    size = _SIZE.fullmatch(given)
    if size is None:
        raise ValueError(f"{VARIABLE} must be a number of bytes, such as 20G, not {shown(given)}")
    return int(size[1]) << 10 * " KMGT".index(size[2].upper() or " ")


def check_unpacked(size: int, packed: int, name: str, limit: int | None = None) -> None:
    """Refuse what unpacks to more than it may.

    Parameters
    ----------
    size : int
        Bytes, as declared or as counted so far.
    packed : int
        Bytes of the file.
    name : str
        What messages call it.
    limit : int, optional
        By default `most_unpacked` of `packed`.

    Raises
    ------
    TooLargeError
    """
    limit = most_unpacked(packed) if limit is None else limit
    if size > limit:
        raise TooLargeError(
            f"{name} has {packed:,} bytes and unpacks to more than the {limit:,} that are allowed: "
            f"if you trust it, set the environment variable {VARIABLE} to the bytes it may become, "
            "such as 20G"
        )


def check_fits(needed: int, name: str, advice: str) -> None:
    """Refuse, before it is tried, what does not fit into the memory that is available.

    Raises
    ------
    TooLargeError
    """
    # To ask takes longer than to read a small file.
    if needed > 2**24:
        try:
            check_memory(needed, name, advice)
        except MemoryError as error:
            raise TooLargeError(str(error)) from None


class Unpacked:
    """Counts the bytes of a file that is unpacked while it is read.

    Parameters
    ----------
    file : binary file
        Gives unpacked bytes.
    packed : int
        Bytes of the compressed file.
    name : str
        What messages call it.
    ratio : int
    step : int, optional
        Most bytes to ask `file` for at once, where it unpacks as many packed ones in one piece.
    """

    def __init__(
        self, file: IO[bytes], packed: int, name: str, ratio: int, step: int | None = None
    ) -> None:
        self._file = file
        self._packed = packed
        self._name = name
        self._limit = most_unpacked(packed, ratio)
        self._step = step
        self._size = 0

    def read(self, size: int) -> bytes:
        """As a file does.

        Raises
        ------
        TooLargeError
            If more was read than the file may become.
        """
        pieces, left = [], size
        while left > 0:
            piece = self._file.read(left if self._step is None else min(left, self._step))
            if not piece:
                break
            pieces.append(piece)
            left -= len(piece)
            self._size += len(piece)
            check_unpacked(self._size, self._packed, self._name, self._limit)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)
