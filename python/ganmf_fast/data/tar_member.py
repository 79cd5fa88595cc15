"""One file of a tar archive that gzip has packed, read in a stream."""

import gzip
import io
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

from ganmf_fast.base.errors import DataError, TooLargeError

_BLOCK: Final = 512
"""Bytes of a header; what follows it fills whole blocks."""
_PIECE: Final = 1 << 20
"""Bytes that are skipped at a time."""
_MOST_MEMBERS: Final = 1000


@dataclass(frozen=True)
class TarMember:
    """A regular file of an archive ``.tar.gz``, found by its exact name.

    Headers are read one by one, and what is not `name` is skipped: neither names, links and owners
    of others nor the extended headers of newer formats are looked at, and nothing is written.

    Parameters
    ----------
    archive : Path
    name : str
    most : int
        Bytes that it may have, and bytes that may stand before it.
    """

    archive: Path
    name: str
    most: int

    @contextmanager
    def open(self) -> Iterator[IO[bytes]]:
        """The bytes of the file.

        Raises
        ------
        DataError
            If the archive is damaged, lacks the file, or holds it as a link or otherwise than as a
            regular file.
        TooLargeError
            If it has more than `most` bytes, or they begin after as many.
        """
        with (
            self.archive.open("rb") as raw,
            gzip.GzipFile(fileobj=raw) as unpacked,
            io.BufferedReader(_Part(unpacked, self._found(unpacked))) as file,
        ):
            yield file

    @property
    def size(self) -> int:
        """Bytes of the file; errors are those of `open`."""
        with self.archive.open("rb") as raw, gzip.GzipFile(fileobj=raw) as unpacked:
            return self._found(unpacked)

    def _found(self, unpacked: gzip.GzipFile) -> int:
        """Go to where the file begins; its size."""
        skipped = 0
        for _ in range(_MOST_MEMBERS):
            header = self._header(unpacked)
            if header is None:
                raise DataError(f"{self.archive} does not hold {self.name}")
            if header.name == self.name:
                if header.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
                    raise DataError(
                        f"{self.archive} holds a link or a special file instead of {self.name}"
                    )
                self._check(header.size)
                return header.size
            length = -(-header.size // _BLOCK) * _BLOCK
            skipped += length
            self._check(skipped)
            while length > 0:
                piece = len(unpacked.read(min(length, _PIECE)))
                if not piece:
                    raise EOFError("archive ended within a file")
                length -= piece
        raise DataError(f"{self.archive} holds more than {_MOST_MEMBERS} files")

    def _header(self, unpacked: gzip.GzipFile) -> tarfile.TarInfo | None:
        """The next header; None at the end."""
        block = unpacked.read(_BLOCK)
        if not block.strip(b"\0"):
            return None
        try:
            header = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except tarfile.TarError as error:
            raise DataError(f"{self.archive} is damaged or no tar archive: {error}") from None
        if header.size < 0:
            raise DataError(f"{self.archive} is damaged: a file in it has a negative size")
        return header

    def _check(self, size: int) -> None:
        if size > self.most:
            raise TooLargeError(
                f"{self.archive} holds {self.name} with, or after, more than {self.most:,} bytes, "
                "more than is safe to unpack"
            )


class _Part(io.RawIOBase):
    """The next bytes of a file, as many as are said, or an error."""

    def __init__(self, file: gzip.GzipFile, size: int) -> None:
        self._file = file
        self._left = size

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end.

        Raises
        ------
        EOFError
            If the archive ends before.
        """
        piece = self._file.read(min(len(buffer), self._left))
        if not piece and self._left and len(buffer):
            raise EOFError("archive ended within a file")
        buffer[: len(piece)] = piece
        self._left -= len(piece)
        return len(piece)
