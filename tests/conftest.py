import contextlib
import io
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from ganmf_fast.base.progress import set_quiet
from ganmf_fast.cli import main

PUBLISHED = ("lastfm", "hetrec2011", "ml-1m")
# OpenBLAS picks kernels by the processor; those for AVX2 run on nearly all.
_AVX2 = {"OPENBLAS_CORETYPE": "Haswell"}


def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> bool | None:
    """Run a test marked `avx2_blas` in a process of its own, with these kernels."""
    if not pyfuncitem.get_closest_marker("avx2_blas") or _AVX2.items() <= os.environ.items():
        return None
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", pyfuncitem.nodeid]
    done = subprocess.run(
        command,
        cwd=pyfuncitem.config.rootpath,
        env={**os.environ, **_AVX2},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        pytest.fail(f"with {_AVX2}:\n{done.stdout}{done.stderr}", pytrace=False)
    return True


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """Folder with the published splits and two raw files."""
    root = Path(__file__).resolve().parents[1]
    folder = Path(os.environ.get("GANMF_TEST_DATA", root.parent / "shared" / "data"))
    missing = [name for name in PUBLISHED if not (folder / name / "train.npz").is_file()]
    if missing:
        pytest.skip(
            f"real data are absent: {folder} lacks {', '.join(missing)} (set GANMF_TEST_DATA)"
        )
    return folder


@pytest.fixture
def toy_urm() -> sp.csr_array:
    """60 users x 40 items, ones, at least four items a user, popularity falling with the index."""
    rng = np.random.default_rng(7)
    weights = 1 / np.arange(1, 41)
    rows, cols = [], []
    for user in range(60):
        size = int(rng.integers(4, 16))
        items = rng.choice(40, size=size, replace=False, p=weights / weights.sum())
        rows += [user] * size
        cols += items.tolist()
    urm = sp.csr_array((np.ones(len(rows), np.float32), (rows, cols)), shape=(60, 40))
    urm.sort_indices()
    return urm


# Ctrl-C is heard even where whoever runs the tests ignores it.
_COMMAND = (
    "import signal, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
    "from ganmf_fast.cli import main; sys.exit(main())"
)


def _call(tokens: tuple[object, ...], env: Mapping[str, str] | None) -> dict[str, object]:
    """Start `ganmf` as another process, without the settings of whoever runs the tests."""
    kept = {k: v for k, v in os.environ.items() if not k.startswith("GANMF_")}
    for name in ("NO_COLOR", "FORCE_COLOR"):
        kept.pop(name, None)
    kept["XDG_CONFIG_HOME"] = os.devnull
    return {
        "args": [sys.executable, "-c", _COMMAND, *map(str, tokens)],
        "env": {**kept, **(env or {})},
        "text": True,
    }


@pytest.fixture(scope="session")
def ganmf() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line within this process, which saves the imports."""

    def run(*tokens, env=None, cwd=None):
        out, err = io.StringIO(), io.StringIO()
        with pytest.MonkeyPatch.context() as patch:
            for name in [name for name in os.environ if name.startswith("GANMF_")]:
                patch.delenv(name)
            for name, value in {"XDG_CONFIG_HOME": os.devnull, **(env or {})}.items():
                patch.setenv(name, value)
            if cwd is not None:
                patch.chdir(cwd)
            with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
                code = main(list(map(str, tokens)))
        set_quiet(False)
        return subprocess.CompletedProcess(tokens, code, out.getvalue(), err.getvalue())

    return run


@pytest.fixture(scope="session")
def ganmf_process() -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the command line as another process, as a user does, and wait."""

    def run(*tokens, env=None, cwd=None):
        return subprocess.run(
            **_call(tokens, env), cwd=cwd, capture_output=True, timeout=120, check=False
        )

    return run


@pytest.fixture(scope="session")
def start() -> Callable[..., subprocess.Popen[str]]:
    """Start the command line without waiting for it."""

    def run(*tokens, env=None):
        return subprocess.Popen(
            **_call(tokens, env), stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    return run
