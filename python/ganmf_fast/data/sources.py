"""What a path holds, by its content: compressed or not, parquet, JSON lines or delimited text.

Text is handed out as UTF-8 in chunks, decompressed and decoded on the way, so that memory never
holds a file. Suffixes say nothing: a gzip file may be called ``log.csv``. What a compressed file
may become is bounded while it is read (`base.unpacking`).
"""

import bz2
import codecs
import gzip
import io
import lzma
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Final

import zstandard

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import few, printable, shown
from ganmf_fast.base.unpacking import DEFLATE_RATIO, RATIO, Unpacked
from ganmf_fast.data.tar_member import TarMember

CHUNK: Final = 1 << 22
"""Bytes that are read at a time."""

_PIECE: Final = 1 << 12
"""Packed bytes that are unpacked at a time, where a library does not bound what comes of them."""

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstandard"),
    (b"PK\x03\x04", "zip"),
    (b"PK\x05\x06", "zip"),
)
_EXPORT: Final = "export the sheet as CSV"
_LOADED: Final = "load it, and give the result to Interactions.from_frame"
_MATRIX: Final = "load it by {}, and give the matrix to Interactions.from_matrix"
_OTHERS: Final = (
    (0, b"%%MatrixMarket", "a matrix of Matrix Market", _MATRIX.format("scipy.io.mmread")),
    (0, b"\x93NUMPY", "an array of numpy", _MATRIX.format("numpy.load")),
    (0, b"ARROW1\0", "an Arrow or feather file", _LOADED),
    (0, b"\x89HDF\r\n", "an HDF5 file", _LOADED),
    (0, b"SQLite format 3\0", "a database of SQLite", "export the table as CSV"),
    (0, b"\xd0\xcf\x11\xe0", "an old Office document, such as of Excel", _EXPORT),
    (0, b"\x80\x04\x95", "a pickle", "write CSV or parquet by what made it"),
    (0, b"\x80\x05\x95", "a pickle", "write CSV or parquet by what made it"),
    (0, b"\x5d\0\0", "compressed by lzma", "unpack it, or pack it as xz"),
    (0, b"7z\xbc\xaf\x27\x1c", "an archive of 7-Zip", "unpack it and name the file to read"),
    (0, b"Rar!\x1a\x07", "an archive of RAR", "unpack it and name the file to read"),
    (257, b"ustar", "a tar archive", "unpack it and name the file to read"),
    (5, b'\0\0\0{"', "a safetensors file", "read a model by gf.load"),
    (0, b"%PDF-", "a PDF document", "give the data as CSV"),
    (0, b"<!DOCTYPE", "a web page", "give the data as CSV"),
)
"""Position and bytes that tell what is no text, what it is, and what to do."""

_MARKS: Final = (
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


UNREADABLE: Final = (
    OSError,
    EOFError,
    MemoryError,
    OverflowError,
    RuntimeError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    UnicodeDecodeError,
    zipfile.BadZipFile,
    zstandard.ZstdError,
)
"""What unpacking raises on files that are cut short, altered, encrypted or too large."""


def refuse_pipe(path: Path, label: str) -> None:
    """Refuse what gives its bytes once: a file is opened anew for each thing that is to be known.

    Raises
    ------
    DataError
    """
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError):  # nothing there, which who opens it says
        return
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise DataError(
            f"{label} is a pipe or a device, which can be read only once: write what it gives to a "
            "file, and name that"
        )


