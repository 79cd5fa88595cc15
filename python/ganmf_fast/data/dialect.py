"""How delimited text is cut: separator, quotes and header, from the first lines or as given.

Each is certain or refused in a sentence that names the argument that settles it: a wrong guess
would drop an interaction, or read the header as one, without a word.
"""

import csv
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import islice, pairwise

from ganmf_fast.base.checks import check_bool
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import shown
from ganmf_fast.data.roles import Role, Roles, known_role
from ganmf_fast.data.sources import DataFile

_SEPARATORS = ("::", "\t", ";", ",", "|")
# Where quotes enclose fields, as in RFC 4180; elsewhere they are characters like others.
_QUOTED = frozenset({",", ";"})
_QUOTE = '"'
_SAMPLE_BYTES = 1 << 20
_SAMPLE_LINES = 2000
_NAMES = {"::": "'::'", "\t": "tab", ";": "';'", ",": "','", "|": "'|'"}
_DIGITS = re.compile(r"\d+")
_BETWEEN_DIGITS = re.compile(r"(?<=\d),(?=\d)")
_RULE = re.compile(r"\s*:?[-+=]{2,}:?\s*")
# Seconds or milliseconds since 1970, from 2001 to 2034.
_EPOCH = re.compile(r"(1\d{9}|20[0-4]\d{7})(\d{3})?(\.\d+)?")
_DATE = re.compile(r"\d{4}-\d\d-\d\d([T ].*)?")


@dataclass(frozen=True)
class Dialect:
    """How text is cut into fields.

    Attributes
    ----------
    separator : str
    quote : str or None
        The quote character of RFC 4180; None where quotes are characters like others.
    certain : bool
        Whether the caller said so; else a field that would be another one is refused.
    header : bool
    names : tuple of str or None
        Names of the columns, where there is a header.
    width : int
        Fields of a record.
    """

    separator: str
    quote: str | None
    certain: bool
    header: bool
    names: tuple[str, ...] | None
    width: int

    @property
    def quoting(self) -> str:
        """How the reader treats quotes: "on" or "off", with "auto-" where that is not certain."""
        quoting = "off" if self.quote is None else "on"
        return quoting if self.certain else f"auto-{quoting}"


def find_dialect(
    source: DataFile,
    roles: Roles,
    encoding: str,
    separator: str | None,
    header: bool | None,
    quote: str | None,
) -> Dialect:
    """The dialect of a text.

    Parameters
    ----------
    source : DataFile
    roles : Roles
        Columns that the caller gave; one given by name means that there is a header.
    encoding : str
    separator : str, optional
        Found by equal numbers of fields over many lines, if not given.
    header : bool, optional
        Found by well-known names, or by numbers that stand in every line, if not given.
    quote : str, optional
        "auto" (quotes enclose fields between commas and semicolons), "off" or None, or the quote
        character.

    Raises
    ------
    DataError
        If the text is empty, or separator or header cannot be told.
    TypeError, ValueError
        If `separator`, `header` or `quote` is unusable.
    """
    _check(separator, quote)
    quote = None if quote in {"off", ""} else quote
    if header is not None:
        check_bool("header", header)
    lines = _sample(source, encoding)
    if not lines:
        raise DataError(f"{source.label} is empty")
    if separator is not None:
        _refuse_absent(separator, lines, source.label)
    else:
        separator = _separator(lines, quote, source.label)
    found = quote
    if quote == "auto":
        found = _QUOTE if separator in _QUOTED else None
    records = _records(lines, separator, found)
    _refuse_layout(records, source.label)
    first = records[0] if records else lines[0].split(separator)
    names = tuple(field.strip() for field in first)
    if header is None:
        header = _has_header(names, records[1:], roles, source.label)
    if not header:
        _refuse_times(records, roles, source.label)
    return Dialect(separator, found, quote != "auto", header, names if header else None, len(names))


def _check(separator: str | None, quote: str | None) -> None:
    if separator is not None and (
        not isinstance(separator, str) or not separator or any(c in separator for c in '"\r\n')
    ):
        raise ValueError(
            f"separator must be one or more characters to split at, not {shown(separator)}"
        )
    plain = isinstance(quote, str) and len(quote) == 1 and quote.isascii() and quote not in "\r\n"
    if not (quote is None or quote in ("auto", "off", "") or plain):
        raise ValueError(f'quote must be "auto", "off" or one character, not {shown(quote)}')


