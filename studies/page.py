"""Turn a finished run of `ganmf reproduce` into a page of docs/results.

    python studies/page.py RUN --name figure4-lastfm --command "ganmf ..." [--note TEXT]

Writes NAME.md (what the run wrote, below the command, the machine and the date), NAME.png (its
chart, if it has one) and NAME.csv (ranking metrics or cosines, out of its summary).
"""

import argparse
import csv
import datetime as dt
import json
import shutil
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).resolve().parents[1] / "docs" / "results"
METRICS = ("map", "ndcg", "cosine_mean", "cosine_deviation")


def machine(config: dict[str, Any]) -> str:
    """Where a run was made."""
    hardware = config["environment"]["hardware"]
    gib = hardware["memory_mib"] / 1024
    threads = "one thread" if hardware["threads"] == 1 else f"{hardware['threads']} threads"
    return (
        f"{threads} of {hardware['cpus']} cores of an {hardware['processor']}, {gib:.0f} GiB, "
        f"{hardware['gpu'] or 'no GPU'}"
    )


def kept(summary: Path) -> list[list[str]]:
    """The header and the rows of the summary that a page needs."""
    with summary.open(encoding="utf-8", newline="") as file:
        header, *rows = csv.reader(file)
    metric = header.index("metric")
    return [header, *(row for row in rows if row[metric] in METRICS)]


def main() -> None:
    """Write the page."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("--name", required=True)
    parser.add_argument("--command", required=True)
    parser.add_argument("--note", default="")
    arguments = parser.parse_args()
    run: Path = arguments.run
    if not (run / "table.md").is_file():
        parser.error(f"run must be the folder of a finished run, and {str(run)!r} is none")
    config = json.loads((run / "config.json").read_text(encoding="utf-8"))
    title, _, body = (run / "table.md").read_text(encoding="utf-8").partition("\n")
    date = dt.datetime.fromtimestamp((run / "table.md").stat().st_mtime, dt.UTC).date()
    about = f"Run on {date}, {machine(config)}. {arguments.note}"
    parts = [title, f"```sh\n{arguments.command}\n```", about.strip()]
    if (run / "chart.png").is_file():
        shutil.copyfile(run / "chart.png", RESULTS / f"{arguments.name}.png")
        parts.append(f"![{title.removeprefix('# ')}]({arguments.name}.png)")
    page = "\n\n".join([*parts, body.strip()]) + "\n"
    (RESULTS / f"{arguments.name}.md").write_text(page, encoding="utf-8")
    if (run / "summary.csv").is_file():
        with (RESULTS / f"{arguments.name}.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(kept(run / "summary.csv"))
    print(RESULTS / f"{arguments.name}.md")


if __name__ == "__main__":
    main()
