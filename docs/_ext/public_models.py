"""The directive ``public-models``: every model of the registry, from its docstring."""

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ganmf_fast.models.registry import NAMES


class PublicModels(SphinxDirective):
    """A class for each model, in the order of the registry."""

    def run(self) -> list[nodes.Node]:
        """Called where the directive stands."""
        lines = [line for name in NAMES for line in (f".. autoclass:: ganmf_fast.{name}", "")]
        return self.parse_text_to_nodes("\n".join(StringList(lines, "public-models")))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the directive."""
    app.add_directive("public-models", PublicModels)
    return {"parallel_read_safe": True}
