"""Public data sets by name, from a local folder or downloaded and checked.

An archive is only ever read: its one needed member is unpacked into memory or in a stream, with a
bound on its size, and nothing in it decides where anything is written. Ratings and play counts are
ignored, as in the GANMF paper: an interaction counts as one.
"""

import contextlib
import hashlib
import logging
import re
import stat
import zipfile
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Protocol

import numpy as np
import platformdirs
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.errors import DataError, TooLargeError, WriteError, suggestion
from ganmf_fast.base.files import all_written, make_folder, write_whole, written_whole
from ganmf_fast.base.text import one_line, printable, shown
from ganmf_fast.base.urm import as_csr, fingerprint, to_scipy
from ganmf_fast.data import downloads
from ganmf_fast.data.builders import from_log, from_text, use_polars
from ganmf_fast.data.dataset_sources import (
    LISTS_SOURCES,
    MAX_BYTES,
    PUBLISHED_SPLITS,
    SOURCES,
    Source,
)
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.item_lists import read_item_lists
from ganmf_fast.data.readers import Options
from ganmf_fast.data.roles import Roles
from ganmf_fast.data.sources import CHUNK, UNREADABLE, DataFile
from ganmf_fast.data.tar_member import TarMember

if TYPE_CHECKING:
    import scipy.sparse as sp

DEMO = "demo"
_DEMO_SEED = 1337
_HOST = "https://files.grouplens.org/datasets/"
_AUTHORS = (
    "https://raw.githubusercontent.com/edervishaj/GANMF/"
    "ca8764d1ff20b4d747dcafaeb2dba1ce963e1702/experiments/datasets/"
)
# Text shrinks to a tenth or so; only a bomb shrinks to less than a two hundredth.
_MAX_RATIO = 200
# Of one of the published splits, and of the file with a checksum.
_MOST_SPLIT, _MOST_RECORD = 2**23, 200

_log = logging.getLogger(__name__)


class HasUrm(Protocol):
    """Interactions or splits: anything with all its interactions in ``urm``."""

    @property
    def urm(self) -> "sp.csr_array[np.float32]":
        """All interactions, shape (users, items)."""

    @property
    def name(self) -> str:
        """Name of the data in reports."""

    @property
    def simulated(self) -> bool:
        """Whether the data were generated."""


def names() -> list[str]:
    """Names that `load` knows; "demo" is simulated and needs no file."""
    return [*SOURCES, *LISTS_SOURCES, DEMO]


def sizes(name: str) -> tuple[int, int, int] | None:
    """Interactions, users and items of a data set as published; None of the simulated one."""
    source = SOURCES.get(name) or LISTS_SOURCES.get(name)
    return None if source is None else source.sizes


def load(name: str, data_dir: str | Path | None = None, download: bool = True) -> Interactions:
    """Interactions of a public data set, or of the simulated "demo".

    Parameters
    ----------
    name : str
        One of `names`: "ml-100k", "ml-1m", "ml-10m", "ml-20m", "ml-25m", "ml-32m", "hetrec2011",
        "lastfm", "lastfm-360k", "steam", "mind-small", "gowalla", "yelp2018", "amazon-book",
        "citeulike-a" or "demo". Of the three with a published train and test, it is both together;
        `gf.split.published` has the two apart. For what is an interaction of the three before them,
        see the notes.
    data_dir : str or Path, optional
        Folder with the archive or the unpacked file (directly in it, or in ``NAME/``, in the
        folder the archive unpacks to, or in ``raw/`` above that), or one of these files itself.
        Downloads go there too; by default to the user's cache.
    download : bool, default True
        Whether the network may be used: mirrors in the environment variable ``GANMF_MIRROR``
        (https addresses of folders, separated by blanks or commas; http ones only on this machine,
        or with ``GANMF_ALLOW_HTTP=1``) first, then the publisher. Who downloads a data set accepts
        its terms (README, "Data and licences").

    Returns
    -------
    Interactions
        Ids as in the original; `timestamps` where the data have them.

    Raises
    ------
    ValueError
        If `name` is unknown.
    DataError
        If the data are not there and cannot be downloaded, or a checksum or size is wrong.
    WriteError
        (an ``OSError``) If a download cannot be written.

    Notes
    -----
    Of "lastfm-360k", an item is the name of an artist, or the MusicBrainz id of one without a name;
    lines whose user is no SHA-1 are left out, and ``sizes`` has the numbers of its readme, of which
    that of lines is checked. Of "steam", an interaction is a game that a user owns, played or not;
    users who own none are left out. Of "mind-small", the train of MIND-small, an interaction is a
    click in an impression, at its time; clicks are counted before those that repeat one are left
    out. The news that a user had clicked on before have no time, and are not read.
    """
    if name == DEMO:
        data = Interactions.from_matrix(_core.demo_urm(_DEMO_SEED))
        return replace(data, name=DEMO, simulated=True)
    if name in LISTS_SOURCES:
        parts = load_parts(name, data_dir, download)
        both: Any = sum((to_scipy(part.csr) for part in parts[1:]), to_scipy(parts[0].csr))
        return replace(Interactions.from_matrix(both), name=name)
    source = _source(name)
    root = default_folder() if data_dir is None else Path(data_dir)
    if data_dir is not None and not root.exists() and not download:
        raise DataError(f"data_dir {shown(str(root), 400)} does not exist")
    text = _local_file(source, root) or _from_archive(name, source, root, download=download)
    if source.read is None:
        roles = Roles(0, 1, timestamp=source.timestamp)
        options = Options(source.separator, source.header, quote="off", strip=True)
        built = from_text(text, roles, options)
    else:
        use_polars()
        built = from_log(source.read(text), None, "polars")
    data = Interactions(*built, name=name)
    _check_sizes(name, source, text.label, data)
    return data


