"""One self-contained HTML page on a run, made from its folder alone."""

from ganmf_fast.report.findings import findings
from ganmf_fast.report.page import render
from ganmf_fast.report.run_folder import open_run

__all__ = ["findings", "open_run", "render"]
