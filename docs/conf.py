"""Sphinx: how the pages of this folder become a site (`make docs`)."""

import re
import sys
from importlib.metadata import version as version_of
from pathlib import Path

from sphinx.application import Sphinx

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "_ext"))

project = "ganmf-fast"
author = "The ganmf-fast developers"
copyright = "the ganmf-fast developers, MIT or Apache-2.0"
release = version_of("ganmf-fast")

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
    "docstrings",
    "ganmf_help",
    "public_models",
]
root_doc = "index"
exclude_patterns = ["_ext"]
# Names in docstrings stand in single backticks; those of this site become links.
default_role = "py:obj"
# Pages of results are reached from that of the folder, and would fill the list of all pages.
suppress_warnings = ["toc.not_included"]

html_theme = "furo"
html_title = "ganmf-fast"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sphinx = False
html_copy_source = False
pygments_style = "tango"

autodoc_member_order = "bysource"
autodoc_typehints = "none"
autodoc_class_signature = "mixed"
napoleon_google_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True

myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 4
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE.parent / "target" / "notebooks")
nb_execution_timeout = 600
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_execution_show_tb = True

# Notebooks live beside the package, where people look for them, and are pages here.
_NOTEBOOKS = HERE / "examples"
_NOTEBOOKS.mkdir(exist_ok=True)
for _old in _NOTEBOOKS.glob("*.ipynb"):
    if not (HERE.parent / "examples" / _old.name).is_file():
        _old.unlink()
for _notebook in (HERE.parent / "examples").glob("*.ipynb"):
    _copy = _NOTEBOOKS / _notebook.name
    _text = _notebook.read_text(encoding="utf-8").replace("](../docs/", "](../")
    if not _copy.is_file() or _copy.read_text(encoding="utf-8") != _text:
        _copy.write_text(_text, encoding="utf-8")


def _linked(_app: Sphinx, _page: str, source: list[str]) -> None:
    """Links to notebooks lead to their pages."""
    source[0] = re.sub(r"\]\((?:\.\./)+(examples/[\w-]+\.ipynb)\)", r"](/\1)", source[0])


def setup(app: Sphinx) -> None:
    """Called by Sphinx."""
    app.connect("source-read", _linked)
