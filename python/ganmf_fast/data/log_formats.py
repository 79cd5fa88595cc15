"""Data sets in a text format of their own: Last.fm 360K, libraries on Steam, clicks of MIND.

The text is read in blocks of whole lines. Every line must have the one form that it has in the
data set, written here as a regular expression whose alternatives exclude each other, so that the
time to tell is proportional to its length; nothing in a file is evaluated. Ids become numbers by
first appearance, as in `readers`.
"""

import re
from array import array
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.base.progress import reporter
from ganmf_fast.base.text import shown
from ganmf_fast.data.columns import parsed_ids
from ganmf_fast.data.ids import CodedIds
from ganmf_fast.data.readers import Log
from ganmf_fast.data.reading import Reading
from ganmf_fast.data.sources import DataFile

_LONGEST: Final = 1 << 21
"""Bytes of a line; the longest of these data sets has 813,000."""
_MOST: Final = 1 << 25
"""Interactions of a file."""
_ODD: Final = 1000
"""One line in as many may be broken in the file of plays."""
_OTHER: Final = "use Interactions.from_csv for other data"

_PLAY: Final = re.compile(
    rb"^([0-9a-f]{40})\t(?! *\t *\t) *+([^\t\r\n]*)\t *+([^\t\r\n]*)\t[0-9]+\r?$", re.MULTILINE
)
"""A user, and an artist by id, by name or by both; blanks before them do not count."""

_SINGLE: Final = rb"'[^'\\\r\n]*+(?:\\.[^'\\\r\n]*+)*'"
_TEXT: Final = rb"u?(?:%b|%b)" % (_SINGLE, _SINGLE.replace(b"'", b'"'))
_VALUE: Final = rb"(?:%b|-?[0-9]{1,18}+(?:\.[0-9]{1,18}+)?|True|False|None)" % _TEXT
_PAIR: Final = rb"%b: ?%b" % (_TEXT, _VALUE)
_BEFORE: Final = rb"\{(?:(?!u?'item_id')%b, ?)*u?'item_id': ?u?'" % _PAIR
_AFTER: Final = rb"'(?:, ?%b)*\}" % _PAIR
_GAME: Final = _BEFORE + rb"[0-9]{1,18}+" + _AFTER
_GAME_ID: Final = re.compile(_BEFORE + rb"([0-9]{1,18}+)" + _AFTER)
_LIBRARY: Final = re.compile(
    rb"\{(?:(?:"
    rb"u?'steam_id': ?u?'(?P<user>[0-9]{1,18})'"
    rb"|u?'items': ?\[(?P<games>(?:%b(?:, ?%b)*)?)\]"
    rb"|(?!u?'(?:steam_id|items)')%b"
    rb")(?:, ?|(?=\})))*\}\r?" % (_GAME, _GAME, _PAIR)
)

_IMPRESSION: Final = re.compile(
    rb"[0-9]+\t(?P<user>U[0-9]+)"
    rb"\t(?P<time>[0-9]{1,2}/[0-9]{1,2}/[0-9]{4} [0-9]{1,2}:[0-9]{2}:[0-9]{2} [AP]M)"
    rb"\t(?:N[0-9]++(?: N[0-9]++)*)? ?"
    rb"\t(?P<shown>N[0-9]++-[01](?: N[0-9]++-[01])*) ?\r?"
)
_CLICK: Final = re.compile(rb"(N[0-9]++)-1")


