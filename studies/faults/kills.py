"""Runs that are killed at random moments: they end as if they had not been."""

import shutil
import signal
import subprocess
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from faults.interrupts import left_behind
from faults.runs import Run, differences, outcome, quiet_run

__all__ = ["kill"]


@dataclass
class Killed:
    """What became of a run that was killed."""

    name: str
    seconds: float
    """Of a quiet run."""
    kills: int = 0
    runs: int = 0
    """Runs that went on to the end between kills, each of them compared with the quiet one."""
    differ: tuple[str, ...] = ()
    """Files that were not as the quiet run left them."""
    left: int = 0
    """Processes that outlived the one that was killed."""
    failed: tuple[str, ...] = ()
    """What commands said that could not go on."""


def kill(run: Run, splits: Path, folder: Path, n_kills: int, rng: Random) -> dict[str, Any]:
    """Kill a run so many times, letting it go on each time, and compare what it leaves."""
    shutil.rmtree(folder, ignore_errors=True)
    expected, seconds = quiet_run(run, splits, folder / "quiet")
    found = Killed(run.name, seconds)
    output = folder / "killed"
    while found.kills < n_kills:
        ended = _killed(run, splits, output, rng.uniform(0.2, seconds), found)
        if ended:
            _compare(expected, output, found)
    with run.start(splits, output) as process:
        _, said = process.communicate()
    if process.returncode:
        found.failed += (said,)
    _compare(expected, output, found)
    shutil.rmtree(folder)
    return asdict(found)


def _killed(run: Run, splits: Path, output: Path, after: float, found: Killed) -> bool:
    """Start and kill; whether the run had ended before."""
    with run.start(splits, output) as process:
        try:
            _, said = process.communicate(timeout=after)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            found.kills += 1
            found.left += left_behind(process.pid)
            return False
        if process.returncode:
            found.failed += (said,)
            shutil.rmtree(output)
        return process.returncode == 0


def _compare(expected: dict[str, Any], output: Path, found: Killed) -> None:
    if output.is_dir():
        found.runs += 1
        found.differ += tuple(differences(expected, outcome(output)))
        shutil.rmtree(output)
