"""The directive ``ganmf-help``: a section for each command, with what its ``--help`` prints."""

import io
from collections.abc import Iterator

from cyclopts import App
from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ganmf_fast.base.console import TextConsole
from ganmf_fast.cli.app import build

_WIDTH = 92
_SHARED = ("--help", "-h", "--version")


def commands(app: App, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Each command by its words, groups before what is in them, and its help."""
    out = io.StringIO()
    console = TextConsole(file=out, width=_WIDTH, color_system=None, force_terminal=False)
    build().help_print(list(path), console=console)
    yield path, "\n".join(line.rstrip() for line in out.getvalue().strip().splitlines())
    for name in app:
        if name not in _SHARED:
            yield from commands(app[name], (*path, name))


class GanmfHelp(SphinxDirective):
    """Sections of all commands."""

    def run(self) -> list[nodes.Node]:
        """Called where the directive stands."""
        found = []
        for path, text in commands(build()):
            words = " ".join(["ganmf", *path])
            section = nodes.section(ids=[nodes.make_id(words)], names=[words])
            section += nodes.title(text=words)
            block = nodes.literal_block(text, text)
            block["language"] = "text"
            section += block
            found.append(section)
        return found


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("ganmf-help", GanmfHelp)
    return {"parallel_read_safe": True}