class _Streams(io.RawIOBase):
    """Decompressed bytes of compressed streams one after another.

    The readers of bz2, lzma and zstandard take a file cut short, or what follows that is no
    stream, for the end.
    """

    def __init__(self, raw: IO[bytes], make: Callable[[], Any], padding: bytes = b"") -> None:
        self._raw = raw
        self._make = make
        self._padding = padding
        self._stream: Any = None
        self._packed = b""
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        """Always."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill a buffer; 0 at the end.

        Raises
        ------
        EOFError
            If the last stream is not complete.
        """
        while not self._ready:
            if self._stream is None and not self._begun():
                return 0
            if self._stream.eof:
                self._packed, self._stream = self._stream.unused_data, None
                continue
            if not self._packed and getattr(self._stream, "needs_input", True):
                self._packed = self._raw.read(_PIECE)
                if not self._packed:
                    raise EOFError("compressed file ended before the end of its last frame")
            self._ready = memoryview(self._unpacked())
        size = min(len(buffer), len(self._ready))
        buffer[:size] = self._ready[:size]
        self._ready = self._ready[size:]
        return size

    def _begun(self) -> bool:
        """Begin the next stream, if there are bytes but for padding."""
        self._packed = self._packed.lstrip(self._padding)
        while not self._packed:
            read = self._raw.read(_PIECE)
            if not read:
                return False
            self._packed = read.lstrip(self._padding)
        self._stream = self._make()
        return True

    def _unpacked(self) -> bytes:
        packed, self._packed = self._packed, b""
        # Of a few packed bytes others may make gigabytes; zstandard's cannot be told a bound.
        bound = (CHUNK,) if hasattr(self._stream, "needs_input") else ()
        made: bytes = self._stream.decompress(packed, *bound)
        return made


def _xz() -> lzma.LZMADecompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ)


def _zstandard() -> Any:
    return zstandard.ZstdDecompressor().decompressobj()


def name_of(path: Path) -> str:
    """What data are called that come from a file: its name without any suffix."""
    return path.name.split(".")[0] or path.name


