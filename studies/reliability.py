"""Kills, full disks, interrupts, threads and fuzzing: what the library does when things go wrong.

    python studies/reliability.py [--quick] [--only kills,disk,interrupts,threads,fuzz] [--fresh]
                                  [--targets csr,as_csr,...]

Runs are killed 20 times each and must end as if they had not been; their disk fills up, and they
must go on once there is room; Ctrl-C and SIGTERM are sent to every long call on a matrix of
20,000 x 20,000; every model is fitted on one thread and on two; and inputs are broken
(`python -m tests.fuzz`), of which `--targets` measures some and leaves the others' rows. What is
finished is kept in runs/reliability/, so that the command can be interrupted, and done again with
--fresh. It writes docs/results/reliability.json and the tables of docs/reliability.md.
"""

import argparse
import datetime as dt
import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from faults import calls, disk, interrupts, kills, runs, threads
from ganmf_fast.base.files import written_whole
from ganmf_fast.base.hardware import processor

ROOT = Path(__file__).resolve().parents[1]
KEPT = ROOT / "runs" / "reliability"
RESULTS = ROOT / "docs" / "results" / "reliability.json"
PAGE = ROOT / "docs" / "reliability.md"
PARTS = ("kills", "disk", "interrupts", "threads", "fuzz")
FUZZED = (
    *("csr", "as_csr", "split", "lists"),
    *("model", "checkpoint", "journal", "run", "splits", "csv", "parquet", "config", "tables"),
)
SEED = 20260
ANSWER_SECONDS = 1.0
"""A signal that takes longer to be answered is a fault."""

COMMANDS: dict[str, tuple[str, ...]] = {
    "fit": ("fit", "SLIMElasticNet", "--data", "{splits}", "--output", "{scratch}/model"),
    "recommend": ("recommend", "{data}/weights", "--n", "100"),
    "evaluate": ("evaluate", "{data}/weights", "--data", "{splits}"),
    "split": ("split", "--data", "{data}/log.csv", "--output", "{scratch}/splits"),
    "tune": ("tune", "ItemKNN-cosine", "--data", "{splits}", "--output", "{scratch}/tune"),
    "tune, 2 workers": (
        *("tune", "ItemKNN-cosine", "--data", "{splits}", "--output", "{scratch}/tune2"),
        *("--workers", "2"),
    ),
    "tune GANMF, 2 workers": (
        *("tune", "GANMF-u", "--data", "{splits}", "--output", "{scratch}/gans"),
        *("--workers", "2", "--device", "cpu"),
    ),
    "reproduce": (
        *("reproduce", "table2", "--data", "{splits}", "--output", "{scratch}/run"),
        *("--device", "cpu"),
    ),
}


class Kept:
    """What was measured, a file for each piece; a piece that is there is not measured again."""

    def __init__(self, folder: Path, quick: bool) -> None:
        self.folder = folder / ("quick" if quick else "whole")

    def once(self, part: str, name: str, measure: Callable[[], Any]) -> Any:
        """The piece of a part."""
        path = self.folder / part / f"{name.replace('/', '-')}.json"
        if not path.is_file():
            print(f"{part}: {name}", flush=True)
            found = measure()
            path.parent.mkdir(parents=True, exist_ok=True)
            with written_whole(path) as draft:
                draft.write_text(json.dumps(found, indent=1), encoding="utf-8")
        return json.loads(path.read_text(encoding="utf-8"))


# Parts -------------------------------------------------------------------------------------------


def measure_kills(kept: Kept, scratch: Path, quick: bool) -> list[dict[str, Any]]:
    """Each run, killed."""
    splits = scratch / "small"
    runs.prepare(splits)
    n_kills = 3 if quick else 20
    return [
        kept.once(
            "kills",
            run.name,
            lambda run=run: kills.kill(
                run, splits, scratch / "killed", n_kills, Random(f"{SEED} {run.name}")
            ),
        )
        for run in runs.RUNS
    ]


def measure_disk(kept: Kept, scratch: Path, quick: bool) -> list[dict[str, Any]]:
    """Each run on a disk that fills up."""
    if problem := disk.cannot_mount():
        print(f"disk: skipped, {problem}")
        return []
    splits = scratch / "small"
    runs.prepare(splits)
    found: list[dict[str, Any]] = []
    for run in runs.RUNS:
        found += kept.once(
            "disk",
            run.name,
            lambda run=run: disk.fill(
                run, splits, scratch / "full", 1 if quick else 4, Random(f"{SEED} {run.name}")
            ),
        )
    return found


def measure_interrupts(kept: Kept, scratch: Path, quick: bool) -> list[dict[str, Any]]:
    """Every long call and command, interrupted at random moments."""
    data = scratch / "large"
    calls.prepare(data)
    found: list[dict[str, Any]] = []
    for name in calls.CALLS:
        rng = Random(f"{SEED} {name}")
        moments = [rng.uniform(0.1, 0.6), *([] if quick else [rng.uniform(0.6, 3.0)])]
        found += kept.once(
            "interrupts",
            name,
            lambda name=name, moments=moments: [
                one.to_dict() for one in interrupts.interrupt_call(name, data, moments)
            ],
        )
    for name, tokens in COMMANDS.items():
        rng = Random(f"{SEED} ganmf {name}")
        found += kept.once(
            "interrupts",
            f"ganmf {name}",
            lambda name=name, tokens=tokens, rng=rng: list(
                _of_command(f"ganmf {name}", tokens, data, scratch / "commands", rng)
            ),
        )
    return found