def load_parts(
    name: str, data_dir: str | Path | None = None, download: bool = True
) -> list[Interactions]:
    """The files of a data set that has a line of items for each user, of one shape.

    Parameters
    ----------
    name : {"gowalla", "yelp2018", "amazon-book", "citeulike-a"}
    data_dir : str or Path, optional
        The files are looked for in it and in ``NAME/``, where downloads are put; by default in the
        user's cache.
    download : bool, default True
        As for `load`; mirrors have the files in a folder ``NAME``.

    Returns
    -------
    list of Interactions
        Train and test; of "citeulike-a" one alone.

    Raises
    ------
    ValueError
        If `name` is none of them.
    DataError
        If a file is not there and cannot be downloaded, or a checksum or size is wrong.
    WriteError
        (an ``OSError``) If a download cannot be written.
    """
    if name not in LISTS_SOURCES:
        raise ValueError(
            f"{shown(name)} has no files of lists; {', '.join(LISTS_SOURCES)} have"
            f"{suggestion(name, LISTS_SOURCES)}"
        )
    source = LISTS_SOURCES[name]
    root = default_folder() if data_dir is None else Path(data_dir)
    found = []
    for file, md5 in source.files.items():
        place = _place_of(name, file, root)
        urls = [f"{mirror}/{name}/{file}" for mirror in downloads.mirrors()]
        urls += [f"{address}/{file}" for address in source.addresses]
        _hold(name, place, urls, None, md5, source.max_bytes, download=download)
        content = _content(place, source.max_bytes)
        found.append(read_item_lists(content, str(place), counted=source.counted))
    n_users, n_items = (max(part.shape[axis] for part in found) for axis in (0, 1))
    if (sum(part.nnz for part in found), n_users, n_items) != source.sizes:
        held = _sizes((sum(part.nnz for part in found), n_users, n_items))
        raise DataError(f"{place.parent} holds {held}, but {name} has {_sizes(source.sizes)}")
    shape = (n_users, n_items)
    csrs = (
        Csr.from_coo(part.row.astype(np.int32), part.col.astype(np.int32), None, *shape)
        for part in found
    )
    return [replace(Interactions.from_matrix(csr), name=name) for csr in csrs]


def splits_folder(name: str, data_dir: str | Path | None = None) -> Path:
    """Folder in which splits of a data set are looked for, and published ones are put."""
    return (default_folder() if data_dir is None else Path(data_dir)) / name


