"""The Python environment of the other packages, apart from the library's own.

Their requirements pull numpy and others back and forth, so they never touch the environment that
the library is developed in. They are installed one by one: one that fails is named in the report
and takes none of the others with it.
"""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
STATE = "bench-peers.json"
"""What was installed, and what pip said where it failed; absent where it was not made here."""

# Threads of every library that looks at its environment: one. The choice of BLAS kernels is left
# to the processor, which a variable of these names would override.
_ONE_THREAD = (
    "OMP_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "MKL_NUM_THREADS",
    "BLIS_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "NUMBA_NUM_THREADS",
    "NUMEXPR_NUM_THREADS",
    "LK_NUM_THREADS",
    "LK_NUM_BACKEND_THREADS",
    "IRSPACK_NUM_THREADS_DEFAULT",
)
_UNSET = ("OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE", "GOTO_NUM_THREADS")


@dataclass(frozen=True)
class Environment:
    """An interpreter with other packages.

    Attributes
    ----------
    python : Path
    versions : dict
        Of the packages found.
    failures : dict
        Why a package is absent, by package.
    """

    python: Path
    versions: dict[str, str]
    failures: dict[str, str]


def variables(cache: Path) -> dict[str, str]:
    """The environment variables of a measured process."""
    kept = {k: v for k, v in os.environ.items() if k not in _UNSET}
    return {
        **kept,
        **dict.fromkeys(_ONE_THREAD, "1"),
        "PYTHONPATH": str(ROOT / "benches" / "python"),
        "PYTHONDONTWRITEBYTECODE": "1",
        "TQDM_DISABLE": "1",
        "BENCH_PEERS_CACHE": str(cache),
    }


def requirements() -> dict[str, str]:
    """Requirements of the extra `bench`, by package."""
    with (ROOT / "pyproject.toml").open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]["bench"]
    return {re.split(r"[^\w.-]", spec, maxsplit=1)[0]: spec for spec in extras}


def ready(folder: Path) -> Environment:
    """The environment in `folder`, made now if it is not there.

    One that exists already is used as it is, unless it was made here and lacks a requirement.
    """
    python = folder / "bin" / "python"
    state_file = folder / STATE
    if not python.exists():
        print(f"Making the virtual environment {folder} for the other packages", flush=True)
        _make(folder, python)
        state_file.write_text("{}", encoding="utf-8")
    failures: dict[str, str] = {}
    if state_file.exists():
        failures = _install(python, state_file)
    wanted = requirements()
    found = _versions(python, [*wanted, "numpy", "scipy"])
    absent = {p: failures.get(p, "not installed") for p in wanted if p not in found}
    return Environment(python, found, absent)


def _make(folder: Path, python: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    # Below it the packages of this environment, so that torch is not fetched a second time.
    site = _output(python, "import site; print(site.getsitepackages()[0])")
    own = _output(Path(sys.executable), "import sys; print(*sys.path[1:], sep='\\n')")
    below = [line for line in own.splitlines() if line.endswith("-packages")]
    Path(site, "inherited.pth").write_text("\n".join(below) + "\n", encoding="utf-8")


def _install(python: Path, state_file: Path) -> dict[str, str]:
    """Install what was not tried before; why packages failed."""
    state: dict[str, str] = json.loads(state_file.read_text(encoding="utf-8"))
    for package, spec in requirements().items():
        if state.get(spec) == "":
            continue
        print(f"Installing {spec}", flush=True)
        pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--no-input", "install"]
        done = subprocess.run([*pip, "--quiet", spec], capture_output=True, text=True, check=False)
        errors = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        why = errors[-1] if errors else f"pip ended with {done.returncode}"
        state[spec] = "" if done.returncode == 0 else f"does not install: {why}"[:200]
        if done.returncode:
            print(f"{package} {state[spec]}", flush=True)
        state_file.write_text(json.dumps(state, indent=2), encoding="utf-8")
    return {p: state[spec] for p, spec in requirements().items() if state[spec]}


def _versions(python: Path, packages: list[str]) -> dict[str, str]:
    code = (
        "import importlib.metadata as m, json, sys\n"
        "found = {}\n"
        "for p in sys.argv[1:]:\n"
        "    try: found[p] = m.version(p)\n"
        "    except m.PackageNotFoundError: pass\n"
        "print(json.dumps(found))"
    )
    versions: dict[str, str] = json.loads(_output(python, code, *packages))
    return versions


def _output(python: Path, code: str, *arguments: str) -> str:
    command = [str(python), "-c", code, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
