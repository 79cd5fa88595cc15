"""Docstrings of numpydoc are prose with formulas: marks of reStructuredText are text in them."""

import re

from sphinx.application import Sphinx

# Code and roles are left as they are.
_CODE = re.compile(r"(``.+?``|:\w+(?::\w+)?:`[^`]+`|`[^`]+`)", re.DOTALL)
_MARKS = re.compile(r"[|*\\]|(?<=\w)_(?!\w)")


def escaped(text: str) -> str:
    """The text with every mark escaped that stands outside of code.

    What stands in single backticks becomes a link if it is a class or has its module in front;
    parameters and attributes are called alike in many places.
    """
    parts = _CODE.split(text)
    return "".join(
        _name(part) if at % 2 else _MARKS.sub(r"\\\g<0>", part) for at, part in enumerate(parts)
    )


def _name(code: str) -> str:
    if code.startswith((":", "``")) or "." in code or code[1:2].isupper():
        return code
    return f"`{code}`"


def process(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Called by autodoc before the sections of a docstring are read."""
    lines[:] = escaped("\n".join(lines)).split("\n")


def setup(app: Sphinx) -> dict[str, bool]:
    """Before napoleon, whose priority is the usual 500."""
    app.connect("autodoc-process-docstring", process, priority=100)
    return {"parallel_read_safe": True}