def fetch_published_splits(
    name: str, data_dir: str | Path | None = None, download: bool = True
) -> Path:
    """Download the splits that the authors of the GANMF paper published, unless they are there.

    Parameters
    ----------
    name : {"lastfm", "hetrec2011", "ml-1m"}
    data_dir : str or Path, optional
        The five ``.npz`` files are put into ``NAME/`` in it; by default in the user's cache.
    download : bool, default True
        Whether the network may be used: mirrors in ``GANMF_MIRROR`` first, as
        ``MIRROR/NAME/train.npz`` or under the authors' names, then the authors' repository.

    Returns
    -------
    Path
        The folder, all five files checked by SHA-256.

    Raises
    ------
    ValueError
        If no splits of that name were published.
    DataError
        If a file cannot be downloaded, or there is another file of its name; nothing is changed.
    WriteError
        (an ``OSError``) If the folder cannot be written.
    """
    if name not in PUBLISHED_SPLITS:
        raise ValueError(
            f"no splits of {shown(name)} were published; there are those of "
            f"{', '.join(PUBLISHED_SPLITS)}{suggestion(name, PUBLISHED_SPLITS)}"
        )
    published, folder = PUBLISHED_SPLITS[name], splits_folder(name, data_dir)
    missing = []
    for part, expected in published.sha256.items():
        path = folder / f"{part}.npz"
        if path.is_file():
            advice = "it is not the published one: move it away, or choose another data_dir"
            _check(_content(path, _MOST_SPLIT), expected, path, advice)
        else:
            missing.append(part)
    if missing and not download:
        raise DataError(f"{folder} lacks {', '.join(missing)} (.npz), and downloads are off")
    if missing:
        try:
            make_folder(folder)
            # All or none: a part of the splits would hide the original data of that name.
            with all_written([folder / f"{part}.npz" for part in missing]) as paths:
                for part, path in zip(missing, paths, strict=True):
                    downloads.download(
                        path,
                        _split_urls(name, part),
                        published.sha256[part],
                        _MOST_SPLIT,
                        f"{part}.npz",
                        _by_hand(folder),
                    )
        finally:
            # Only where nothing was put into it.
            with contextlib.suppress(OSError):
                folder.rmdir()
    return folder


def default_folder() -> Path:
    """Default folder of downloads: the user's cache folder for this package."""
    return Path(platformdirs.user_cache_dir("ganmf-fast"))


def describe(
    data: "str | HasUrm", data_dir: str | Path | None = None, download: bool = True
) -> dict[str, Any]:
    """Sizes and shape of a data set.

    Parameters
    ----------
    data : str, Interactions or Splits
        A name is loaded first; of splits, train and test together are described.
    data_dir, download
        As for `load`.

    Returns
    -------
    dict
        ``name``, ``simulated``, ``users``, ``items``, ``interactions``, ``density`` (fraction
        of the matrix), ``min_profile``, ``median_profile``, ``max_profile`` (items per user),
        ``popularity_gini`` (0: all items equally popular, towards 1: one item has everything)
        and ``data_hash`` (SHA-256 of the matrix).
    """
    held = load(data, data_dir, download) if isinstance(data, str) else data
    csr = as_csr(held.urm)
    profiles = np.diff(csr.indptr)
    return {
        "name": held.name,
        "simulated": held.simulated,
        "users": csr.n_rows,
        "items": csr.n_cols,
        "interactions": csr.nnz,
        "density": csr.nnz / (csr.n_rows * csr.n_cols),
        "min_profile": int(profiles.min()),
        "median_profile": float(np.median(profiles)),
        "max_profile": int(profiles.max()),
        "popularity_gini": gini(np.bincount(csr.indices, minlength=csr.n_cols)),
        "data_hash": fingerprint(csr),
    }


def gini(counts: NDArray[np.int64]) -> float:
    """Gini coefficient: 2 sum_i i c_(i) / (n sum c) - (n + 1) / n, counts ascending, i from 1."""
    n = len(counts)
    place = np.arange(1, n + 1)
    return float(2 * (place * np.sort(counts)).sum() / (n * counts.sum()) - (n + 1) / n)


def _sizes(sizes: tuple[int, int, int], counts: str = "interactions") -> str:
    return f"{sizes[0]:,} {counts} of {sizes[1]:,} users on {sizes[2]:,} items"


