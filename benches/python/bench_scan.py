"""Reading a log in a stream, beside reading it at once."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf

Measure = Callable[[Callable[[], object], int, str], Any]


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The simulated data set as a parquet file, in no order."""
    X = gf.datasets.load("demo").urm.tocoo()
    order = np.random.default_rng(0).permutation(X.nnz)
    path = tmp_path_factory.mktemp("log") / "log.parquet"
    pl.DataFrame({"user": X.row[order], "item": X.col[order]}).write_parquet(path)
    return path


@pytest.mark.parametrize("read", [gf.Interactions.scan, gf.Interactions.from_parquet])
def test_read(measure: Measure, log: Path, read: Callable[..., gf.Interactions]) -> None:
    rows = pl.scan_parquet(log).select(pl.len()).collect().item()
    data = measure(lambda: read(log), rows, "interactions")
    assert data.n_interactions == rows
