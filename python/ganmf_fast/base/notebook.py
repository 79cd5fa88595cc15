"""Tables that notebooks show: plain HTML, in which whatever comes from data is text."""

from collections.abc import Iterable, Sequence

from ganmf_fast.base.text import html


def html_table(
    title: str,
    header: Sequence[object],
    rows: Iterable[Sequence[object]],
    notes: Iterable[str] = (),
) -> str:
    """A table with a caption above it and notes below.

    Parameters
    ----------
    title : str
    header : sequence
        Names of columns; none for a table without a head.
    rows : iterable of sequences
        Numbers stand to the right, whole ones with commas, others with four digits.
    notes : iterable of str
        A line each.

    Returns
    -------
    str
        HTML without styles beyond alignment, so that it follows the scheme of the notebook.
    """
    cells = [list(row) for row in rows]
    # A name stands as what is below it.
    sides = [*map(_side, cells[0])] if cells else [_LEFT] * len(header)
    head = "".join(
        f"<th{side}>{html(name)}</th>" for name, side in zip(header, sides, strict=False)
    )
    body = "".join(f"<tr>{''.join(map(_cell, row))}</tr>" for row in cells)
    below = "".join(f"<div>{html(note)}</div>" for note in notes)
    return (
        f"<div><div><strong>{html(title)}</strong></div><table>"
        + (f"<thead><tr>{head}</tr></thead>" if head else "")
        + f"<tbody>{body}</tbody></table>{below}</div>"
    )


def html_lines(text: str) -> str:
    """Text of several lines, as it is printed."""
    return f"<pre>{'<br>'.join(map(html, text.splitlines()))}</pre>"


_LEFT, _RIGHT = ' style="text-align:left"', ' style="text-align:right"'


def _side(value: object) -> str:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return _RIGHT if is_number else _LEFT


def _cell(value: object) -> str:
    if _side(value) == _LEFT:
        return f"<td{_LEFT}>{html(value)}</td>"
    shown = f"{value:,}" if isinstance(value, int) else f"{value:.4f}"
    return f"<td{_RIGHT}>{shown}</td>"