def read_plays(source: DataFile) -> Log:
    """Users and artists of Last.fm 360K.

    A line has the SHA-1 of a user, the MusicBrainz id of an artist, which may be empty, the name of
    the artist, and the number of plays, between tabs. The name is the item, as on Last.fm, where
    two artists of one name are one; where it is blank, the MusicBrainz id is. Plays are not read.

    Parameters
    ----------
    source : DataFile
        UTF-8.

    Returns
    -------
    Log
        Ids are text; one row for each line, but for those that are not of this form, such as some
        with a date for a user: ``reading.left_out["broken"]`` is their number.

    Raises
    ------
    DataError
        If more than one line in a thousand is broken, or the file cannot be read; the message
        names the first broken line.
    """
    users, artists = _Ids("user", source), _Ids("artist", source)
    lines = broken = first_broken = 0
    for block in _blocks(source):
        plays = _PLAY.findall(block)
        length = block.count(b"\n")
        if len(plays) < length and not broken:
            every = enumerate(block.split(b"\n"), lines + 1)
            first_broken = next(at for at, line in every if not _PLAY.fullmatch(line))
        broken += length - len(plays)
        lines += length
        users.extend([user for user, _, _ in plays])
        artists.extend([name or mbid for _, mbid, name in plays])
    if broken * _ODD > lines:
        raise DataError(
            f"{source.label}, line {first_broken}: not a user, an artist and a number of plays: "
            f"{_OTHER}"
        )
    columns = {"user": "0", "item": "2"}
    reading = _reading(source, users, columns, ("1", "3"), lines, {"broken": broken})
    return _log(source, users, artists, reading)


def read_libraries(source: DataFile) -> Log:
    """Users of Steam and the games that they own.

    A line is a dictionary as Python writes it, with the ``'steam_id'`` of a user and ``'items'``, a
    list of dictionaries with an ``'item_id'`` each; all other values are text, numbers or None. Ids
    are quoted whole numbers. Names, addresses and hours of play are not read.

    Parameters
    ----------
    source : DataFile
        UTF-8.

    Returns
    -------
    Log
        Ids are integers; one row for each game in a list, several where a line stands twice.

    Raises
    ------
    DataError
        If a line is anything else, or has more than 2 MiB; the message names the line.
    """
    users, games = _Ids("user", source), _Ids("game", source)
    lines = blank = 0
    for line in _lines(source):
        lines += 1
        if not line.strip():
            blank += 1
            continue
        library = _LIBRARY.fullmatch(line)
        if library is None or library["user"] is None or library["games"] is None:
            raise DataError(
                f"{source.label}, line {lines}: not a library with a steam_id and items: {_OTHER}"
            )
        owned = _GAME_ID.findall(library["games"])
        users.extend([library["user"]] * len(owned))
        games.extend(owned)
    columns = {"user": "steam_id", "item": "item_id"}
    reading = _reading(source, users, columns, (), lines, {"blank": blank})
    reading = replace(reading, format="literals of Python", separator=None)
    return _log(source, users, games, reading)


def read_clicks(source: DataFile) -> Log:
    """Users and the news that they clicked on, of MIND.

    A line has the number of an impression, a user, a time such as ``11/15/2019 10:22:32 AM``, the
    news that the user had clicked on before, and the news that were shown, each with ``-1`` if it
    was clicked on and ``-0`` if not, between tabs. A click has the time of its impression. The news
    clicked on before have no time, stand again in every line of a user, and are of other weeks:
    they are checked but not read, since with them nothing could be split by time.

    Parameters
    ----------
    source : DataFile
        UTF-8.

    Returns
    -------
    Log
        Ids are text such as ``"U13740"`` and ``"N55689"``, times datetime64[us], as they are
        written, in a zone that is not stated; one row for each click.

    Raises
    ------
    DataError
        If a line is anything else, or has more than 2 MiB; the message names the line.
    """
    users, news = _Ids("user", source), _Ids("item", source)
    seconds = array("q")
    lines = blank = 0
    for line in _lines(source):
        lines += 1
        if not line.strip():
            blank += 1
            continue
        impression = _IMPRESSION.fullmatch(line)
        time = None if impression is None else _seconds(impression["time"].decode())
        if impression is None or time is None:
            raise DataError(
                f"{source.label}, line {lines}: not an impression with a user, a time, news "
                f"clicked on before, and news shown: {_OTHER}"
            )
        clicked = _CLICK.findall(impression["shown"])
        users.extend([impression["user"]] * len(clicked))
        news.extend(clicked)
        seconds.extend([time] * len(clicked))
    columns = {"user": "1", "item": "4", "timestamp": "2"}
    reading = _reading(source, users, columns, ("0", "3"), lines, {"blank": blank})
    moments = np.array(seconds, dtype="datetime64[s]").astype("datetime64[us]")
    return _log(source, users, news, reading, moments)


