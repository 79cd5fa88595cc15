"""Docstrings of numpydoc are prose with formulas: marks of reStructuredText are text in them."""

import re

from docutils import nodes
from sphinx import addnodes
from sphinx.application import Sphinx

# Code, roles and emphasis are left as they are.
_CODE = re.compile(
    r"(``.+?``|:\w+(?::\w+)?:`[^`]+`|`[^`]+`|(?<![\w*])\*[A-Za-z][\w -]*\*(?![\w*]))", re.DOTALL
)
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
    if code.startswith((":", "``", "*")) or "." in code or code[1:2].isupper():
        return code
    return f"`{code}`"


def process(
    _app: Sphinx, _what: str, _name: str, _object: object, _options: object, lines: list[str]
) -> None:
    """Called by autodoc before the sections of a docstring are read."""
    lines[:] = escaped("\n".join(lines)).split("\n")


def unlinked(_app: Sphinx, doctree: nodes.document) -> None:
    """Words of a type, such as those of a shape, are none of the attributes called alike."""
    for link in list(doctree.findall(addnodes.pending_xref)):
        target = link.get("reftarget", "")
        if link.get("refdomain") == "py" and "." not in target and not target[:1].isupper():
            link.replace_self(link.children)


def setup(app: Sphinx) -> dict[str, bool]:
    """Before napoleon, whose priority is the usual 500."""
    app.connect("autodoc-process-docstring", process, priority=100)
    app.connect("doctree-read", unlinked)
    return {"parallel_read_safe": True}