@dataclass(frozen=True)
class DataFile:
    """A file, one within an archive, or bytes already in memory, and what messages call it.

    Parameters
    ----------
    content : Path, TarMember or bytes
    label : str
    """

    content: Path | TarMember | bytes
    label: str

    def __post_init__(self) -> None:
        """Any name of a file can stand in a message."""
        object.__setattr__(self, "label", printable(self.label))

    @property
    def compression(self) -> str | None:
        """Compression, by the first bytes."""
        with self.refused(), self._raw() as raw:
            first = raw.read(6)
        return next((name for magic, name in _MAGIC if first.startswith(magic)), None)

    @property
    def size(self) -> int | None:
        """Bytes of the text, None where compression hides them."""
        return None if self.compression is not None else self._packed_size

    @property
    def format(self) -> str:
        """What the content is: "parquet", "json lines" or "text".

        Raises
        ------
        DataError
            If it is of a known kind that cannot be read.
        """
        with self.refused(), self.open() as file:
            first = file.read(512)
        if first.startswith(b"PAR1"):
            return "parquet"
        for at, magic, kind, way_out in _OTHERS:
            if first.startswith(magic, at):
                raise DataError(f"{self.label} is {kind}, which is not read: {way_out}")
        return "json lines" if _begins_an_object(first) else "text"

    @contextmanager
    def open(self) -> Iterator[IO[bytes] | Unpacked]:
        """The decompressed bytes.

        Raises
        ------
        DataError
            If the file is an archive of several files, or encrypted.
        """
        with self._raw() as raw:
            ratio, step = RATIO, None
            match self.compression:
                case "gzip":
                    opened: Any = gzip.GzipFile(fileobj=raw)
                    ratio = DEFLATE_RATIO
                case "bzip2":
                    opened = io.BufferedReader(_Streams(raw, bz2.BZ2Decompressor))
                case "xz":
                    opened = io.BufferedReader(_Streams(raw, _xz, padding=b"\0"))
                case "zstandard":
                    opened = io.BufferedReader(_Streams(raw, _zstandard))
                case "zip":
                    opened, method = self._member(raw)
                    if method in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
                        ratio = DEFLATE_RATIO
                    else:
                        step = _PIECE
                case _:
                    yield raw
                    return
            with opened:
                yield Unpacked(opened, self._packed_size, self.label, ratio, step)

    @property
    def _packed_size(self) -> int:
        match self.content:
            case bytes():
                return len(self.content)
            case TarMember():
                return self.content.size
            case Path():
                return self.content.stat().st_size

    def chunks(self, encoding: str) -> Iterator[bytes]:
        """The text as UTF-8, without a byte order mark.

        Raises
        ------
        DataError
            If the file cannot be read or decompressed, or is not text of that encoding.
        """
        with self.refused(), self.open() as file:
            first = file.read(CHUNK)
            if _is_utf8(encoding):
                self._refuse_wide(first)
                first = first.removeprefix(codecs.BOM_UTF8)
                while first:
                    yield first
                    first = file.read(CHUNK)
                return
            decoder = self._decoder(encoding)
            while first:
                yield self._decoded(decoder, first, encoding)
                first = file.read(CHUNK)
            yield self._decoded(decoder, b"", encoding, final=True)

    @contextmanager
    def refused(self) -> Iterator[None]:
        """Name the file in errors of reading and decompressing."""
        try:
            yield
        except DataError:
            raise
        except UNREADABLE as error:
            reason = getattr(error, "strerror", None) or error
            raise DataError(f"{self.label} cannot be read: {reason}") from None

    @contextmanager
    def _raw(self) -> Iterator[IO[bytes]]:
        match self.content:
            case bytes():
                yield io.BytesIO(self.content)
            case TarMember():
                with self.content.open() as file:
                    yield file
            case Path():
                refuse_pipe(self.content, self.label)
                with self.content.open("rb") as file:
                    yield file

    def _member(self, raw: IO[bytes]) -> tuple[IO[bytes], int]:
        """The only file of an archive, and how it is compressed."""
        archive = zipfile.ZipFile(raw)
        members = [info for info in archive.infolist() if not info.filename.endswith("/")]
        if len(members) != 1:
            names = {info.filename for info in members}
            if "[Content_Types].xml" in names:
                raise DataError(f"{self.label} is an Office document, such as of Excel: {_EXPORT}")
            if names and all(name.endswith(".npy") for name in names):
                raise DataError(
                    f"{self.label} is an archive of numpy arrays: read a folder of splits by "
                    "Splits.load, or a matrix by scipy.sparse.load_npz and Interactions.from_matrix"
                )
            some = few((info.filename for info in members), 5)
            raise DataError(
                f"{self.label} is an archive of {len(members)} files ({some}): unpack it and name "
                "the one to read"
            )
        if members[0].flag_bits & 1:
            raise DataError(f"{self.label} is encrypted: unpack it first")
        return archive.open(members[0]), members[0].compress_type

    def _refuse_wide(self, first: bytes) -> None:
        for mark, name in _MARKS:
            if first.startswith(mark):
                raise DataError(
                    f'{self.label} begins with the byte order mark of {name}: use encoding="{name}"'
                )
        for at, name in ((0, "utf-16-be"), (1, "utf-16-le")):
            # Characters of a first line that are all below 256.
            halves = first[at : min(len(first), 16) // 2 * 2 : 2]
            if len(halves) > 1 and not any(halves) and all(first[1 - at : 2 * len(halves) : 2]):
                raise DataError(
                    f'{self.label} has zeros in every second byte, as {name}: use encoding="{name}"'
                )

    def _decoder(self, encoding: str) -> codecs.IncrementalDecoder:
        try:
            # Fails for codecs that are no encodings of text, such as "hex".
            io.TextIOWrapper(io.BytesIO(), encoding=encoding).close()
            return codecs.getincrementaldecoder(encoding)()
        except (LookupError, ValueError):
            raise ValueError(f"encoding {shown(encoding)} is unknown, such as 'utf-8'") from None

    def _decoded(
        self,
        decoder: codecs.IncrementalDecoder,
        chunk: bytes,
        encoding: str,
        *,
        final: bool = False,
    ) -> bytes:
        try:
            return decoder.decode(chunk, final).removeprefix("\ufeff").encode()
        except UnicodeError as error:
            reason = getattr(error, "reason", error)
            raise DataError(f"{self.label} is not {encoding} text: {reason}") from None


def _begins_an_object(first: bytes) -> bool:
    """Whether text, in whatever encoding, begins as JSON does; a GUID in braces does not."""
    for mark in (codecs.BOM_UTF8, *(mark for mark, _ in _MARKS)):
        first = first.removeprefix(mark)
    opened = first.replace(b"\0", b"").lstrip()
    # Objects in quotes of Python or on several lines are refused by name, as JSON.
    return opened[:1] == b"{" and opened[1:].lstrip()[:1] in {b'"', b"'", b"}", b""}


def _is_utf8(encoding: object) -> bool:
    if not isinstance(encoding, str):
        raise TypeError(f"encoding must be the name of an encoding, not {shown(encoding)}")
    return encoding.casefold().replace("_", "-") in {"utf-8", "utf8", "utf-8-sig"}
