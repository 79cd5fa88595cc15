"""Text that comes from data, escaped for where it goes: one function for each destination.

Ids, names, paths and messages may have been written by anyone. The HTML of pages is escaped by
their template (report/page.py), JSON by its encoder.
"""

import html as _html
import re
from collections.abc import Iterable

# Sixty-four bits have twenty digits at most.
_WHOLE = re.compile(r"0|-?[1-9][0-9]{0,19}")
_NUMBER = re.compile(r"-?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?")
_MOST = 500
_ELLIPSIS = "\N{HORIZONTAL ELLIPSIS}"


def is_whole(text: str) -> bool:
    """Whether text is a whole number in the form that `int` gives back as text."""
    return _WHOLE.fullmatch(text) is not None


def is_number(text: str) -> bool:
    """Whether text is a decimal number, which `float` understands."""
    return _NUMBER.fullmatch(text) is not None


def printable(text: str, most: int | None = _MOST) -> str:
    r"""Text for people: terminals, messages, logs, charts, pages.

    Parameters
    ----------
    text : str
    most : int or None, default 500
        Characters after which the result is cut off; None for all of it.

    Returns
    -------
    str
        On one line. Control characters, line ends, surrogates, and what is invisible or reverses
        the direction of writing are shown as in a Python literal, such as ``\x1b``.
    """
    shown = text if most is None else text[: most + 1]
    if not shown.isprintable():
        shown = "".join(map(_shown, shown))
    return shown if most is None or len(shown) <= most else shown[: most - 1] + _ELLIPSIS


def _shown(character: str) -> str:
    plain = character.isprintable() or character == "\N{NO-BREAK SPACE}"
    return character if plain else repr(character)[1:-1]


def one_line(text: object, most: int = 2000) -> str:
    """A message in one line: line ends become blanks, the rest is `printable`."""
    return printable(" ".join(str(text).split()), most)


def shown(value: object, most: int = 80) -> str:
    """`value` in a message as Python writes it, on one line, and cut where it is long."""
    try:
        text = repr(value)
    except ValueError:
        # Python writes out no whole number of thousands of digits.
        text = f"a {type(value).__name__} that cannot be shown"
    return " ".join(text[: 10 * most].split())[:most]


def few(names: Iterable[object], most: int = 20, longest: int = 80) -> str:
    """Names in a message, the first of many, each cut where it is long, in some 500 characters."""
    names = list(names)
    parts: list[str] = []
    length = 0
    for name in names[:most]:
        part = printable(str(name), longest)
        length += len(part)
        if parts and length > _MOST:
            break
        parts.append(part)
    text, more = ", ".join(parts), len(names) - len(parts)
    return f"{text} and {more:,} more" if more else text


def csv_cell(value: object) -> object:
    """A cell of a table for spreadsheets: text that one would compute is put behind ``'``.

    Numbers are left alone. Text is `printable`, and begins with ``'`` if it began with ``=``,
    ``+``, ``-`` or ``@``, in either width.

    References
    ----------
    OWASP, "CSV Injection".
    """
    if not isinstance(value, str):
        return value
    text = printable(value)
    return f"'{text}" if text.lstrip()[:1] in _FORMULA else text


# Spreadsheets take the wide forms as well.
_FORMULA = (
    *"=+-@",
    "\N{FULLWIDTH EQUALS SIGN}",
    "\N{FULLWIDTH PLUS SIGN}",
    "\N{FULLWIDTH HYPHEN-MINUS}",
    "\N{FULLWIDTH COMMERCIAL AT}",
)


class Markdown(str):
    """Text that is Markdown already."""

    __slots__ = ()


def markdown(text: str) -> Markdown:
    """Text in a line or a cell of Markdown: no HTML, link, column or emphasis of its own."""
    if isinstance(text, Markdown):
        return text
    escaped = _MARKDOWN.sub(r"\\\g<0>", printable(text, _MOST_PROSE))
    return Markdown(escaped.translate(_ENTITIES))


_MOST_PROSE = 5000
# An underscore within a word is one.
_MARKDOWN = re.compile(r"[\\`*\[\]~$#]|(?<![^\W_])_|_(?![^\W_])")
# As entities, since a backslash before them is not understood everywhere.
_ENTITIES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;"})


def html(value: object) -> str:
    """Text in HTML, as element or attribute: no markup of its own."""
    return _html.escape(printable(str(value)))


def latex(text: str) -> str:
    """Text in LaTeX: no command, comment, column or formula of its own."""
    return printable(text, _MOST_PROSE).translate(_LATEX)


_LATEX = str.maketrans(
    {
        **{character: f"\\{character}" for character in "&%$#_{}"},
        "\\": "\\textbackslash{}",
        "~": "\\textasciitilde{}",
        "^": "\\textasciicircum{}",
        "<": "\\textless{}",
        ">": "\\textgreater{}",
        "|": "\\textbar{}",
    }
)
