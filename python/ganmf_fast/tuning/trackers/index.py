"""Index of searches: the path and progress of each journal.

One SQLite file per user. Only the process that runs a search writes its row, in a short transaction
for each finished trial; SQLite lets one process write at a time while the others wait. Results are
in the journals: losing the index loses only the list.
"""

import json
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Annotated, Any

import msgspec
import platformdirs

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError
from ganmf_fast.tuning.journal import in_use
from ganmf_fast.tuning.trackers.base import Ending, Study
from ganmf_fast.tuning.trial import Trial, best_of

_SCHEMA = """
CREATE TABLE IF NOT EXISTS runs (
    id INTEGER PRIMARY KEY,
    journal TEXT NOT NULL UNIQUE,
    model TEXT NOT NULL,
    dataset TEXT NOT NULL,
    backend TEXT NOT NULL,
    metric TEXT NOT NULL,
    seed INTEGER NOT NULL,
    n_calls INTEGER NOT NULL,
    finished INTEGER NOT NULL,
    failed INTEGER NOT NULL,
    best_value REAL,
    best_params TEXT,
    status TEXT NOT NULL,
    started REAL NOT NULL,
    updated REAL NOT NULL
)
"""
_WRITE = """
INSERT INTO runs (
    journal, model, dataset, backend, metric, seed, n_calls, finished, failed, best_value,
    best_params, status, started, updated
) VALUES (
    :journal, :model, :dataset, :backend, :metric, :seed, :n_calls, :finished, :failed, :best_value,
    :best_params, :status, :now, :now
)
ON CONFLICT (journal) DO UPDATE SET
    model = excluded.model, dataset = excluded.dataset, backend = excluded.backend,
    metric = excluded.metric, seed = excluded.seed, n_calls = excluded.n_calls,
    finished = excluded.finished, failed = excluded.failed, best_value = excluded.best_value,
    best_params = excluded.best_params, status = excluded.status, updated = excluded.updated
"""


class _Row(msgspec.Struct):
    """A row of the table, whose types SQLite does not enforce."""

    id: int
    journal: str
    model: str
    dataset: str
    backend: str
    metric: str
    seed: int
    n_calls: int
    finished: int
    failed: int
    best_value: float | None
    best_params: str | None
    status: str
    started: float
    updated: Annotated[float, msgspec.Meta(ge=0, le=2**36)]


# Seconds to wait for another writer.
_TIMEOUT = 10.0


def runs_path() -> Path:
    """File of the index in the user's data folder of the platform."""
    return platformdirs.user_data_path("ganmf", appauthor=False) / "runs.sqlite"


class RunIndex:
    """A tracker that keeps the index; searches without a journal are left out.

    Parameters
    ----------
    path : Path, optional
        By default `runs_path`. Created when it is first written.
    """

    def __init__(self, path: Path | None = None) -> None:
        self._path = runs_path() if path is None else path
        self._study: Study | None = None
        self._trials: dict[int, Trial] = {}

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`."""
        self._study = study if study.journal is not None else None
        self._trials = {trial.number: trial for trial in earlier}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        self._write("running")

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        self._trials[trial.number] = trial
        self._write("running")

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        self._write(ending)

    def _write(self, status: str) -> None:
        if self._study is None or self._study.journal is None:
            return
        header, trials = self._study.header, self._trials.values()
        best = best_of(trials)
        row = {
            "journal": str(self._study.journal.absolute()),
            **{key: header[key] for key in ("model", "dataset", "backend", "metric", "seed")},
            "n_calls": self._study.n_calls,
            "finished": len(trials),
            "failed": sum(trial.status == "failed" for trial in trials),
            "best_value": None if best is None else best.value,
            "best_params": None if best is None else json.dumps(best.params),
            "status": status,
            "now": time.time(),
        }
        with self._open() as database:
            database.execute(_WRITE, row)

    def runs(self) -> list[dict[str, Any]]:
        """Every search, the latest first.

        Returns
        -------
        list of dict
            Columns of the table; `status` is "running", "done", "interrupted" (also if the process
            was killed), "failed", or "gone" if there is no journal at the path any more.

        Raises
        ------
        DataError
            If the file is not an index.
        """
        if not self._path.is_file():
            return []
        with self._open() as database:
            database.row_factory = sqlite3.Row
            found = database.execute("SELECT * FROM runs ORDER BY updated DESC, id DESC")
            rows = [dict(row) for row in found]
        try:
            return [_with_status(row) for row in rows]
        except ValueError as error:
            raise DataError(f"the index of runs {self._path} is damaged: {error}") from None

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """One transaction."""
        try:
            with closing(sqlite3.connect(self._path, timeout=_TIMEOUT)) as database, database:
                database.execute(_SCHEMA)
                yield database
        except sqlite3.DatabaseError as error:
            raise DataError(f"the index of runs {self._path} cannot be used: {error}") from None


def _with_status(row: dict[str, Any]) -> dict[str, Any]:
    """A row with the present status of its journal."""
    json_files.typed(row, _Row)
    journal = Path(row["journal"])
    row["best_params"] = json_files.parse(row["best_params"] or "{}")
    if not journal.is_file():
        row["status"] = "gone"
    elif row["status"] == "running" and not in_use(journal):
        row["status"] = "interrupted"
    return row
