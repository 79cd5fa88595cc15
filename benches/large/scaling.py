"""The pipeline on synthetic logs of growing size: a table, and a plot of the cost per interaction.

    python benches/large/scaling.py --sizes 1M,10M,100M

Each size runs in a process of its own. A size that was measured before is kept unless --fresh is
given; docs/benchmarks.md, docs/results/large.json and docs/results/large.png are written anew.
"""

import argparse
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from generate import size_of, write_log

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "benchmarks.md"
RESULTS = ROOT / "docs" / "results" / "large.json"
BEGIN = "<!-- begin: make bench-large -->"
END = "<!-- end: make bench-large -->"

Runs = dict[str, Any]
"""What the pipeline wrote, by number of events."""


def measure(n_events: int, logs: Path, models: str) -> dict[str, Any]:
    """Make the log if it is not there, and run the pipeline on it."""
    folder = logs / str(n_events)
    write_log(n_events, folder)
    report = logs / f"stages-{n_events}.json"
    command = [sys.executable, str(Path(__file__).with_name("pipeline.py")), str(folder)]
    command += ["--user", "user_id", "--item", "item_id", "--models", models, "--json", str(report)]
    subprocess.run(command, check=True)
    found: dict[str, Any] = json.loads(report.read_text(encoding="utf-8"))
    return found


def table(runs: Runs) -> str:
    """Stages in lines, sizes in columns: seconds by the clock and peak memory."""
    sizes = sorted(runs, key=int)
    names = list(dict.fromkeys(s["name"] for size in sizes for s in runs[size]["stages"]))
    about = runs[sizes[-1]]["environment"]
    hardware = about["hardware"]
    source = (about["git"] or {"commit": "unknown"})["commit"][:12]
    setting = (
        f"{hardware['processor']}, {hardware['cpus']} processors, {hardware['threads']} threads, "
        f"{(hardware['memory_mib'] or 0) / 1024:.0f} GiB, {hardware['platform']}; "
        f"ganmf-fast {about['versions']['ganmf-fast']} at {source}, {runs[sizes[-1]]['date']}."
    )
    lines = [
        setting,
        "",
        "| stage | " + " | ".join(f"{int(size):,} events" for size in sizes) + " |",
        "| --- |" + " ---: |" * len(sizes),
    ]
    for name in names:
        cells = []
        for size in sizes:
            stage = next((s for s in runs[size]["stages"] if s["name"] == name), None)
            cells.append(
                ""
                if stage is None
                else f"{stage['seconds']:.1f} s ({stage['cpu_seconds']:.1f} CPU s), "
                f"{stage['peak_mib']:,.0f} MiB"
            )
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    peaks = [max(s["peak_mib"] for s in runs[size]["stages"]) for size in sizes]
    lines.append("| largest peak | " + " | ".join(f"{p / 1024:.2f} GiB" for p in peaks) + " |")
    lines += ["", "What came out:", ""]
    for stage in runs[sizes[-1]]["stages"]:
        lines.append(f"- {stage['name']}: {stage['result']}")
    lines += ["", "![CPU time per interaction](results/large.png)"]
    return "\n".join(lines)


def plot(runs: Runs, path: Path) -> None:
    """CPU time of each stage per event, against the number of events."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    sizes = sorted(map(int, runs))
    names = list(dict.fromkeys(s["name"] for n in sizes for s in runs[str(n)]["stages"]))
    figure, axes = plt.subplots(figsize=(7.5, 4.5), layout="constrained")
    markers = "osD^vPX*"
    for at, name in enumerate(names):
        points = [
            (n, 1e9 * s["cpu_seconds"] / n)
            for n in sizes
            for s in runs[str(n)]["stages"]
            if s["name"] == name
        ]
        if name.startswith("evaluate"):
            continue  # its work is that of the sampled users, not of all interactions
        axes.plot(*zip(*points, strict=True), marker=markers[at % len(markers)], label=name)
    axes.set(
        xscale="log",
        yscale="log",
        xlabel="interactions in the log",
        ylabel="CPU nanoseconds per interaction",
        title="Cost per interaction as the log grows",
    )
    axes.grid(visible=True, which="both", alpha=0.25)
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.0, 0.5))
    figure.savefig(path, dpi=150)
    plt.close(figure)


def write_page(runs: Runs) -> None:
    """Put the table between the markers of the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    PAGE.write_text(f"{before}{BEGIN}\n\n{table(runs)}\n\n{END}{after}", encoding="utf-8")


def main() -> None:
    """Measure the sizes asked for and write everything again."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--sizes", default="1M,10M,100M")
    parser.add_argument("--models", default="TopPopular,P3alpha")
    parser.add_argument("--logs", type=Path, default=ROOT / "runs" / "large")
    parser.add_argument("--fresh", action="store_true")
    arguments = parser.parse_args()
    runs: Runs = {}
    if RESULTS.is_file():
        runs = json.loads(RESULTS.read_text(encoding="utf-8"))
    for n_events in map(size_of, arguments.sizes.split(",")):
        if arguments.fresh or str(n_events) not in runs:
            runs[str(n_events)] = measure(n_events, arguments.logs, arguments.models)
            RESULTS.write_text(json.dumps(runs, indent=1) + "\n", encoding="utf-8")
    plot(runs, RESULTS.with_suffix(".png"))
    write_page(runs)
    print(table(runs))


if __name__ == "__main__":
    main()
