"""What a block of work takes, as run folders record it."""

import sys

import numpy as np
import pytest

from ganmf_fast.experiments.environment import measured

linux = pytest.mark.skipif(sys.platform != "linux", reason="peaks are reset on Linux alone")


@linux
def test_memory_of_before_is_not_that_of_a_block() -> None:
    held = np.ones(16 * 2**20)  # 128 MiB
    with measured() as cost:
        taken = np.ones(8 * 2**20)  # 64 MiB
        del taken
    assert held.nbytes == 2**27
    assert cost.extra_mib is not None
    assert 60 <= cost.extra_mib <= 80
    assert cost.peak_mib >= 192


@linux
def test_memory_that_was_freed_counts_again() -> None:
    # In pieces that stay with the allocator when they are freed.
    pieces = [np.ones(2**13) for _ in range(1024)]
    del pieces
    with measured() as cost:
        pieces = [np.ones(2**13) for _ in range(1024)]
    assert len(pieces) == 1024
    assert cost.extra_mib is not None
    assert 60 <= cost.extra_mib <= 80


def test_an_idle_block_takes_next_to_nothing() -> None:
    with measured() as cost:
        pass
    assert cost.extra_mib is None or cost.extra_mib < 2
    assert cost.seconds < 5
