"""Downloads over https alone, bounded in size and time, checked before they take their name."""

import hashlib
import logging
import os
import re
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urljoin, urlsplit

from ganmf_fast.base.errors import DataError
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.text import printable, shown

if TYPE_CHECKING:
    import requests

_TIMEOUT = (10, 15)
"""Seconds without a connection, and without an answer or a further byte."""
_DEADLINE = 1800
"""Seconds that one file may take."""
_WAITS = (0.2, 0.8)
"""Seconds before another attempt at an address that failed for the moment."""
_MOST_REDIRECTS = 5
_MOST_RESUMED = 20
"""How often a download that broke off is gone on with."""
# Small, so that a server that sends a byte now and then meets the deadline.
_CHUNK = 256
_LOCAL = ("localhost", "127.0.0.1", "::1")
# Parsers of addresses disagree on what others mean.
_ADDRESS = re.compile(r"[!-\[\]-~]+")

_log = logging.getLogger(__name__)


class _FailedError(Exception):
    """An address did not give the file; the message is a phrase."""

    def __init__(self, why: str, *, for_the_moment: bool = False) -> None:
        super().__init__(why)
        self.for_the_moment = for_the_moment


def mirrors() -> list[str]:
    """The addresses in ``GANMF_MIRROR``, without slashes at their ends.

    Raises
    ------
    ValueError
        If one is not https, nor on this machine, nor allowed by ``GANMF_ALLOW_HTTP=1``.
    """
    found = os.environ.get("GANMF_MIRROR", "").replace(",", " ").split()
    for mirror in found:
        if not mirror.startswith(("https://", "http://")):
            raise ValueError(
                f"GANMF_MIRROR must hold http or https addresses, not {shown(_shown(mirror))}"
            )
        if not _is_allowed(mirror):
            raise ValueError(
                f"GANMF_MIRROR holds {shown(_shown(mirror))}, for which anyone on the way can "
                "answer: give an https address, or allow it with GANMF_ALLOW_HTTP=1"
            )
    return [mirror.rstrip("/") for mirror in found]


@dataclass
class _SoFar:
    """What has come of a file, and under which name of its version."""

    digest: Any = field(default_factory=sha256)
    done: int = 0
    version: str | None = None

    def forget(self) -> None:
        """Begin again."""
        self.digest, self.done, self.version = sha256(), 0, None


def download(
    to: Path,
    urls: Sequence[str],
    expected: str | None,
    most: int,
    name: str,
    advice: str,
    *,
    md5: str | None = None,
) -> str:
    """Write a file from the first address that has the right one.

    A download that breaks off is gone on with, where the server names the version of the file.

    Parameters
    ----------
    to : Path
        Written directly: the caller gives a temporary name.
    urls : sequence of str
    expected : str or None
        SHA-256 of the file; None if it is not known.
    most : int
        Bytes that the file has at most.
    name, advice : str
        What messages call the file, and what they say to do without it.
    md5 : str, optional
        MD5 of the file, where that is what its publisher states.

    Returns
    -------
    str
        SHA-256 of the file.

    Raises
    ------
    DataError
        If no address has it; the message names each with the reason.
    OSError
        If it cannot be written.
    """
    failures = []
    for url in urls:
        _log.info("downloading %s", _shown(url))
        so_far, waits, resumed = _SoFar(), iter(_WAITS), 0
        while True:
            before = so_far.done
            try:
                return _received(to, url, expected, md5, most, name, so_far)
            except _FailedError as error:
                if so_far.done > before and so_far.version and resumed < _MOST_RESUMED:
                    # It got further: as many attempts as at the beginning.
                    waits, resumed = iter(_WAITS), resumed + 1
                wait = next(waits, None)
                if wait is None or not error.for_the_moment:
                    failures.append(f"{_shown(url)}: {error}")
                    break
            time.sleep(wait)
    raise DataError(f"{name} could not be downloaded ({'; '.join(failures)}); {advice}")


def _received(
    to: Path,
    url: str,
    expected: str | None,
    md5: str | None,
    most: int,
    name: str,
    so_far: _SoFar,
) -> str:
    began = so_far.done
    # A file that is not there yet is made; what has come of one is kept.
    with (
        to.open("r+b" if to.exists() else "w+b") as file,
        reporter(f"downloading {name}") as report,
    ):
        for chunk, total in _chunks(url, most, so_far):
            file.seek(so_far.done)
            file.write(chunk)
            so_far.digest.update(chunk)
            so_far.done += len(chunk)
            report(so_far.done, total)
        file.truncate(so_far.done)
        digest: str = so_far.digest.hexdigest()
        wrong = "SHA-256" if expected not in (None, digest) else ""
        if not wrong and md5 is not None:
            file.seek(0)
            found = hashlib.file_digest(file, lambda: hashlib.md5(usedforsecurity=False))
            wrong = "" if found.hexdigest() == md5 else "MD5"
    if wrong:
        so_far.forget()
        # Parts of two versions, if it was put together.
        raise _FailedError(f"wrong {wrong} checksum", for_the_moment=began > 0)
    return digest


