"""Runs on a disk that fills up: a sentence, and afterwards the same end as on one that did not."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

from faults.runs import Run, differences, outcome, quiet_run

__all__ = ["cannot_mount", "fill"]

SIZE = 64 * 2**20


@dataclass
class Filled:
    """What became of a run whose disk was full from some moment on."""

    name: str
    after: float
    """Seconds until the disk was full."""
    code: int
    """Exit code on the full disk; 0 if nothing more had to be written."""
    said: str
    differ: tuple[str, ...]
    """Files that were not as a quiet run left them, once there was room again."""


def cannot_mount() -> str:
    """Why there can be no small disk here; empty if there can."""
    if os.name != "posix" or os.geteuid() != 0:
        return "only root can mount a small disk, and this is another user"
    if shutil.which("mount") is None:
        return "there is no program called mount"
    return ""


@contextlib.contextmanager
def _small_disk(place: Path) -> Iterator[Path]:
    place.mkdir(parents=True, exist_ok=True)
    options = ["-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
    subprocess.run(["mount", *options], check=True)
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def fill(run: Run, splits: Path, folder: Path, n_times: int, rng: Random) -> list[dict[str, Any]]:
    """Fill the disk of a run at random moments, each time of a new one."""
    shutil.rmtree(folder, ignore_errors=True)
    expected, seconds = quiet_run(run, splits, folder / "quiet")
    found = []
    for _ in range(n_times):
        with _small_disk(folder / "disk") as disk:
            after = rng.uniform(0.2, 0.9) * seconds
            found.append(asdict(_filled(run, splits, disk, after, expected)))
    shutil.rmtree(folder, ignore_errors=True)
    return found


def _filled(run: Run, splits: Path, disk: Path, after: float, expected: Any) -> Filled:
    with run.start(splits, disk / "output") as process:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(after)
        _take_all(disk / "filler")
        _, said = process.communicate()
    code = process.returncode
    (disk / "filler").unlink()
    with run.start(splits, disk / "output") as process:
        _, again = process.communicate()
    differ = differences(expected, outcome(disk / "output"))
    if process.returncode:
        differ.append(f"(ended with {process.returncode}: {again})")
    return Filled(run.name, after, code, said, tuple(differ))


def _take_all(path: Path) -> None:
    """Write until there is no room."""
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        for size in (2**20, 2**12, 1):
            with contextlib.suppress(OSError):
                while True:
                    file.write(bytes(size))
