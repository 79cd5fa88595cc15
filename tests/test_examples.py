"""The notebooks of examples/ run from top to bottom, show figures, and are kept without output."""

import ast
import json
import time
from pathlib import Path

import pytest

pytest.importorskip("vl_convert", reason="notebooks draw, which needs vl-convert")

NOTEBOOKS = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.ipynb"))
NEEDS = {"gan-training": "torch", "tuning": "skopt"}
# Processor seconds: notebooks are for people who wait.
MOST = 60


def cells(notebook: Path) -> list[str]:
    """Code of a notebook, cell by cell."""
    content = json.loads(notebook.read_text(encoding="utf-8"))
    assert content["nbformat"] == 4
    code = [cell for cell in content["cells"] if cell["cell_type"] == "code"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code)
    return ["".join(cell["source"]) for cell in code]


def displayed(code: str, names: dict) -> object:
    """Run a cell as a notebook does: the value of its last line is shown."""
    tree = ast.parse(code)
    last = tree.body.pop() if isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<cell>", "exec"), names)
    return (
        None if last is None else eval(compile(ast.Expression(last.value), "<cell>", "eval"), names)
    )


def test_there_are_notebooks():
    assert len(NOTEBOOKS) == 5


@pytest.mark.slow
@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_notebook_runs_from_top_to_bottom(notebook, tmp_path, monkeypatch):
    if notebook.stem in NEEDS:
        pytest.importorskip(NEEDS[notebook.stem])
    monkeypatch.chdir(tmp_path)
    started = time.process_time()
    names: dict = {"__name__": "__main__"}
    figures = 0
    for code in cells(notebook):
        shown = displayed(code, names)
        if hasattr(shown, "_repr_mimebundle_"):
            assert "<svg" in shown._repr_mimebundle_()["image/svg+xml"]
            figures += 1
        elif hasattr(shown, "_repr_html_"):
            assert shown._repr_html_()
    assert figures >= 1
    assert time.process_time() - started < MOST
