import contextlib
import io
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path

# Two workers of pytest-xdist share the processors: BLAS and torch begin with one thread in each.
# Tests of several threads set their number; Rust has as many as there are processors.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
# OpenBLAS picks kernels by the processor, and the last bits follow; those for AVX2 run on nearly
# all, and tests of published figures that turn on last bits are right with them.
os.environ.setdefault("OPENBLAS_CORETYPE", "Haswell")

import numpy as np
import pytest
import scipy.sparse as sp
from threadpoolctl import threadpool_limits

import ganmf_fast as gf
from ganmf_fast import _core
from ganmf_fast.base.progress import set_quiet
from ganmf_fast.cli import main

# Fixtures that start processes.
STARTING = {"ganmf_process", "start", "ranks", "browser"}
PUBLISHED = ("lastfm", "hetrec2011", "ml-1m")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what fixtures decide; what takes long comes first, so that workers end together."""
    for item in items:
        fixtures = set(getattr(item, "fixturenames", ()))
        if "data_dir" in fixtures:
            item.add_marker(pytest.mark.real_data)
        if fixtures & STARTING:
            item.add_marker(pytest.mark.processes)
        if item.get_closest_marker("processes"):
            item.add_marker(pytest.mark.slow)
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip tests marked `gpu` where there is none."""
    if item.get_closest_marker("gpu"):
        torch = pytest.importorskip("torch", reason="GANs need torch, which is not installed")
        if not torch.cuda.is_available():
            pytest.skip("torch finds no CUDA GPU")


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


@pytest.fixture(scope="session")
def demo_splits() -> gf.Splits:
    return gf.split.paper_protocol(gf.datasets.load("demo"), seed=1)


@pytest.fixture
def threads_restored() -> Iterator[None]:
    """Give back the numbers of threads that the test changes: of Rust, BLAS and torch."""
    rust = _core.get_num_threads()
    torch = sys.modules.get("torch")
    of_torch = torch and torch.get_num_threads()
    with threadpool_limits():
        yield
    _core.set_num_threads(rust)
    if torch is not None:
        torch.set_num_threads(of_torch)


@cache
def _toy_urm() -> sp.csr_array:
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


@pytest.fixture
def toy_urm() -> sp.csr_array:
    """60 users x 40 items, ones, at least four items a user, popularity falling with the index."""
    return _toy_urm().copy()


@pytest.fixture
def toy_held_out(toy_urm: sp.csr_array) -> sp.csr_array:
    """Other interactions of the same users, a tenth of those that they have not."""
    there = np.random.default_rng(8).random(toy_urm.shape) < 0.1
    return sp.csr_array((there & (toy_urm.toarray() == 0)).astype(np.float32))


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
        logger = logging.getLogger("ganmf_fast")
        logger.handlers = []
        logger.setLevel(logging.NOTSET)
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

    def run(*tokens, env=None, out=subprocess.PIPE):
        return subprocess.Popen(**_call(tokens, env), stdout=out, stderr=subprocess.PIPE)

    return run