def _chunks(url: str, most: int, so_far: _SoFar) -> Iterator[tuple[bytes, int]]:
    """What is left of an address in parts, each with the length of the whole, or 0.

    `so_far` is emptied where the server does not go on with the same file.
    """
    import requests

    started = time.monotonic()
    too_large = _FailedError(f"more than the {most:,} bytes that it may have")
    try:
        with requests.Session() as session, _answer(session, url, so_far) as answer:
            if not _goes_on(answer, so_far):
                so_far.forget()
                if answer.status_code != 200:
                    raise _FailedError("another part than was asked for", for_the_moment=True)
            so_far.version = _version(answer)
            announced = answer.headers.get("Content-Length", "")[:20]
            total = so_far.done + int(announced) if announced.isdecimal() else 0
            if total > most:
                raise too_large
            for chunk in answer.iter_content(_CHUNK):
                if so_far.done + len(chunk) > most:
                    raise too_large
                if time.monotonic() - started > _DEADLINE:
                    raise _FailedError(f"not finished within {_DEADLINE} s")
                yield chunk, total
            if so_far.done < total:
                raise _FailedError(
                    f"ended after {so_far.done:,} of {total:,} bytes", for_the_moment=True
                )
    except requests.RequestException as error:
        # What requests says of a failed connection is a page of nested causes.
        passing = requests.ConnectionError | requests.Timeout
        cut = requests.exceptions.ChunkedEncodingError
        raise _FailedError(
            type(error).__name__, for_the_moment=isinstance(error, passing | cut)
        ) from None


def _version(answer: "requests.Response") -> str | None:
    """The strong name of the version of a file, by which a server goes on with no other."""
    tag = answer.headers.get("ETag", "")
    return tag if re.fullmatch(r'"[!#-~]{1,200}"', tag) else None


def _goes_on(answer: "requests.Response", so_far: _SoFar) -> bool:
    """Whether an answer begins where the last one ended."""
    begins = answer.headers.get("Content-Range", "").startswith(f"bytes {so_far.done}-")
    same = so_far.version is not None and _version(answer) == so_far.version
    return answer.status_code == 206 and begins and same


def _answer(session: "requests.Session", url: str, so_far: _SoFar) -> "requests.Response":
    """The answer of an address, or of the one that it points to."""
    before = None
    # What is counted is what comes.
    headers = {"Accept-Encoding": "identity"}
    if so_far.done and so_far.version:
        headers |= {"Range": f"bytes={so_far.done}-", "If-Range": so_far.version}
    else:
        so_far.forget()
    for _ in range(_MOST_REDIRECTS + 1):
        if not _is_allowed(url, before):
            where = "" if before is None else f"leads to {_shown(url)}, which is "
            raise _FailedError(f"{where}not an https address")
        answer = session.get(
            url,
            stream=True,
            timeout=_TIMEOUT,
            allow_redirects=False,
            headers=headers,
        )
        target = session.get_redirect_target(answer)
        if target is None:
            if answer.status_code == 416:
                so_far.forget()
            if answer.status_code not in (200, 206):
                answer.close()
                raise _FailedError(
                    f"HTTP status {answer.status_code}",
                    for_the_moment=answer.status_code in (408, 416, 429)
                    or answer.status_code >= 500,
                )
            return answer
        answer.close()
        before, url = url, urljoin(url, target)
    raise _FailedError(f"more than {_MOST_REDIRECTS} redirects")


def _is_allowed(url: str, before: str | None = None) -> bool:
    """Whether nobody on the way can answer for an address, to which another may have led."""
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        led_here = None if before is None else urlsplit(before).hostname
    except ValueError:
        return False
    if not _ADDRESS.fullmatch(url) or scheme not in ("https", "http"):
        return False
    local = host in _LOCAL and (before is None or led_here in _LOCAL)
    return scheme == "https" or local or os.environ.get("GANMF_ALLOW_HTTP") == "1"


def _shown(url: str) -> str:
    """An address in a message, without the name and password that it may hold."""
    return printable(re.sub(r"//[^/?#]*@", "//", url))