def _seconds(text: str) -> int | None:
    """Seconds since 1970 of a time of twelve hours; None if there is no such time."""
    date, clock, half = text.split(" ")
    month, day, year = map(int, date.split("/"))
    hour, minute, second = map(int, clock.split(":"))
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if half == "PM" else 0)
    try:
        moment = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp())


class _Ids:
    """A column of ids: numbers by first appearance."""

    def __init__(self, role: str, source: DataFile) -> None:
        self._role = role
        self._source = source
        self._numbers: dict[bytes, int] = {}
        self.codes = array("i")

    def extend(self, ids: list[bytes]) -> None:
        """Append ids.

        Raises
        ------
        TooLargeError
            If there are more than any such file has.
        """
        numbers = self._numbers
        self.codes.extend([numbers.setdefault(text, len(numbers)) for text in ids])
        if len(self.codes) > _MOST:
            raise TooLargeError(f"{self._source.label} holds more than {_MOST:,} interactions")

    def coded(self) -> CodedIds:
        """The column.

        Raises
        ------
        DataError
            If an id is not UTF-8.
        """
        try:
            names = [text.decode() for text in self._numbers]
        except UnicodeDecodeError as error:
            what = f"{self._role} {shown(error.object)}"
            raise DataError(f"{self._source.label}: {what} is not UTF-8") from None
        distinct = parsed_ids(pl.Series(self._role, names, dtype=pl.String), "id {}".format)
        return CodedIds(np.frombuffer(self.codes, dtype=np.int32), distinct)


def _reading(
    source: DataFile,
    users: _Ids,
    columns: dict[str, str],
    unread: tuple[str, ...],
    lines: int,
    left_out: dict[str, int],
) -> Reading:
    """How a file between tabs was read; what was left out, if anything."""
    return Reading(
        format="text",
        columns=columns,
        unread=unread,
        lines=lines,
        records=len(users.codes),
        left_out={reason: n for reason, n in left_out.items() if n},
        header=False,
        compression=source.compression,
        encoding="utf-8",
        separator="\t",
    )


def _log(
    source: DataFile,
    users: _Ids,
    items: _Ids,
    reading: Reading,
    moments: NDArray[np.datetime64] | None = None,
) -> Log:
    if not users.codes:
        raise DataError(f"{source.label} holds no interactions")
    return Log(users.coded(), items.coded(), None, moments, lambda _: source.label, reading)


def _blocks(source: DataFile) -> Iterator[bytes]:
    """The text in blocks of whole lines, each with its end, also the last one."""
    rest, read, lines, total = b"", 0, 0, source.size or 0
    with reporter(f"{source.label}: reading") as report:
        for chunk in source.chunks("utf-8"):
            block, end, rest = (rest + chunk).rpartition(b"\n")
            if len(rest) > _LONGEST:
                line = lines + block.count(b"\n") + len(end) + 1
                raise TooLargeError(
                    f"{source.label}, line {line}: longer than {_LONGEST >> 20} MiB: {_OTHER}"
                )
            if end:
                lines += block.count(b"\n") + 1
                yield block + end
            read += len(chunk)
            report(read, total, "reading")
    if rest:
        yield rest + b"\n"


def _lines(source: DataFile) -> Iterator[bytes]:
    """The lines, without their ends."""
    lines = 0
    for block in _blocks(source):
        for line in block[:-1].split(b"\n"):
            lines += 1
            if len(line) > _LONGEST:
                raise TooLargeError(
                    f"{source.label}, line {lines}: longer than {_LONGEST >> 20} MiB: {_OTHER}"
                )
            yield line