def _check_sizes(name: str, source: Source, label: str, data: Interactions) -> None:
    counted = data.n_interactions
    if data.reading is not None and source.counts != "interactions":
        counted = data.reading.records if source.counts == "records" else data.reading.lines
    found = (counted, data.n_users, data.n_items)
    if found[: 1 if source.rough else None] != source.sizes[: 1 if source.rough else None]:
        raise DataError(
            f"{label} holds {_sizes(found, source.counts)}, but {name} has "
            f"{_sizes(source.sizes, source.counts)}"
        )


def _source(name: str) -> Source:
    if name not in SOURCES:
        raise ValueError(
            f"there is no data set {shown(name)}; known are {', '.join(names())}"
            f"{suggestion(name, names())}"
        )
    return SOURCES[name]


def _place_of(name: str, file: str, root: Path) -> Path:
    """Where a file of lists lies, or is to be put."""
    direct = root / file
    return direct if direct.is_file() and not (root / name / file).is_file() else root / name / file


def _candidates(source: Source, root: Path, file: str) -> list[Path]:
    if root.is_file():
        return [root] if root.name == file else []
    known = [name for name, other in SOURCES.items() if other is source]
    folders = [root, *(root / inner for inner in dict.fromkeys((*known, source.stem)))]
    folders.append(root / "raw" / source.stem)
    return [path for path in (folder / file for folder in folders) if path.is_file()]


def _local_file(source: Source, root: Path) -> DataFile | None:
    """Find the unpacked data file, checked where its checksum is known."""
    advice = "use Interactions.from_csv for other data"
    for path in _candidates(source, root, source.file):
        if source.read is None:
            content = _content(path, source.max_unpacked)
            _check(content, source.file_sha256, path, advice)
            return DataFile(content, str(path))
        found = _digest(path, source.max_unpacked, "md5")
        _compare("MD5", found, source.file_md5, path, advice)
        return DataFile(path, str(path))
    return None


def _from_archive(name: str, source: Source, root: Path, *, download: bool) -> DataFile:
    local = _candidates(source, root, source.archive)
    archive = local[0] if local else root / source.archive
    if not local and (not download or root.is_file()):
        raise DataError(
            f"{name} needs {source.archive} or {source.file} in {root}, and "
            f"{'downloads are off' if not download else 'that is another file'}"
        )
    _hold(
        name,
        archive,
        _archive_urls(source),
        source.archive_sha256,
        source.archive_md5,
        source.max_bytes,
        download=download,
    )
    label = f"{archive}:{source.member}"
    if archive.name.endswith(".tar.gz"):
        return DataFile(TarMember(archive, source.member, source.max_unpacked), label)
    if archive.name.endswith(".gz"):
        return DataFile(archive, str(archive))
    content = read_member(archive, source.member)
    _check(content, source.file_sha256, label, "delete the archive to download it again")
    return DataFile(content, label)


def _hold(
    name: str,
    path: Path,
    urls: list[str],
    published: str | None,
    md5: str | None,
    most: int,
    *,
    download: bool,
) -> None:
    """Download a file of a data set if it is not there, and hold it to its checksum.

    That is the `published` SHA-256, or that of the first copy, which must have the `md5`.
    """
    expected, advice = published, "delete it to download it again"
    if expected is None and (expected := _recorded(path)) is not None:
        advice += f", with {_record_of(path).name}"
    if not path.is_file():
        if not download:
            raise DataError(f"{name} needs {path}, and downloads are off")
        make_folder(path.parent)
        by_hand = _by_hand(path.parent, None if published else expected)
        with written_whole(path) as part:
            downloads.download(part, urls, expected, most, path.name, by_hand, md5=md5)
    found = _digest(path, most, "sha256")
    _compare("SHA-256", found, expected, path, advice)
    if expected is None:
        if md5 is not None:
            _compare("MD5", _digest(path, most, "md5"), md5, path, advice)
        _record(path, found, md5)


def _archive_urls(source: Source) -> list[str]:
    urls = [f"{mirror}/{source.archive}" for mirror in downloads.mirrors()]
    folders = source.addresses or (f"{_HOST}{source.folder}",)
    return [*urls, *(f"{folder}/{source.archive}" for folder in folders)]


def _split_urls(name: str, part: str) -> list[str]:
    theirs = f"{PUBLISHED_SPLITS[name].stem}_URM_{part}.npz"
    urls = [f"{m}/{file}" for m in downloads.mirrors() for file in (f"{name}/{part}.npz", theirs)]
    return [*urls, f"{_AUTHORS}{theirs}"]


