"""The simulated data, and a throughput beside every timing."""

from collections.abc import Callable

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

import ganmf_fast as gf

_THROUGHPUT = pytest.StashKey[list[tuple[str, int, str]]]()


@pytest.fixture(scope="session")
def splits() -> gf.Splits:
    """The paper's protocol on the simulated data set."""
    return gf.split.paper_protocol(gf.datasets.load("demo"), seed=1337)


@pytest.fixture
def measure(benchmark: BenchmarkFixture, request: pytest.FixtureRequest) -> Callable[..., object]:
    """Time a call and note how many `unit` of its `count` it does in a second."""

    def run(call: Callable[[], object], count: int, unit: str) -> object:
        result = benchmark(call)
        if benchmark.stats is not None:  # None under --benchmark-disable
            rate = round(count / benchmark.stats.stats.median)
            benchmark.extra_info[f"{unit}_per_s"] = rate
            rates = request.config.stash.setdefault(_THROUGHPUT, [])
            rates.append((request.node.name, rate, unit))
        return result

    return run


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    rates = terminalreporter.config.stash.get(_THROUGHPUT, [])
    if rates:
        terminalreporter.section("throughput (median)")
        for name, rate, unit in rates:
            terminalreporter.write_line(f"{name:<42} {rate:>14,} {unit}/s")
