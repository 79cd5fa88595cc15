"""Kill `ganmf reproduce all` at random moments and compare what it leaves with one quiet run.

    python benches/python/kill_reproduce.py [--kills 10] [--seed 1] [--folder DIR]
        [-- OPTIONS OF ganmf reproduce all]

By default on simulated data with `--quick`. Every file must have the same bytes, apart from times:
`cost` and `history.json`'s seconds, the table of costs, and what the configuration says of the
machine. Ends with 0 if so.
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

COMMAND = [sys.executable, "-c", "import sys; from ganmf_fast.cli import main; sys.exit(main())"]


def outcome(run: Path) -> dict[str, bytes]:
    """All that a run says, apart from times."""
    found = {}
    for path in sorted(run.rglob("*")):
        if not path.is_file() or path.name == ".lock":
            continue
        name, content = str(path.relative_to(run)), path.read_bytes()
        if path.name == "table.md":
            content = content.partition(b"## Cost")[0]
        elif path.suffix == ".json":
            content = json.dumps(_timeless(json.loads(content))).encode()
        found[name] = content
    return found


def _timeless(content: Any) -> Any:
    """The same without measured times, and without checksums of what holds some."""
    if isinstance(content, list):
        return [_timeless(part) for part in content]
    if not isinstance(content, dict):
        return content
    drop = ("cost", "sha256", "history.json", "environment")
    return {
        key: _timeless(value)
        for key, value in content.items()
        if key not in drop and not key.endswith("seconds")
    }


def main() -> int:
    """Run as described above."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--folder", type=Path)
    args, options = parser.parse_known_args()
    options = [o for o in options if o != "--"] or ["--data", "demo", "--quick", "--threads", "1"]
    folder = args.folder or Path(tempfile.mkdtemp(prefix="kill-"))
    command = [*COMMAND, "reproduce", "all", *options, "--quiet", "--output"]

    began = time.perf_counter()
    subprocess.run([*command, folder / "whole"], check=True, stdout=subprocess.DEVNULL)
    whole = time.perf_counter() - began
    print(f"one quiet run: {whole:.0f} s", flush=True)

    rng = np.random.default_rng(args.seed)
    for number in range(args.kills):
        process = subprocess.Popen([*command, folder / "killed"], stdout=subprocess.DEVNULL)
        # A start takes seconds of its own.
        moment = 3 + rng.uniform(0, whole / 2)
        try:
            process.wait(moment)
            print(f"kill {number + 1}: the run had ended by itself", flush=True)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            cells = len(list((folder / "killed").glob("*/models/[!.]*/result.json")))
            print(f"kill {number + 1} after {moment:.1f} s: {cells} cells are there", flush=True)
    subprocess.run([*command, folder / "killed"], check=True, stdout=subprocess.DEVNULL)

    expected, found = outcome(folder / "whole"), outcome(folder / "killed")
    names = sorted({*expected, *found})
    other = [name for name in names if expected.get(name) != found.get(name)]
    print(f"{len(names)} files, of which {len(other)} differ: {', '.join(other) or 'none'}")
    return 1 if other else 0


if __name__ == "__main__":
    sys.exit(main())
