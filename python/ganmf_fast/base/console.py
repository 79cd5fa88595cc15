"""Consoles that print text: nothing in it is markup, the name of a picture, or a terminal code.

All output to terminals goes through here; rich's own console is imported nowhere else.
"""

from typing import Any

from rich.console import Console
from rich.text import Text

from ganmf_fast.base.text import printable


class TextConsole(Console):
    """A console to which every string is text, in tables too.

    Parameters
    ----------
    stderr : bool, default False
    **options
        Of `rich.console.Console`.
    """

    def __init__(self, *, stderr: bool = False, **options: Any) -> None:
        super().__init__(stderr=stderr, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Called by rich for every string that it prints."""
        lines = (printable(line, None) for line in text.split("\n"))
        return super().render_str("\n".join(lines), **options)
