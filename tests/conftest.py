import os
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

PUBLISHED = ("lastfm", "hetrec2011", "ml-1m")


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