def _sample(source: DataFile, encoding: str) -> list[str]:
    """The first lines that are not blank."""
    head, whole = b"", True
    for chunk in source.chunks(encoding):
        head += chunk
        if len(head) >= _SAMPLE_BYTES:
            whole = False
            break
    text = head[:_SAMPLE_BYTES].decode("utf-8", errors="replace")
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise DataError(
            f"{source.label}, line {line}: a NUL byte, as in files that are no text, or where a "
            "crash left zeros in place of text: remove such bytes, or give a whole copy"
        )
    lines = text.split("\n")
    if "\r" in lines[0].removesuffix("\r") and not any(lines[1:]):
        raise DataError(
            f"{source.label}: its lines end in carriage returns alone, as of old Macintoshes: "
            "give it with line feeds"
        )
    if not whole:
        lines.pop()
        if not lines:
            raise DataError(f"{source.label}, line 1: longer than {_SAMPLE_BYTES >> 20} MiB")
    lines = [line.removesuffix("\r") for line in lines if line.strip()]
    return lines[:_SAMPLE_LINES]


def _refuse_absent(separator: str, lines: Sequence[str], label: str) -> None:
    """Refuse a separator that stands nowhere, so that each line would be one field."""
    if any(separator in line for line in lines):
        return
    there = next((other for other in _SEPARATORS if other in lines[0]), None)
    raise DataError(
        f"{label}: separator {shown(separator)} stands in none of its first {len(lines):,} lines, "
        f"such as {shown(lines[0][:80])}: say "
        + ("what stands between their fields" if there is None else f"separator={shown(there)}")
    )


def _records(lines: Sequence[str], separator: str, quote: str | None) -> list[list[str]]:
    """Fields of the sample, up to a quote that is not as RFC 4180 has it."""
    if quote is None or len(separator) > 1 or not any(quote in line for line in lines):
        return [line.split(separator) for line in lines]
    reader = csv.reader(
        (f"{line}\n" for line in lines), delimiter=separator, quotechar=quote, strict=True
    )
    records: list[list[str]] = []
    limit = csv.field_size_limit(_SAMPLE_BYTES)
    try:
        records.extend(islice(reader, _SAMPLE_LINES))
    except csv.Error:
        # The reader names the line, unless the sample was cut in the middle of a record.
        return records
    finally:
        csv.field_size_limit(limit)
    return records


def _separator(lines: Sequence[str], quote: str | None, label: str) -> str:
    """The only separator that cuts every line into as many fields; else the one that nearly does.

    A line that differs is then refused by the reader, with its number.
    """
    counts: dict[str, Counter[int]] = {}
    for separator in _SEPARATORS:
        mark = _QUOTE if quote == "auto" and separator in _QUOTED else None
        mark = quote if quote not in {"auto", None} else mark
        records = _records(lines, separator, mark)
        widths = Counter(len(record) for record in records)
        if widths and len(records[0]) > 1:
            counts[separator] = widths
    equal = [separator for separator, widths in counts.items() if len(widths) == 1]
    if equal and quote == "auto":
        # Written with quotes that are off for these: what lies between quotes may look like fields.
        others = [s for s in _SEPARATORS if s not in _QUOTED and s not in equal and len(s) == 1]
        equal += [separator for separator in others if _is_equal_with_quotes(lines, separator)]
    if len(equal) == 1:
        if equal[0] == ",":
            _refuse_blanks(lines, label)
        return equal[0]
    if equal:
        named = " and ".join(_NAMES[separator] for separator in equal)
        raise DataError(
            f"{label}: {named} each cut every line into as many fields: say separator="
            f"{shown(equal[-1])}, for example"
        )
    nearly = [s for s, widths in counts.items() if widths.most_common(1)[0][1] > widths.total() / 2]
    if len(nearly) == 1:
        return nearly[0]
    if len(counts) == 1:
        return next(iter(counts))
    raise DataError(
        f"{label}, line 1: none of the separators '::', tab, ';', ',' and '|' cuts every line into "
        f"as many fields, such as {shown(lines[0][:80])}: say separator="
    )


def _refuse_blanks(lines: Sequence[str], label: str) -> None:
    """Refuse commas that may be those of decimal numbers, in text that blanks separate."""
    commas = max(line.count(",") for line in lines)
    widths = {len(line.split()) for line in lines}
    if len(widths) > 1 or widths.pop() < commas + 2:
        return
    if all(len(_BETWEEN_DIGITS.findall(line)) == line.count(",") for line in lines):
        raise DataError(
            f"{label}: blanks cut every line into more fields than ',', which may be a decimal "
            "comma: say separator=',' or separator=' ' (--separator)"
        )


