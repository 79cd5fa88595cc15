"""``ganmf report``."""

import importlib
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from ganmf_fast.base.files import write_whole
from ganmf_fast.base.text import shown
from ganmf_fast.cli.common import Common, begin, print_json, say, show

_NO_COMMON = Common()


def report(
    run: Annotated[Path, Parameter(help="Folder that `ganmf reproduce` wrote.")],
    /,
    *,
    output: Annotated[
        Path | None, Parameter(help="The file to write; by default report.html in the folder.")
    ] = None,
    common: Common = _NO_COMMON,
) -> None:
    """One self-contained HTML file on a run: what it found, how, on what, and what is missing."""
    begin(common)
    try:
        html = importlib.import_module("ganmf_fast.report")
    except ImportError as error:
        raise ImportError(
            f'a report needs {error.name}: pip install "ganmf-fast[report]"'
        ) from None
    folder = html.open_run(run)
    for problem in folder.problems:
        say(f"{problem.where}: {problem.what}")
    path = run / "report.html" if output is None else output
    if not path.parent.is_dir():
        raise ValueError(
            f"output must lie in a folder that exists, and {shown(str(path.parent), 400)} does not"
        )
    page = html.render(folder)
    write_whole(path, page)
    if common.json:
        print_json(
            {
                "report": str(path),
                "bytes": len(page.encode()),
                "findings": [
                    {"title": found.title, "text": " ".join(found.sentences)}
                    for found in html.findings(folder)
                ],
                "missing": [
                    {"part": problem.where, "problem": problem.what} for problem in folder.problems
                ],
            }
        )
    else:
        show(str(path))