def _of_command(
    name: str, tokens: tuple[str, ...], data: Path, scratch: Path, rng: Random
) -> Iterator[dict[str, Any]]:
    for sent in (signal.SIGINT, signal.SIGTERM):
        for low, high in ((0.1, 2.0), (4.0, 9.0)):
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir(parents=True)
            places = {"data": data, "splits": data / "splits", "scratch": scratch}
            command = [token.format(**places) for token in tokens]
            one = interrupts.interrupt_command(command, sent, rng.uniform(low, high), scratch)
            yield {**one.to_dict(), "name": name}


def measure_threads(kept: Kept, scratch: Path, quick: bool) -> list[dict[str, Any]]:
    """Every model on one thread and on two."""
    del scratch, quick
    found: list[dict[str, Any]] = kept.once("threads", "models", threads.compare)
    return found


def measure_fuzz(
    kept: Kept, scratch: Path, quick: bool, names: Sequence[str] = FUZZED
) -> list[dict[str, Any]]:
    """Targets of the fuzzer, with as many cases as a whole run has."""

    def run(target: str) -> Any:
        file = scratch / "fuzz.json"
        file.unlink(missing_ok=True)
        limits = ["--seconds", "6"] if quick else []
        command = [sys.executable, "-m", "tests.fuzz", "--target", target, *limits]
        subprocess.run(
            [*command, "--json", str(file)], cwd=ROOT, check=False, stdout=subprocess.DEVNULL
        )
        [found] = json.loads(file.read_text(encoding="utf-8"))["targets"]
        return found

    return [kept.once("fuzz", name, lambda name=name: run(name)) for name in names]


# Tables ------------------------------------------------------------------------------------------


def _table(columns: str, rows: list[list[Any]]) -> str:
    names = columns.split("|")
    rules = [":---" if number == 0 else "---:" for number in range(len(names))]
    lines = [" | ".join(str(cell) for cell in row) for row in [names, rules, *rows]]
    return "\n".join(f"| {line} |" for line in lines)


def _seconds(value: float | None) -> str:
    return "" if value is None else f"{value:.2f}"


def kills_table(found: list[dict[str, Any]]) -> str:
    """Kills."""
    rows = [
        [
            *(one["name"], f"{one['seconds']:.0f}", one["kills"], one["runs"]),
            *(len(one["differ"]), one["left"], len(one["failed"])),
        ]
        for one in found
    ]
    return _table("run|seconds|kills|ends|files that differ|processes left|failed", rows)


def disk_table(found: list[dict[str, Any]]) -> str:
    """Full disks."""
    rows = [
        [one["name"], f"{one['after']:.1f}", one["code"], _one_line(one), len(one["differ"])]
        for one in found
    ]
    return _table("run|full after (s)|exit code|lines on stderr|files that differ in the end", rows)


def _one_line(one: dict[str, Any]) -> int:
    return len(one["said"].strip().splitlines())


def interrupts_table(found: list[dict[str, Any]]) -> str:
    """Latencies."""
    rows = []
    for name in dict.fromkeys(one["name"] for one in found):
        mine = [one for one in found if one["name"] == name]
        sent = {s: [one for one in mine if one["sent"] == s] for s in ("SIGINT", "SIGTERM")}
        answered = [one["seconds"] for one in sent["SIGINT"] if one["seconds"] is not None]
        ended = [one["seconds"] for one in sent["SIGTERM"] if one["seconds"] is not None]
        codes = sorted({one["code"] for one in mine if one["seconds"] is not None} - {None})
        rows.append(
            [
                name,
                _seconds(max(answered, default=None)) or "ended before",
                _seconds(max(ended, default=None)),
                ", ".join(map(str, codes)),
                sum(one["left"] for one in mine),
                sum(bool(_unwanted(one)) for one in mine),
            ]
        )
    return _table("call|Ctrl-C (s)|SIGTERM (s)|exit codes|processes left|printed", rows)


def _unwanted(one: dict[str, Any]) -> str:
    """What was printed beside a command's own progress and its one sentence at the end."""
    if one["seconds"] is None:
        return ""  # it had ended before, and says what it always says
    *before, last = one["said"].strip().splitlines() or [""]
    own = all(_PROGRESS.match(line) for line in before)
    return "" if own and (not last or last.startswith("ganmf: interrupted")) else str(one["said"])


# Lines of `reproduce` where its output is no terminal.
_PROGRESS = re.compile(r"data: Splits|\[\d+/\d+\] ")


def threads_table(found: list[dict[str, Any]]) -> str:
    """Threads."""
    rows = [[f"`{one['model']}`", "yes" if one["same"] else "**no**"] for one in found]
    return _table("model|same bits on one thread and on two", rows)