def _is_equal_with_quotes(lines: Sequence[str], separator: str) -> bool:
    """Whether quotes as RFC 4180 has them make as many fields of every line, more than one."""
    reader = csv.reader((f"{line}\n" for line in lines), delimiter=separator, strict=True)
    limit = csv.field_size_limit(_SAMPLE_BYTES)
    try:
        widths = {len(record) for record in reader}
    except csv.Error:
        return False
    finally:
        csv.field_size_limit(limit)
    return len(widths) == 1 and widths != {1}


def _has_header(
    first: Sequence[str], rest: Sequence[Sequence[str]], roles: Roles, label: str
) -> bool:
    """Whether the first record names the columns; refused where that cannot be told.

    Well-known names are a header. A first record is data if it has numbers where all others have,
    unless they count the columns, as a frame without names does; or, where no column is of numbers,
    a text that differs from those below in its digits alone.
    """
    if roles.by_name:
        return True
    named: set[Role | None] = {known_role(name) for name in first}
    if {"user", "item"} <= named:
        return True
    columns = list(zip(*rest, strict=False))[: len(first)]
    numeric = [at for at, column in enumerate(columns) if all(map(_is_number, column))]
    counts_columns = list(first) == [str(at) for at in range(len(first))]
    if not (named - {None} or counts_columns):
        if numeric:
            if all(_is_number(first[at]) for at in numeric):
                return False
        elif any(_counted(first[at], column) for at, column in enumerate(columns)):
            return False
        if not rest and all(_is_number(field) for field in first):
            return False
    start = ", ".join(first)[:80]
    raise DataError(
        f"{label}, line 1: {shown(start)} may be a header or an interaction: say header=False "
        "(--no-header), or header=True (--header) and which columns are user= and item="
    )


def _counted(first: str, rest: Sequence[str]) -> bool:
    """Whether all fields are one text but for its digits, such as u1, u2, u30."""
    pattern = _DIGITS.sub("0", first)
    return any(map(str.isdigit, first)) and all(
        _DIGITS.sub("0", field) == pattern for field in rest
    )


def _refuse_layout(records: Sequence[Sequence[str]], label: str) -> None:
    """Refuse marks around records and between them, which would be read as parts of ids."""
    for number, record in enumerate(records[:3], 1):
        if all(_RULE.fullmatch(field) for field in record if field.strip()) and any(record):
            raise DataError(
                f"{label}: record {number} is a rule, {shown(' '.join(record))}, as tables for "
                "people have: give the file without rules and frames"
            )
    for opening, closing in ("()", "[]", "{}"):
        if records and all(
            opening in record[0] and closing not in record[0] and record[-1].endswith(closing)
            for record in records
        ):
            raise DataError(
                f"{label}, line 1: every line is in {opening}{closing}, which would be parts of "
                "ids: give the file without them"
            )


def _refuse_times(records: Sequence[Sequence[str]], roles: Roles, label: str) -> None:
    """Refuse times in the first two columns, which would be taken for users or items."""
    given = roles.given()
    for at, role in enumerate(("user", "item")):
        column = [record[at].strip() for record in records if at < len(record)]
        if role in given or not column or len(column) < len(records):
            continue
        dates = all(map(_DATE.fullmatch, column))
        if dates or (len(records[0]) > 2 and _are_epochs(column)):
            what = "dates" if dates else f"times since 1970, such as {column[0]}"
            raise DataError(
                f"{label}: column {at} holds {what}, not {role}s: say user= and item= (--user and "
                "--item)"
            )


def _are_epochs(column: Sequence[str]) -> bool:
    """Whether all may be times since 1970, and are as those of a log.

    These hardly ever repeat, or ascend with an event a minute; ids of ten digits, as some networks
    give to their users, repeat, and if they ascend, then in larger steps.
    """
    if not all(map(_EPOCH.fullmatch, column)):
        return False
    seconds = [int(time[:10]) for time in column]
    ascend = all(before <= after for before, after in pairwise(seconds))
    often = seconds[-1] - seconds[0] <= 60 * len(seconds)
    return len(set(column)) >= 0.9 * len(column) or (ascend and often)


def _is_number(field: str) -> bool:
    try:
        float(field)
    except ValueError:
        return False
    return True
