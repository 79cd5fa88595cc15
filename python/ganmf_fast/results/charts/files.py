"""Figures as files: PNG, SVG and PDF, written by vl-convert.

The specifications are those of the report page. What a page does by pointing and choosing stands
side by side in a file: a panel for each metric, values beside their marks.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import vl_convert

from ganmf_fast.base.files import make_folder, write_whole
from ganmf_fast.base.text import printable
from ganmf_fast.results.charts import comparison, heatmap, search
from ganmf_fast.results.charts.base import CHOSEN, CONFIG, Spec, light
from ganmf_fast.results.result_table import ResultTable, heading
from ganmf_fast.results.search import SearchRecord

FORMATS = ("png", "svg", "pdf")

_RESOURCES = re.compile(rb"(?m)(?:^ +/[a-z]+[0-9]+ [0-9]+ 0 R\n)+")
# One font: the order of several in a PDF differs from call to call.
_PLAIN = {"fontWeight": "normal"}
_CONFIG = {
    **CONFIG,
    "font": "sans-serif",
    "title": {"anchor": "start", "fontSize": 13, **_PLAIN},
    "legend": {**CONFIG["legend"], "titleFontWeight": "normal"},
}


def table_figure(table: ResultTable) -> Spec | None:
    """The figure of a result table, or None if it has none, or no model is finished."""
    if table.chart == "none" or not any(entry.runs for entry in table.entries):
        return None
    if table.chart == "heatmaps":
        return figure(table.heading, [panel(p, title) for title, p in _squares(table)], 3)
    if table.chart == "bars":
        first = replace(table, columns=table.columns[:1])
        title = f"{heading(first.columns[0])}: {table.heading}"
        return figure(title, [panel(comparison.quality(first, annotated=True), width=640)], 1)
    lines = comparison.points(table)
    shown = [heading(key) for key in table.columns]
    width = 560 if len(shown) == 1 else 380
    return figure(table.heading, [panel(lines, name, width, metric=name) for name in shown], 2)


def _squares(table: ResultTable) -> Iterator[tuple[list[str], Spec]]:
    entries = {entry.point: entry for entry in table.entries}
    for point, cosine in table.squares.items():
        entry = entries[point]
        values = [f"{heading(key)} {entry.mean(*key) or 0.0:.4f}" for key in table.columns]
        lines = [f"{table.axis} {table.point_name(point)}", ", ".join(values)]
        published = [entry.published[key] for key in table.columns if key in entry.published]
        if published:
            split = " (another split)" if entry.another_split else ""
            lines.append(f"published {', '.join(f'{value:.4f}' for value in published)}{split}")
        yield lines, heatmap.square(lines[0], cosine, most=96)


def search_figures(found: SearchRecord) -> dict[str, Spec]:
    """Figures of a search that its trials allow, by the name of a file without its ending."""
    title = f"{found.label} ({found.backend})"
    made = {
        "convergence": (
            search.convergence(found),
            f"{found.metric} on validation; random trials stand before the dotted line",
            640,
        ),
        "parallel_coordinates": (
            search.parallel(found),
            f"{found.metric} on validation, the best trial thick",
            max(420, 130 * len(found.space)),
        ),
    }
    figures = {
        name: figure([title, text], [panel(drawn, width=width)], 1)
        for name, (drawn, text, width) in made.items()
        if drawn is not None
    }
    alone = [panel(drawn, name, width=230) for name, drawn in search.dependences(found)]
    if alone:
        figures["partial_dependence"] = figure(
            [title, f"{found.metric} on validation by each parameter alone"], alone, 3
        )
    return figures


def write_search_figures(found: SearchRecord, folder: Path) -> list[str]:
    """Write the figures of a search as PNG files; returns their names.

    Raises
    ------
    ValueError
        If no trial is done.
    WriteError
        If a file cannot be written.
    """
    figures = search_figures(found)
    if not figures:
        raise ValueError("a chart of a search needs at least one trial that is done")
    make_folder(folder)
    for name, figure in figures.items():
        write_whole(folder / f"{name}.png", rendered(figure, "png"))
    return [f"{name}.png" for name in figures]


def rendered(figure: Spec, kind: str) -> bytes:
    """A figure as the content of a file: the same bytes for the same figure.

    Parameters
    ----------
    figure : Spec
        From `table_figure` or `search_figures`.
    kind : {"png", "svg", "pdf"}
    """
    svg: str = vl_convert.vegalite_to_svg(figure, allowed_base_urls=[])
    if kind == "svg":
        return svg.encode()
    if kind == "png":
        png: bytes = vl_convert.svg_to_png(svg, scale=2)
        return png
    # Entries of a resource dictionary stand in another order each time; none of them moves
    # anything behind the dictionary.
    pdf: bytes = vl_convert.svg_to_pdf(svg)
    return _RESOURCES.sub(lambda found: b"".join(sorted(found[0].splitlines(True))), pdf)


def panel(drawn: Spec, title: str | Sequence[str] = "", width: int = 0, metric: str = "") -> Spec:
    """A specification of the page, of one metric, with its data as records."""
    made = {name: part for name, part in drawn.items() if name not in ("autosize", "params")}
    data = made["data"]["columns"]
    at = [n for n, name in enumerate(data.get("metric", ())) if metric in ("", name)]
    if made.get("transform") == CHOSEN:
        del made["transform"]
    else:
        at = list(range(len(next(iter(data.values())))))
    made["data"] = {"values": [{name: column[n] for name, column in data.items()} for n in at]}
    if "layer" in made:
        # Nothing is pointed at in a file.
        made["layer"] = [marks for marks in made["layer"] if "params" not in marks]
    if title:
        made["title"] = {"text": title, "fontSize": 12, **_PLAIN}
    return made | ({"width": width} if width else {})


def figure(title: str | Sequence[str], panels: Sequence[Spec], across: int) -> Spec:
    """Panels as one figure, coloured for a light ground."""
    made = {
        "title": {"text": title, "offset": 12},
        "concat": panels,
        "columns": across,
        "config": _CONFIG,
        "padding": 12,
    }
    coloured: Spec = _coloured(made)
    return coloured


def _coloured(part: Any) -> Any:
    """The same with the colours of the light scheme in place of their names, texts printable."""
    if isinstance(part, str):
        return light().get(part) or printable(part)
    if isinstance(part, dict):
        return {name: _coloured(inner) for name, inner in part.items()}
    return [_coloured(inner) for inner in part] if isinstance(part, list | tuple) else part