def fuzz_table(found: list[dict[str, Any]]) -> str:
    """Fuzzing."""
    kinds = ("death", "time-out", "memory", "exception", "wrong", "warning", "message")
    rows = [
        [
            *(one["target"], f"{one['cases']:,}", f"{one['accepted']:,}", f"{one['refused']:,}"),
            *(one["kinds"].get(kind, 0) for kind in kinds),
        ]
        for one in found
    ]
    return _table(f"target|cases|accepted|refused|{'|'.join(kinds)}", rows)


MEASURE = {
    "kills": (measure_kills, kills_table),
    "disk": (measure_disk, disk_table),
    "interrupts": (measure_interrupts, interrupts_table),
    "threads": (measure_threads, threads_table),
    "fuzz": (measure_fuzz, fuzz_table),
}


def faults(part: str, found: list[dict[str, Any]]) -> list[str]:
    """What is not as it should be."""
    match part:
        case "kills":
            bad = [o for o in found if o["differ"] or o["left"] or o["failed"]]
            return [f"{o['name']}: {o['differ']} {o['left']} {o['failed']}" for o in bad]
        case "disk":
            bad = [o for o in found if o["differ"] or (o["code"] and _one_line(o) != 1)]
            return [f"{o['name']}: {o['differ']} {o['said']!r}" for o in bad]
        case "interrupts":
            late = [o for o in found if (o["seconds"] or 0.0) > ANSWER_SECONDS]
            texts = [f"{o['name']}: {o['sent']} took {o['seconds']:.1f} s" for o in late]
            texts += [f"{o['name']}: printed {_unwanted(o)!r}" for o in found if _unwanted(o)]
            return texts + [f"{o['name']}: left {o['left']}" for o in found if o["left"]]
        case "threads":
            return [one["model"] for one in found if not one["same"]]
    return [f"{o['target']}: {f['kind']} {f['text'][:200]}" for o in found for f in o["found"]]


def write(content: dict[str, Any]) -> None:
    """The results, and the tables of the page between their marks."""
    # What commands said holds paths, which are those of this machine.
    text = json.dumps(content, indent=1).replace(f"{ROOT}/", "")
    RESULTS.write_text(f"{text}\n", encoding="utf-8")
    page = PAGE.read_text(encoding="utf-8")
    about = content["about"]
    for part, found in content["parts"].items():
        begin, end = f"<!-- begin: {part} -->", f"<!-- end: {part} -->"
        before, _, rest = page.partition(begin)
        after = rest.partition(end)[2]
        when = about[part]
        head = f"{when['date']}, {when['machine']}{', quick' if when['quick'] else ''}"
        table = MEASURE[part][1](found) if found else "Not measured: it needs root."
        page = f"{before}{begin}\n\n{head}\n\n{table}\n\n{end}{after}"
    PAGE.write_text(page, encoding="utf-8")


def main() -> int:
    """Measure what is asked for, and write everything anew."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--only", default=",".join(PARTS), help="parts with commas between them")
    parser.add_argument(
        "--targets", default=",".join(FUZZED), help="of the fuzzer, with commas between them"
    )
    parser.add_argument("--quick", action="store_true", help="a few of each")
    parser.add_argument("--fresh", action="store_true", help="measure again what was kept")
    parser.add_argument("--scratch", type=Path, default=KEPT / "scratch", help="folder to work in")
    arguments = parser.parse_args()
    wanted = arguments.only.split(",")
    if unknown := [part for part in wanted if part not in PARTS]:
        parser.error(f"there is no part {unknown[0]!r}; parts are {', '.join(PARTS)}")
    targets = arguments.targets.split(",")
    if unknown := [target for target in targets if target not in FUZZED]:
        parser.error(f"there is no target {unknown[0]!r}; targets are {', '.join(FUZZED)}")
    kept = Kept(KEPT, arguments.quick)
    content: dict[str, Any] = {"about": {}, "parts": {}}
    if RESULTS.is_file():
        content = json.loads(RESULTS.read_text(encoding="utf-8"))
    bad = 0
    for part in wanted:
        if arguments.fresh:
            shutil.rmtree(kept.folder / part, ignore_errors=True)
        arguments.scratch.mkdir(parents=True, exist_ok=True)
        scratch = arguments.scratch.absolute()
        if part == "fuzz":
            rows = {row["target"]: row for row in content["parts"].get(part, [])}
            new = measure_fuzz(kept, scratch, arguments.quick, targets)
            rows |= {row["target"]: row for row in new}
            found = [rows[name] for name in FUZZED if name in rows]
        else:
            found = MEASURE[part][0](kept, scratch, arguments.quick)
        content["parts"][part] = found
        content["about"][part] = {
            "date": str(dt.datetime.now(dt.UTC).date()),
            "machine": f"{os.cpu_count()} cores of an {processor()}",
            "quick": arguments.quick,
        }
        write(content)
        for text in faults(part, found):
            print(f"{part}: FAULT {text}", flush=True)
            bad += 1
    print(f"{bad} faults; {RESULTS.relative_to(ROOT)} and {PAGE.relative_to(ROOT)} are written")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
