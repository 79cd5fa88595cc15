"""One self-contained HTML page on a run, made from its folder alone."""

from ganmf_fast.report.html.findings import findings
from ganmf_fast.report.html.page import render
from ganmf_fast.report.html.reading import open_run

__all__ = ["findings", "open_run", "render"]
