"""Comparisons as CSV, Markdown, LaTeX and on the terminal.

In each cell stands our value, the published one and the difference; a dash where nothing was
published.
"""

import csv
import io

from rich import box
from rich.table import Table
from rich.text import Text

from ganmf_fast.report.comparison import Comparison, Entry, signed

__all__ = ["terminal_table", "to_csv", "to_latex", "to_markdown"]

_DASH = "\N{EM DASH}"
_FIELDS = ("dataset", "model", "metric", "k", "value", "published", "delta", "seed")


def to_csv(comparison: Comparison) -> str:
    """Tidy text: one line for each model, seed, metric and cutoff; floats in full precision."""
    text = io.StringIO()
    writer = csv.DictWriter(text, _FIELDS, lineterminator="\n")
    writer.writeheader()
    for record in comparison.tidy():
        writer.writerow({k: repr(v) if isinstance(v, float) else v for k, v in record.items()})
    return text.getvalue()


def _value(entry: Entry, metric: str, k: int) -> str:
    mean, deviation = entry.mean(metric, k), entry.deviation(metric, k)
    if mean is None:
        return _DASH
    return f"{mean:.4f}" if deviation is None else f"{mean:.4f} ± {deviation:.4f}"


def _published(entry: Entry, metric: str, k: int) -> tuple[str, str]:
    published, delta = entry.published.get((metric, k)), entry.delta(metric, k)
    return (
        _DASH if published is None else f"{published:.4f}",
        _DASH if delta is None else signed(delta),
    )


def _heading(metric: str, k: int) -> str:
    return f"{metric.upper()}@{k}"


def _seeds(comparison: Comparison) -> str:
    """A sentence on the seeds, if several were run."""
    most = max((len(entry.runs) for entry in comparison.entries), default=0)
    return f" Mean ± standard deviation over up to {most} seeds." if most > 1 else ""


def to_markdown(comparison: Comparison) -> str:
    """A page with the table, what is missing and why, the parameters, and the cost."""
    columns = comparison.columns
    lines = [
        f"# Comparison on {comparison.label}",
        "",
        *(
            ["**Simulated data:** these figures say nothing about real users.", ""]
            if comparison.simulated
            else []
        ),
        (
            f"{comparison.splits.capitalize()}. Each cell: ours (published, difference); "
            f"{_DASH} where nothing was published. Best in bold.{_seeds(comparison)}"
        ),
        "",
        "| model | " + " | ".join(_heading(*column) for column in columns) + " |",
        "| --- |" + " --- |" * len(columns),
    ]
    ranks = {column: comparison.ranks(*column) for column in columns}
    for entry in comparison.entries:
        cells = []
        for column in columns:
            published, delta = _published(entry, *column)
            value = _value(entry, *column)
            if ranks[column].get(entry.model) == 1:
                value = f"**{value}**"
            cells.append(f"{value} ({published}, {delta})" if entry.runs else _DASH)
        lines.append(f"| {entry.model} | " + " | ".join(cells) + " |")
    problems = [entry for entry in comparison.entries if entry.problem]
    if problems:
        lines += ["", "## Not finished", ""]
        lines += [f"- {entry.model}: {entry.problem}" for entry in problems]
    lines += ["", "## Parameters", "", "| model | parameters | from |", "| --- | --- | --- |"]
    for entry in comparison.entries:
        params = ", ".join(f"{name}={value!r}" for name, value in entry.params.items()) or _DASH
        lines.append(f"| {entry.model} | {params} | {entry.source or _DASH} |")
    lines += [
        "",
        "## Cost",
        "",
        "Seconds, and the largest resident memory of the process, as measured in this run.",
        "",
        "| model | seed | fit s | evaluate s | fit MiB | evaluate MiB |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for entry in comparison.entries:
        for run in entry.runs:
            cost = run.cost
            lines.append(
                f"| {entry.model} | {_DASH if run.seed is None else run.seed} "
                f"| {cost['fit_seconds']:.2f} | {cost['evaluate_seconds']:.2f} "
                f"| {cost['fit_peak_mib']:.0f} | {cost['evaluate_peak_mib']:.0f} |"
            )
    return "\n".join(lines) + "\n"


def to_latex(comparison: Comparison) -> str:
    """A booktabs table: best bold, second underlined, published and difference in parentheses."""
    columns = comparison.columns
    simulated = " Simulated data." if comparison.simulated else ""
    lines = [
        "% needs \\usepackage{booktabs}",
        "\\begin{table}",
        "  \\centering",
        (
            f"  \\caption{{Comparison on {_escaped(comparison.label)}: ours (published, "
            f"difference); best in bold, second underlined.{simulated}"
            f"{_latex(_seeds(comparison))}}}"
        ),
        f"  \\begin{{tabular}}{{l{'r' * len(columns)}}}",
        "    \\toprule",
        "    Model & " + " & ".join(_heading(*column) for column in columns) + " \\\\",
        "    \\midrule",
    ]
    ranks = {column: comparison.ranks(*column) for column in columns}
    marks = {1: "\\textbf{%s}", 2: "\\underline{%s}"}
    for entry in comparison.entries:
        cells = []
        for column in columns:
            published, delta = _published(entry, *column)
            value = marks.get(ranks[column].get(entry.model, 0), "%s") % _value(entry, *column)
            cells.append(
                _latex(f"{value} {{\\scriptsize ({published}, {_signed(delta)})}}")
                if entry.runs
                else "---"
            )
        lines.append(f"    {_escaped(entry.model)} & " + " & ".join(cells) + " \\\\")
    lines += ["    \\bottomrule", "  \\end{tabular}", "\\end{table}"]
    return "\n".join(lines) + "\n"


def _signed(delta: str) -> str:
    return f"${delta}$" if delta != _DASH else delta


def _latex(text: str) -> str:
    return text.replace(_DASH, "---").replace("±", "$\\pm$")


def _escaped(text: str) -> str:
    for character in "\\{}":
        text = text.replace(character, "")
    for character in "&%$#_":
        text = text.replace(character, "\\" + character)
    return text.replace("~", "\\textasciitilde{}").replace("^", "\\textasciicircum{}")


def terminal_table(comparison: Comparison) -> Table:
    """The table for a terminal; colours are dropped where they are not wanted."""
    table = Table(
        title=f"Comparison on {comparison.label}",
        caption=(
            "ours, then (published, difference)"
            if comparison.any_published
            else "nothing is published for these data"
        ),
        box=box.SIMPLE_HEAD,
        title_justify="left",
        caption_justify="left",
    )
    table.add_column("model", no_wrap=True)
    columns = comparison.columns
    for column in columns:
        table.add_column(_heading(*column), justify="right", no_wrap=True)
    ranks = {column: comparison.ranks(*column) for column in columns}
    for entry in comparison.entries:
        cells = []
        for column in columns:
            if not entry.runs:
                cells.append(Text(_DASH))
                continue
            published, delta = _published(entry, *column)
            best = ranks[column].get(entry.model) == 1
            cell = Text(_value(entry, *column), style="bold" if best else "")
            if comparison.any_published:
                cell.append(f"\n({published}, {delta})", style="dim")
            cells.append(cell)
        table.add_row(entry.model, *cells)
    return table
