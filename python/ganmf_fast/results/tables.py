"""Comparisons as CSV, Markdown, LaTeX and on the terminal.

In each cell stands our value, the published one and the difference; a dash where nothing was
published.
"""

import csv
import io
from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table
from rich.text import Text

from ganmf_fast.base.text import Markdown, csv_cell, latex, markdown, printable
from ganmf_fast.results.document import to_json
from ganmf_fast.results.result_table import Entry, Key, ResultTable, heading, shown, signed
from ganmf_fast.results.store import Store

_DASH = "\N{EM DASH}"
_ALIKE = "\N{DEGREE SIGN}"
_LEVEL = 0.05


def to_csv(comparison: ResultTable) -> str:
    """Tidy text: one line for each model, seed, metric and cutoff; floats in full precision."""
    axis = [comparison.axis] if comparison.axis else []
    fields = ["dataset", "model", *axis, "metric", "k", "value", "published", "delta", "seed"]
    return _csv(fields, comparison.tidy())


def summary_csv(comparison: ResultTable) -> str:
    """One line for each model, metric and cutoff: mean, spread, published value and verdict."""
    axis = [comparison.axis] if comparison.axis else []
    fields = ["dataset", "quick", "model", *axis, "metric", "k", "mean", "deviation", "seeds"]
    fields += ["published", "delta", "tolerance", "verdict", "reason", "p_of_best"]
    return _csv(fields, comparison.summary())


def _csv(fields: list[str], records: Iterable[Mapping[str, Any]]) -> str:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(map(csv_cell, fields))
    for record in records:
        cells = (record[field] for field in fields)
        writer.writerow(repr(v) if isinstance(v, float) else csv_cell(v) for v in cells)
    return text.getvalue()


def _value(entry: Entry, key: Key) -> str:
    mean, deviation = entry.mean(*key), entry.deviation(*key)
    if mean is None:
        return _DASH
    return shown(key, mean) if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def _published(entry: Entry, key: Key) -> tuple[str, str]:
    published, delta = entry.published.get(key), entry.delta(*key)
    return (
        _DASH if published is None else shown(key, published),
        _DASH if delta is None else signed(delta),
    )


def _mark(comparison: ResultTable, entry: Entry, key: Key) -> str:
    """Whether chance would explain the distance from the best."""
    p = comparison.significance.get(key, {}).get(entry.model)
    return _ALIKE if p is not None and p >= _LEVEL else ""


def _cell(comparison: ResultTable, entry: Entry, key: Key) -> str:
    """What stands behind the value."""
    if not comparison.any_published:
        return ""
    published, delta = _published(entry, key)
    return f"({published}, {delta})" if comparison.any_compared else f"({published})"


def _notes(comparison: ResultTable, second: str = "") -> list[str]:
    """Sentences that a reader of the table needs; `second` says how the second best is marked."""
    notes = [comparison.note] if comparison.note else []
    if comparison.any_compared:
        notes.append(
            f"Each cell: ours (published, difference); {_DASH} where nothing was published."
        )
    elif comparison.any_published:
        notes.append(
            "Each cell: ours (published for another split of the data, for context only); "
            f"{_DASH} where nothing was published."
        )
    if comparison.ranked != "none":
        within = f" of each {comparison.axis}" if comparison.ranked == "point" else ""
        notes.append(f"Best{within} in bold{second}.")
    seeded = [e for e in comparison.entries if e.runs and e.runs[0].seed is not None]
    most = max((len(entry.runs) for entry in seeded), default=0)
    if most > 1:
        notes.append(f"Mean ± standard deviation over up to {most} seeds.")
    elif most:
        notes.append("Models with a random choice: one seed, so that their spread is not known.")
    if comparison.significance:
        notes.append(
            f"{_ALIKE}: not significantly different from the best by a paired t test over users, "
            f"level {100 * _LEVEL:g} %, corrected for the number of models by Holm's method."
        )
    return notes


