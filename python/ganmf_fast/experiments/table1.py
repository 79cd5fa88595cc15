"""The paper's table 1: what the data sets are like."""

import json
from collections.abc import Sequence
from typing import ClassVar

import numpy as np

from ganmf_fast import reference
from ganmf_fast.base.urm import as_csr
from ganmf_fast.experiments import environment
from ganmf_fast.experiments.experiment import published_dataset
from ganmf_fast.results.result_table import Entry, Key, ResultTable, Run
from ganmf_fast.results.store import FORMAT, Store
from ganmf_fast.results.tables import write_tables
from ganmf_fast.split import Splits


def statistics(splits: Splits) -> dict[Key, float]:
    """Size, density and evenness of a data set, all parts of its split together.

    Returns
    -------
    dict
        users and items (rows and columns of the matrix), empty_items (columns without an
        interaction), interactions, density in percent of users times items, per_user and per_item
        (mean interactions), and gini: 0 if all items have as many interactions, near 1 if few
        items have all.
    """
    csr = as_csr(splits.urm, "splits")
    counts = np.sort(np.bincount(csr.indices, minlength=csr.n_cols)).astype(np.float64)
    users, items, cells = csr.n_rows, csr.n_cols, float(csr.nnz)
    rank = np.arange(1, items + 1)
    return {
        ("users", None): float(users),
        ("items", None): float(items),
        ("empty_items", None): float(np.count_nonzero(counts == 0)),
        ("interactions", None): cells,
        ("density", None): 100 * cells / (users * items),
        ("per_user", None): cells / users,
        ("per_item", None): cells / items,
        ("gini", None): float(2 * (rank * counts).sum() / (items * cells) - (items + 1) / items),
    }


class Table1:
    """Statistics of data sets, in one folder.

    Parameters
    ----------
    data : sequence of Splits
    store : Store
    """

    name: ClassVar[str] = "table1"

    def __init__(self, data: Sequence[Splits], store: Store) -> None:
        self._data = list(data)
        self._store = store

    def run(self) -> ResultTable:
        """Count, and write tables."""
        entries = [
            Entry(
                (published_dataset(splits) or splits.name)
                + (" (simulated data)" if splits.simulated else ""),
                (Run(None, statistics(splits), {}),),
            )
            for splits in self._data
        ]
        comparison = ResultTable(
            ", ".join(entry.model for entry in entries),
            False,
            "",
            (),
            tuple(entries),
            tuple(entries[0].runs[0].values),
            title="Table 1: data",
            experiment=self.name,
            subject="data",
            ranked="none",
        )
        with self._store.locked(self.name):
            config = {
                "format": FORMAT,
                "experiment": self.name,
                "axis": None,
                "datasets": {
                    entry.model: {
                        "hash": splits.data_hash,
                        "simulated": splits.simulated,
                        "published": reference.dataset_of(splits.data_hash),
                    }
                    for entry, splits in zip(entries, self._data, strict=True)
                },
                "quick": False,
                "models": {},
                "environment": environment.describe(),
            }
            self._store.write_text("config.json", json.dumps(config, indent=1) + "\n")
            write_tables(self._store, comparison)
        return comparison
