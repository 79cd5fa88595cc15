"""Escapes of text: what is written is one text at its destination, and nothing of its own."""

import csv
import html
import io
import sys

import pytest
from markdown_it import MarkdownIt
from rich.table import Table

from ganmf_fast.base import progress
from ganmf_fast.base.console import TextConsole
from ganmf_fast.base.errors import ConflictError, DataError
from ganmf_fast.base.text import Markdown, csv_cell, few, latex, markdown, one_line, printable

# Every kind of text that is more than text somewhere.
TEXTS = [
    # rich
    "[/x]", "[red]a[/red]", "[link=https://example.com]a[/link]", ":warning:", "[[bold]]",
    # terminals
    "\x1b[31mred", "\x1b]0;title\x07", "\x1b]8;;https://example.com\x1b\\a", "\x9b31m",
    "\x9d0;t\x9c", "a\rb", "a\nb", "a\r\nb", "a\u2028b", "a\x0bb", "a\x00b", "\x08\x7f",
    "\u202egnp.exe", "\u2066a", "\u200fa", "\ufeffa", "a\u200bb", "\U000e0041", "\udcff",
    # spreadsheets
    "=1+1", "+1", "-1", "@a", "\t=1", "\r=1", " =1", "\N{FULLWIDTH EQUALS SIGN}1", "'=1",
    # Markdown and HTML
    "a|b", "a\\|b", "**a**", "_a_", "`a`", "[a](javascript:b)", "![a](b)", "<b>", "&lt;", "~~a~~",
    "# a", "<script>a</script>", "a</script><script>b", '"><img src=x>', "\\", "\\\\|",
    # LaTeX
    "a & b % c $ d # e _ f { g } h ~ i ^ j \\ k < l > m | n", "\\input{/etc/passwd}", "a\\",
    # and what is nothing but text
    "num_factors=4, similarity='cosine'", "Müller 東京 GANMF-u", "",
]  # fmt: skip


def test_every_character_is_shown_or_escaped_as_python_does() -> None:
    for start in range(0, sys.maxunicode + 1, 0x10000):
        characters = "".join(map(chr, range(start, start + 0x10000)))
        shown = printable(characters, None)
        assert shown.replace("\N{NO-BREAK SPACE}", "").isprintable()
        assert shown.replace("\N{NO-BREAK SPACE}", "\\xa0").replace("\\\\", "\\") == "".join(
            c if c.isprintable() else repr(c)[1:-1] for c in characters
        ).replace("\\\\", "\\")


def test_long_text_is_cut() -> None:
    assert len(printable("x" * 10**6)) == 500
    assert len(one_line("x " * 10**6)) == 2000
    assert len(printable("\x1b" * 10**6, 80)) == 80
    assert printable("\x1b" * 10**5, None) == "\\x1b" * 10**5
    assert printable("abc", 3) == "abc"
    assert few(["a", "b"]) == "a, b"
    assert few(["x" * 10**6] * 1000, 3).endswith(" and 997 more")
    assert len(few(["\0" * 60] * 1000)) < 800  # a character that is shown as four


@pytest.mark.parametrize("text", TEXTS)
def test_a_console_prints_text_and_no_codes(text: str) -> None:
    out = io.StringIO()
    console = TextConsole(file=out, width=200, force_terminal=True, color_system=None)
    table = Table(title=text, caption=text, box=None)
    table.add_column(text)
    table.add_row(text)
    console.print(table)
    console.print(text)
    lines = [line.strip() for line in out.getvalue().split("\n")]
    assert all(line.isprintable() for line in lines)
    for line in text.split("\n"):
        assert lines.count(printable(line).strip()) >= 3


@pytest.mark.parametrize("text", TEXTS)
def test_a_progress_bar_shows_text_and_no_codes(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress, "_DELAY", -1.0)
    out = io.StringIO()
    console = TextConsole(file=out, width=200, force_terminal=True, color_system=None)
    monkeypatch.setattr(progress, "TextConsole", lambda **_: console)
    with progress.reporter(text) as report:
        report(1, 2, text)
    assert printable(text).strip() in out.getvalue()
    # Rich moves the cursor with codes of its own.
    for code in ("\x1b]", "\x1b[31m", "\x9b", "\x9d", "\x07", "\x00", "\u202e", "\u2066", "\u200f"):
        assert code not in out.getvalue()


@pytest.mark.parametrize("text", TEXTS)
def test_a_cell_of_a_csv_file_is_text_to_a_spreadsheet(text: str) -> None:
    out = io.StringIO()
    csv.writer(out).writerow([csv_cell(text), "next"])
    [[cell, following]] = list(csv.reader(io.StringIO(out.getvalue(), newline="")))
    assert following == "next"
    assert cell.removeprefix("'") == printable(text).removeprefix("'")
    assert cell.lstrip()[:1] not in {*"=+-@\t\r\n", "\N{FULLWIDTH EQUALS SIGN}"} or not cell


def test_numbers_in_a_csv_file_stay_numbers() -> None:
    assert [csv_cell(value) for value in (-1, -0.5, None, True)] == [-1, -0.5, None, True]


@pytest.mark.parametrize("text", TEXTS)
def test_markdown_shows_the_text_and_nothing_else(text: str) -> None:
    renderer = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    cell = markdown(text)
    assert "<" not in cell
    page = renderer.render(f"| a | b |\n| --- | --- |\n| {cell} | c |\n\nx{cell}x\n")
    shown = html.unescape(html.escape(printable(text)))
    body = page.partition("<tbody>")[2]
    cells = [part.partition("</td>")[0] for part in body.split("<td>")[1:]]
    assert [html.unescape(found) for found in cells] == [shown.strip(), "c"]
    assert not any("<" in found for found in cells)
    assert html.unescape(page.rpartition("<p>")[2].partition("</p>")[0]) == f"x{shown}x"
    assert markdown(cell) is cell


def test_what_is_markdown_already_is_left_alone() -> None:
    assert markdown(Markdown("**a**")) == "**a**"


@pytest.mark.parametrize("text", TEXTS)
def test_latex_shows_the_text_and_nothing_else(text: str) -> None:
    names = {
        "textbackslash": "\\", "textasciitilde": "~", "textasciicircum": "^", "textless": "<",
        "textgreater": ">", "textbar": "|",
    }  # fmt: skip
    left, shown = latex(text), ""
    while left:
        if left[0] != "\\":
            assert left[0] not in "&%$#_{}~^<>|"
            shown, left = shown + left[0], left[1:]
        elif left[1] in "&%$#_{}":
            shown, left = shown + left[1], left[2:]
        else:
            name, brace, left = left[1:].partition("{}")
            assert brace
            shown += names[name]
    assert shown == printable(text)


@pytest.mark.parametrize("kind", [DataError, ConflictError])
def test_messages_of_data_are_printable_and_bounded(kind: type[ValueError]) -> None:
    for text in TEXTS:
        assert str(kind(f"the id {text} is unknown")).isprintable()
    assert len(str(kind("x" * 10**7))) == 2000