def to_markdown(comparison: ResultTable) -> str:
    """A page with the table, what is missing and why, the verdicts, parameters, and cost."""
    columns, axis = comparison.columns, comparison.axis
    lines = [f"# {markdown(comparison.heading)}", ""]
    if comparison.quick:
        quick = markdown(comparison.quick)
        lines += [f"**Quick run:** {quick}. Not the experiment of the paper.", ""]
    if comparison.simulated:
        lines += ["**Simulated data:** these figures say nothing about real users.", ""]
    said = f"{comparison.splits[:1].upper()}{comparison.splits[1:]}. " if comparison.splits else ""
    names = [comparison.subject, *([axis] if axis else []), *map(heading, columns)]
    notes = markdown(said + " ".join(_notes(comparison)))
    lines += [*([notes, ""] if notes else []), *_header(names)]
    for entry in comparison.entries:
        cells = [entry.model, *_point(comparison, entry)]
        for key in columns:
            value = _value(entry, key)
            value = f"**{value}**" if comparison.rank(entry, *key) == 1 else value
            value += _mark(comparison, entry, key)
            value = f"{value} {_cell(comparison, entry, key)}".rstrip() if entry.runs else _DASH
            cells.append(Markdown(value))
        lines.append(_row(cells))
    problems = [entry for entry in comparison.entries if entry.problem]
    if problems:
        lines += ["", "## Not finished", ""]
        named = ((_name(comparison, entry), entry.problem) for entry in problems)
        lines += [f"- {markdown(name)}: {markdown(problem)}" for name, problem in named]
    lines += [*_verdicts(comparison), *_params(comparison), *_cost(comparison)]
    return "\n".join(lines) + "\n"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(map(markdown, cells)) + " |"


def _header(names: list[str]) -> list[str]:
    return [_row(names), _row(["---"] * len(names))]


def _point(comparison: ResultTable, entry: Entry) -> list[str]:
    """The cell that says where on the axis an entry stands, where there is an axis."""
    return [comparison.point_name(entry.point)] if comparison.axis else []


def _name(comparison: ResultTable, entry: Entry) -> str:
    point = comparison.point_name(entry.point)
    return f"{entry.model}, {comparison.axis} {point}" if point else entry.model


def _verdicts(comparison: ResultTable) -> list[str]:
    """How many figures agree with the published ones, and each that does not."""
    judged = [
        (entry, key, verdict)
        for entry in comparison.entries
        for key in comparison.columns
        if (verdict := entry.verdict(*key)) is not None
    ]
    if not judged:
        return []
    if comparison.any_published and not comparison.any_compared:
        said = (
            "The published figures are of another split of the data: they are shown for context, "
            "and say nothing about whether they are reproduced."
        )
        return ["", "## Beside the published figures", "", said]
    compared = [found for found in judged if found[2].tolerance is not None]
    agreeing = sum(verdict.word == "within tolerance" for _, _, verdict in compared)
    said = (
        f"{agreeing} of {len(compared)} figures above are within tolerance: .001, or two standard "
        "deviations over the seeds if that is more."
    )
    lines = ["", "## Beside the published figures", "", said]
    if agreeing == len(judged):
        return lines
    lines[-1] += " The others:"
    names = [comparison.subject, "figure", "ours", "published", "verdict", "reason"]
    lines += ["", *_header(names)]
    for entry, key, verdict in judged:
        if verdict.word == "within tolerance":
            continue
        published = entry.published.get(key, entry.incomparable.get(key, 0.0))
        cells = [_name(comparison, entry), heading(key), _value(entry, key), shown(key, published)]
        lines.append(_row([*cells, verdict.word, verdict.reason or "not known"]))
    return lines


def _params(comparison: ResultTable) -> list[str]:
    if not any(entry.source for entry in comparison.entries):
        return []
    lines = ["", "## Parameters", "", *_header([comparison.subject, "parameters", "from"])]
    seen = set()
    for entry in comparison.entries:
        params = ", ".join(f"{name}={value!r}" for name, value in entry.params.items()) or _DASH
        row = _row([entry.model, params, entry.source or _DASH])
        if row not in seen:
            seen.add(row)
            lines.append(row)
    return lines


