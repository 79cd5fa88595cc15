"""Install a wheel as a stranger does, and run the first code of the README.

``python -m tests.fresh_install dist/NAME.whl`` makes a virtual environment in a folder of its own,
hides Rust and this checkout from it, installs the wheel with what it depends on, and says how long
everything took. It fails if torch comes along, if the import is slow, or if the code fails.
"""

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

README = Path(__file__).resolve().parents[1] / "README.md"
SLOWEST_IMPORT = 0.3
IMPORTED = """
import time
start = time.perf_counter()
import ganmf_fast
print(time.perf_counter() - start)
"""


def first_block() -> str:
    """The first Python code of the README."""
    found = re.search(
        r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE
    )
    assert found is not None
    return found[1]


def environment() -> dict[str, str]:
    """Variables of a process that sees neither Rust nor Python packages from elsewhere."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "VIRTUAL_ENV"))}
    hidden = [
        where
        for where in os.environ["PATH"].split(os.pathsep)
        if not any(shutil.which(tool, path=where) for tool in ("cargo", "rustc"))
    ]
    return {**kept, "PATH": os.pathsep.join(hidden)}


def main(wheel: Path) -> None:
    """Install, import, run."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        env = environment()
        assert shutil.which("cargo", path=env["PATH"]) is None

        def timed(*command: str) -> tuple[float, str]:
            start = time.perf_counter()
            done = subprocess.run(
                command, cwd=folder, env=env, check=True, capture_output=True, text=True
            )
            return time.perf_counter() - start, done.stdout

        subprocess.run([sys.executable, "-m", "venv", str(folder / "fresh")], check=True)
        scripts = folder / "fresh" / ("Scripts" if os.name == "nt" else "bin")
        python = str(scripts / "python")
        pip = (python, "-m", "pip", "--disable-pip-version-check")
        # Downloaded first, so that what is measured does not depend on the network.
        timed(*pip, "download", "--only-binary=:all:", "--dest", "wheels", str(wheel.resolve()))
        installing, _ = timed(
            *pip, "install", "--no-index", "--find-links", "wheels", str(wheel.resolve())
        )
        _, packages = timed(*pip, "list", "--format=freeze")
        names = [line.partition("==")[0].lower().replace("_", "-") for line in packages.split()]
        assert "ganmf-fast" in names
        assert "torch" not in names, names
        imports = [float(timed(python, "-c", IMPORTED)[1]) for _ in range(3)]
        first, printed = timed(python, "-c", first_block())
        again, _ = timed(python, "-c", first_block())
        assert printed.strip()
        assert min(imports) < SLOWEST_IMPORT, imports
        size = sum(f.stat().st_size for f in (folder / "fresh").rglob("*") if f.is_file())
        print(printed)
        print(
            f"{wheel.name}: installed in {installing:.1f} s ({len(names)} packages, "
            f"{size / 1e6:.0f} MB), import {min(imports):.2f} s, first code of the README "
            f"{first:.1f} s, again {again:.1f} s"
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
