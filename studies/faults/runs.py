"""Long commands that write as they go, and what each of them has to leave in the end.

What is compared has no times in it: neither dates nor seconds, nor checksums of files with some.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.files import checksum, read_tensors
from ganmf_fast.base.urm import to_scipy

__all__ = ["RUNS", "Run", "differences", "outcome", "prepare", "quiet_run"]

PROGRAM = "import sys; from ganmf_fast.cli import main; sys.exit(main())"
_TIMES = {"seconds", "fit_seconds", "finished", "created", "cost", "sha256", "history.json"}
_TIMES |= {"environment", "updated"}


def prepare(folder: Path) -> None:
    """Write the splits that all runs begin with."""
    if not (folder / "splits.json").is_file():
        splits = gf.split.paper_protocol(to_scipy(_core.demo_urm(1, 600, 800)), seed=1)
        splits.save(folder)


@dataclass(frozen=True)
class Run:
    """A command."""

    name: str
    tokens: tuple[str, ...]
    """Of the command line; ``{splits}`` and ``{output}`` stand for folders."""

    def start(self, splits: Path, output: Path, **given: Any) -> "subprocess.Popen[str]":
        """Start it; what it says goes to a pipe."""
        output.mkdir(parents=True, exist_ok=True)
        tokens = [token.format(splits=splits, output=output) for token in self.tokens]
        kept = {k: v for k, v in os.environ.items() if not k.startswith("GANMF_")}
        return subprocess.Popen(
            [sys.executable, "-c", PROGRAM, *tokens, "--quiet"],
            env={**kept, "XDG_CONFIG_HOME": os.devnull, "XDG_DATA_HOME": str(output.parent)},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            **given,
        )


def _lines(path: Path) -> list[Any]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return sorted(json.dumps(_timeless(json.loads(line)), sort_keys=True) for line in lines)


def _timeless(content: Any) -> Any:
    if isinstance(content, list):
        return [_timeless(part) for part in content]
    if not isinstance(content, dict):
        return content
    kept = {k: v for k, v in content.items() if k not in _TIMES and not k.endswith("_seconds")}
    return {key: _timeless(value) for key, value in kept.items()}


def outcome(output: Path) -> dict[str, Any]:
    """All that a run leaves, without times: every file by its name."""
    found: dict[str, Any] = {}
    for path in sorted(output.rglob("*")):
        name = str(path.relative_to(output))
        if not path.is_file() or path.name == ".lock":
            continue
        if path.suffix == ".jsonl":
            found[name] = _lines(path)
        elif path.suffix == ".json":
            found[name] = _timeless(json.loads(path.read_bytes()))
        elif path.name == "table.md":
            found[name] = path.read_bytes().partition(b"## Cost")[0]
        elif path.suffix == ".safetensors":
            found[name] = _model(path)
        else:
            found[name] = path.read_bytes()
    return found


def _model(path: Path) -> Any:
    text, tensors, sound = read_tensors(path, "ganmf_fast")
    description = _timeless(json.loads(text or "{}"))
    # The place of a checkpoint is another in each run.
    description["params"].pop("checkpoint_path", None)
    return description, checksum("", tensors), sound


RUNS = (
    Run(
        "search",
        (
            *("tune", "ItemKNN-cosine", "--data", "{splits}", "--output", "{output}/search"),
            *("--calls", "40", "--backend", "random", "--threads", "1"),
        ),
    ),
    Run(
        "reproduce",
        (
            *("reproduce", "table2", "--data", "{splits}", "--output", "{output}/run", "--quick"),
            *("--models", "TopPopular,PureSVD,ItemKNN-cosine,P3alpha,EASE,GANMF-u,GANMF-i"),
            *("--device", "cpu", "--threads", "1"),
        ),
    ),
    Run(
        "GAN fit",
        (
            *("fit", "GANMF", "--data", "{splits}", "--output", "{output}/model.safetensors"),
            *("--fit-on", "train_small", "--validate-on", "early_stop", "--device", "cpu"),
            *("--param", "checkpoint_every=1", "--param", "epochs=60"),
            *("--param", "allow_worse=100", "--param", "checkpoint_path={output}/state"),
            *("--threads", "1"),
        ),
    ),
    Run(
        "search of GANs",
        (
            *("tune", "GANMF-u", "--data", "{splits}", "--output", "{output}/search"),
            *("--calls", "8", "--backend", "random", "--param", "epochs=10", "--device", "cpu"),
            *("--threads", "1", "--no-final"),
        ),
    ),
)
"""A search, a reproduction, a GAN with checkpoints, and a search of GANs."""


def quiet_run(run: Run, splits: Path, output: Path) -> tuple[dict[str, Any], float]:
    """What a run leaves that nothing disturbs, and its seconds.

    Raises
    ------
    RuntimeError
        If it fails.
    """
    began = time.perf_counter()
    with run.start(splits, output) as process:
        _, said = process.communicate()
    if process.returncode:
        raise RuntimeError(f"{run.name} ended with {process.returncode}: {said}")
    return outcome(output), time.perf_counter() - began


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """Names of files that differ."""
    return [n for n in sorted({*expected, *found}) if expected.get(n) != found.get(n)]