def _cost(comparison: ResultTable) -> list[str]:
    names = [comparison.subject, *([comparison.axis] if comparison.axis else []), "seed"]
    lines = [
        "",
        "## Cost",
        "",
        "Seconds, and the largest resident memory of the process, as measured in this run.",
        "*Added* is the part of it that was not held before the fit.",
        "",
        *_header([*names, "fit s", "evaluate s", "fit MiB", "added MiB", "evaluate MiB"]),
    ]
    seen: set[tuple[str, int | None, float]] = set()
    for entry in comparison.entries:
        for run in entry.runs:
            cost = run.cost
            # Points that one model was measured at have one cost.
            if not cost or (same := (entry.model, run.seed, cost["fit_seconds"])) in seen:
                continue
            seen.add(same)
            cells = [
                entry.model,
                *([comparison.point_name(entry.point)] if comparison.axis else []),
            ]
            cells += [
                _DASH if run.seed is None else str(run.seed),
                f"{cost['fit_seconds']:.2f}",
                f"{cost['evaluate_seconds']:.2f}",
                f"{cost['fit_peak_mib']:.0f}",
                f"{cost['fit_extra_mib']:.0f}" if "fit_extra_mib" in cost else _DASH,
                f"{cost['evaluate_peak_mib']:.0f}",
            ]
            lines.append(_row(cells))
    return lines if seen else []


def to_latex(comparison: ResultTable) -> str:
    """A booktabs table: best bold, second underlined, published and difference in parentheses."""
    columns, axis = comparison.columns, comparison.axis
    notes = [f"{comparison.heading}.", *_notes(comparison, ", second underlined")]
    if comparison.quick:
        notes.append(f"Quick run: {comparison.quick}.")
    if comparison.simulated:
        notes.append("Simulated data.")
    names = [comparison.subject.capitalize(), *([axis] if axis else []), *map(heading, columns)]
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        f"  \\caption{{{_latex(latex(' '.join(notes)))}}}",
        f"  \\begin{{tabular}}{{l{'r' * (len(names) - 1)}}}",
        "    \\toprule",
        f"    {' & '.join(map(latex, names))} \\\\",
        "    \\midrule",
    ]
    marks = {1: "\\textbf{%s}", 2: "\\underline{%s}"}
    for entry in comparison.entries:
        cells = [latex(entry.model)]
        cells += map(latex, _point(comparison, entry))
        for key in columns:
            published, delta = _published(entry, key)
            value = marks.get(comparison.rank(entry, *key), "%s") % _value(entry, key)
            value += _mark(comparison, entry, key)
            beside = f"{published}, {_signed(delta)}" if comparison.any_compared else published
            beside = f" {{\\scriptsize ({beside})}}"
            value += beside if comparison.any_published else ""
            cells.append(_latex(value) if entry.runs else "---")
        lines.append(f"    {' & '.join(cells)} \\\\")
    lines += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}"]
    return "\n".join(lines) + "\n"


def _signed(delta: str) -> str:
    return f"${delta}$" if delta != _DASH else delta


def _latex(text: str) -> str:
    return (
        text.replace(_DASH, "---")
        .replace("±", "$\\pm$")
        .replace(_ALIKE, "$^{\\circ}$")
        .replace("\N{EN DASH}", "--")
    )


def terminal_table(comparison: ResultTable) -> Table:
    """The table for a terminal; colours are dropped where they are not wanted."""
    caption = "nothing is published for these data"
    if comparison.any_compared:
        caption = "ours, then (published, difference)"
    elif comparison.any_published:
        caption = "ours, then (published for another split of the data, for context only)"
    if comparison.quick:
        caption = f"quick run: {printable(comparison.quick)}\n{caption}"
    table = Table(
        title=printable(comparison.heading),
        caption=caption,
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column(printable(comparison.subject), no_wrap=True)
    if comparison.axis:
        table.add_column(printable(comparison.axis), no_wrap=True)
    for key in comparison.columns:
        table.add_column(heading(key), justify="right", no_wrap=True)
    for entry in comparison.entries:
        cells = []
        for key in comparison.columns:
            if not entry.runs:
                cells.append(Text(_DASH))
                continue
            best = comparison.rank(entry, *key) == 1
            mark = _mark(comparison, entry, key)
            cell = Text(_value(entry, key) + mark, style="bold" if best else "")
            if comparison.any_published:
                cell.append(f"\n{_cell(comparison, entry, key)}", style="dim")
            cells.append(cell)
        names = map(printable, (entry.model, *_point(comparison, entry)))
        table.add_row(*names, *cells)
    return table


def write_tables(store: Store, comparison: ResultTable) -> None:
    """Write a table into the folder of a run: CSV, Markdown, LaTeX and JSON."""
    store.write_text("results.csv", to_csv(comparison))
    store.write_text("summary.csv", summary_csv(comparison))
    store.write_text("table.md", to_markdown(comparison))
    store.write_text("table.tex", to_latex(comparison))
    store.write_text("comparison.json", to_json(comparison))