def _recorded(archive: Path) -> str | None:
    """The checksum of the first copy of an archive, kept beside it."""
    record = _record_of(archive)
    if not record.is_file():
        return None
    found = _content(record, _MOST_RECORD).strip()
    if not re.fullmatch(rb"[0-9a-f]{64}", found):
        raise DataError(f"{record} is damaged: it should hold a SHA-256; delete it")
    return found.decode()


def _record(archive: Path, digest: str, md5: str | None) -> None:
    _log.warning(
        "no %s of %s is published; trusting this first copy%s, whose SHA-256 is %s, and "
        "holding later uses to it",
        "checksum" if md5 is None else "SHA-256",
        printable(str(archive)),
        "" if md5 is None else ", which has the published MD5",
        digest,
    )
    try:
        write_whole(_record_of(archive), digest + "\n")
    except WriteError as error:
        _log.warning("it is not recorded: %s", error)


def _record_of(archive: Path) -> Path:
    return archive.with_name(f"{archive.name}.sha256")


def _by_hand(place: Path, recorded: str | None = None) -> str:
    """What to do where a download failed."""
    advice = f"put it into {place} by hand or set GANMF_MIRROR"
    return advice if recorded is None else f"{advice}; the first copy had SHA-256 {recorded}"


def _content(path: Path, most: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if len(content) > most:
        raise _too_long(path, most)
    return content


def _digest(path: Path, most: int, kind: Literal["sha256", "md5"]) -> str:
    """Checksum of a file, read in a stream."""
    digest, size = hashlib.new(kind, usedforsecurity=False), 0
    try:
        with path.open("rb") as file:
            while piece := file.read(CHUNK):
                digest.update(piece)
                size += len(piece)
                if size > most:
                    break
    except OSError as error:
        raise DataError(f"{path} cannot be read: {error.strerror}") from None
    if size > most:
        raise _too_long(path, most)
    return digest.hexdigest()


def _too_long(path: Path, most: int) -> DataError:
    return DataError(f"{path} has more than the {most:,} bytes that it may have")


def _check(content: bytes, expected: str | None, label: object, advice: str) -> None:
    if expected is not None:
        _compare("SHA-256", sha256(content).hexdigest(), expected, label, advice)


def _compare(kind: str, found: str, expected: str | None, label: object, advice: str) -> None:
    if expected not in (None, found):
        raise DataError(f"{label} has {kind} {found} instead of {expected}; {advice}")


def read_member(archive: Path, member: str) -> bytes:
    """Unpack one regular file of a zip archive into memory.

    Parameters
    ----------
    archive : Path
    member : str
        Its exact name; other members are not looked at.

    Returns
    -------
    bytes

    Raises
    ------
    DataError
        If the archive is damaged, lacks the member, or the member is a link, encrypted, larger
        than 1 GiB or compressed more than 200 times: no data set is.
    """
    try:
        with zipfile.ZipFile(archive) as package:
            info = _checked_member(package, archive, member)
            with package.open(info) as file:
                # The size an archive claims need not be true.
                content = file.read(info.file_size + 1)
                if len(content) > info.file_size:
                    raise _too_large(archive, info)
                return content
    except KeyError:
        raise DataError(f"{archive} does not hold {member}") from None
    except DataError:
        raise
    except UNREADABLE as error:
        raise DataError(f"{archive} is damaged or no zip archive: {one_line(error, 200)}") from None


def _checked_member(package: zipfile.ZipFile, archive: Path, member: str) -> zipfile.ZipInfo:
    info = package.getinfo(member)
    if stat.S_ISLNK(info.external_attr >> 16):
        raise DataError(f"{archive} holds a link instead of {member}")
    if info.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise DataError(f"{archive} holds {member} compressed in a way that no data set is")
    if info.file_size > min(MAX_BYTES, _MAX_RATIO * info.compress_size):
        raise _too_large(archive, info)
    return info


def _too_large(archive: Path, info: zipfile.ZipInfo) -> TooLargeError:
    return TooLargeError(
        f"{archive} holds {info.filename} with {info.file_size:,} bytes out of "
        f"{info.compress_size:,}, more than is safe to unpack"
    )
