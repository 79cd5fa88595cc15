"""What is printed, and what docs/benchmarks.md and the CSV beside the results say."""

import csv
import json
from pathlib import Path
from typing import Any

from peers.operations import OPERATIONS
from peers.operations.base import OURS, Operation
from peers.runner import Result

BEGIN = "<!-- begin: make bench-peers -->"
END = "<!-- end: make bench-peers -->"


def all_results(folder: Path) -> list[Result]:
    """Kept results, in the order of the operations and their data sets."""
    results = []
    for operation in OPERATIONS.values():
        for dataset in operation.datasets:
            path = folder / f"{operation.name}-{dataset}.json"
            if path.is_file():
                results.append(json.loads(path.read_text(encoding="utf-8")))
    return results


def best(result: Result, *, ours: bool) -> tuple[str, dict[str, Any]] | None:
    """The fastest of ours, or of the other packages, whose answer counts."""
    yardsticks = OPERATIONS[result["operation"]].yardsticks
    rows = [
        (name, row)
        for name, row in result["packages"].items()
        if (name == OURS) == ours
        and row["status"] == "ok"
        and row.get("agrees")
        and name not in yardsticks
    ]
    return min(rows, key=lambda row: row[1]["seconds"], default=None)


def ratio(result: Result) -> float | None:
    """Seconds of the best other package over ours."""
    mine, other = best(result, ours=True), best(result, ours=False)
    if mine is None or other is None:
        return None
    return float(other[1]["seconds"] / max(mine[1]["seconds"], 1e-6))


def table(result: Result) -> list[str]:
    """One operation on one data set as a Markdown table."""
    operation = OPERATIONS[result["operation"]]
    versions = result["environment"]["peers"]
    mine = best(result, ours=True)
    lines = [
        "| package | CPU s | peak MiB | x ours | answer |",
        "| --- | ---: | ---: | ---: | --- |",
    ]
    for name, row in result["packages"].items():
        version = versions.get(name.replace("_", "-"), "")
        label = " ".join(filter(None, (name, version)))
        if row["status"] != "ok":
            lines.append(f"| {label} | | | | {row['status']}: {_cell(row.get('note', ''))} |")
            continue
        times = "" if mine is None else f"{row['seconds'] / max(mine[1]['seconds'], 1e-6):.2f}"
        verdict = "same" if row.get("agrees") else "other"
        if name in operation.yardsticks:
            verdict = "yardstick"
        details = "; ".join(filter(None, (verdict, row.get("detail"), row.get("note"))))
        lines.append(
            f"| {label} | {_seconds(row['seconds'])} | {row['mebibytes']:,.0f} | {times} "
            f"| {_cell(details)} |"
        )
    return lines


def summary(results: list[Result]) -> list[str]:
    """All operations, one line each, as a Markdown table."""
    lines = [
        "| operation | data | ours, CPU s (peak MiB) | best other package | ratio |",
        "| --- | --- | ---: | --- | ---: |",
    ]
    for result in results:
        title = OPERATIONS[result["operation"]].title
        mine, other, times = best(result, ours=True), best(result, ours=False), ratio(result)
        lines.append(
            f"| {title} | {result['dataset']} | {_ours(result, mine)} | {_other(other)} "
            f"| {'' if times is None else f'{times:.2f}'} |"
        )
    return lines


def _ours(result: Result, mine: Any) -> str:
    if mine is not None:
        return f"{_seconds(mine[1]['seconds'])} ({mine[1]['mebibytes']:,.0f})"
    row = result["packages"][OURS]
    return _cell(row.get("note") or row.get("detail") or row["status"])


def _other(other: Any) -> str:
    if other is None:
        return ""
    name, row = other
    return f"{name}, {_seconds(row['seconds'])} ({row['mebibytes']:,.0f})"


def _seconds(value: float) -> str:
    return f"{value:.1f}" if value >= 10 else f"{value:.3g}"


def _cell(text: str) -> str:
    return " ".join(str(text).replace("|", "/").split())


def document(results: list[Result]) -> str:
    """The generated part of docs/benchmarks.md."""
    if not results:
        return "Nothing has been measured yet.\n"
    lines = [*_setting(results), "", *summary(results)]
    shown = None
    for result in results:
        operation: Operation = OPERATIONS[result["operation"]]
        if operation is not shown:
            lines += ["", f"### {operation.title}", "", operation.note]
            shown = operation
        lines += ["", _measured(result), "", *table(result)]
    return "\n".join(lines) + "\n"


def _setting(results: list[Result]) -> list[str]:
    """Machines, other packages and dates: an entry for each such setting."""
    seen: dict[str, list[str]] = {}
    for result in results:
        about = result["environment"]
        hardware, versions = about["hardware"], about["versions"]
        memory = (hardware["memory_mib"] or 0) / 1024
        peers = ", ".join(f"{name} {version}" for name, version in about["peers"].items())
        text = (
            f"{hardware['processor']}, {hardware['cpus']} processors, {memory:.0f} GiB, "
            f"{hardware['platform']}; Python {versions['python']}; {peers}"
        )
        seen.setdefault(text, []).append(result["date"].partition(" ")[0])
    return [f"- {' and '.join(sorted(set(dates)))}: {text}." for text, dates in seen.items()]


def _measured(result: Result) -> str:
    """Data, date and state of this package."""
    about = result["environment"]
    source = about["git"] or {"commit": "unknown", "changed": False}
    changed = " with changes" if source["changed"] else ""
    version = f"ganmf-fast {about['versions']['ganmf-fast']} at {source['commit'][:12]}{changed}"
    return f"{result['dataset']}, {result['date']}, {version}:"


def write(results: list[Result], page: Path, table_file: Path) -> None:
    """Put the results between the markers of a page, and into a CSV file."""
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{document(results)}\n{END}{after}", encoding="utf-8")
    fields = ("operation", "dataset", "package", "version", "status", "cpu_seconds", "samples")
    fields += ("peak_mib", "agrees", "detail", "date")
    with table_file.open("w", encoding="utf-8", newline="") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(fields)
        for result in results:
            for name, row in result["packages"].items():
                about = result["environment"]
                version = about["peers"].get(name.replace("_", "-"), "")
                if name == OURS:
                    version = about["versions"]["ganmf-fast"]
                rows.writerow(
                    (
                        result["operation"],
                        result["dataset"],
                        name,
                        version,
                        row["status"],
                        row.get("seconds", ""),
                        len(row.get("samples", ())),
                        round(row.get("mebibytes", 0)),
                        row.get("agrees", ""),
                        row.get("detail") or row.get("note", ""),
                        result["date"],
                    )
                )
