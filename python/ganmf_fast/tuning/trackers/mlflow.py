"""MLflow: a run for the search, and a child run for each trial."""

import importlib
import importlib.util
import time
from collections.abc import Mapping, Sequence
from typing import Any

from ganmf_fast.base.text import printable
from ganmf_fast.tuning.trackers.base import Ending, Study
from ganmf_fast.tuning.trial import Trial

_ENDINGS: Mapping[Ending, str] = {"done": "FINISHED", "interrupted": "KILLED", "failed": "FAILED"}
_STATUSES = {"done": "FINISHED", "pruned": "KILLED", "failed": "FAILED"}
# Tags; the first is MLflow's own and makes a run the child of another.
_PARENT = "mlflow.parentRunId"
_JOURNAL, _NUMBER = "ganmf_fast.journal", "ganmf_fast.trial"
# Characters of the name of a run.
_MOST_NAME = 250


class MLflow:
    """Writes a search to MLflow; a tracker for `ganmf_fast.tune`.

    The run of a trial has its parameters, its metrics ("map_at_5"), the objective as "value", and
    the validation values of early stopping as "early_stop" by epoch; the run of the search has
    "value" by trial. A resumed search continues its run.

    Parameters
    ----------
    tracking_uri : str, optional
        URI of a server, a database or a folder; by default MLflow's own (environment variable
        ``MLFLOW_TRACKING_URI``).
    experiment : str, default "ganmf-fast"
        Created if it does not exist.

    Raises
    ------
    ImportError
        If MLflow is not installed.
    """

    def __init__(self, tracking_uri: str | None = None, experiment: str = "ganmf-fast") -> None:
        if importlib.util.find_spec("mlflow") is None:
            raise ImportError('the tracker "mlflow" needs MLflow: pip install "ganmf-fast[mlflow]"')
        mlflow = importlib.import_module("mlflow")
        self._entities = importlib.import_module("mlflow.entities")
        self._client = mlflow.MlflowClient(tracking_uri=tracking_uri)
        self._name = experiment
        self._experiment = self._run = self._cutoff = ""

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`; writes earlier trials that are missing."""
        header = study.header
        found = self._client.get_experiment_by_name(self._name)
        self._experiment = (
            self._client.create_experiment(self._name) if found is None else found.experiment_id
        )
        self._cutoff = str(header["metric"]).partition("@")[2]
        journal = "" if study.journal is None else str(study.journal.resolve())
        written = self._tagged(_JOURNAL, journal) if earlier and journal else []
        if written:
            self._run = written[0].info.run_id
            self._client.update_run(self._run, status="RUNNING")
        else:
            tags = {_JOURNAL: journal, "data": str(header["data"])}
            self._run = self._begin(f"{header['model']} on {header['dataset']}", tags)
            settings = {name: header[name] for name in ("backend", "metric", "seed")}
            self._log(self._run, {**header["params"], **settings})
        there = set()
        for run in self._tagged(_PARENT, self._run):
            if run.info.status == "RUNNING":  # killed while it was written
                self._client.delete_run(run.info.run_id)
            else:
                there.add(run.data.tags[_NUMBER])
        for trial in earlier:
            if str(trial.number) not in there:
                self.trial(trial)

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        reason = printable(trial.reason)
        tags = {_PARENT: self._run, _NUMBER: str(trial.number), "reason": reason}
        run = self._begin(f"trial {trial.number}", tags)
        metrics = [("seconds", trial.seconds, 0)]
        metrics += [("early_stop", value, epoch) for epoch, value in trial.curve]
        suffix = f"_at_{self._cutoff}" if self._cutoff else ""
        metrics += [(n + suffix, v, 0) for n, v in trial.metrics.items() if v is not None]
        if trial.epochs is not None:
            metrics.append(("epochs", trial.epochs, 0))
        if trial.value is not None:
            metrics.append(("value", trial.value, 0))
            self._log(self._run, {}, [("value", trial.value, trial.number)])
        self._log(run, trial.params, metrics)
        self._client.set_terminated(run, _STATUSES[trial.status])

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the losses of an epoch of a single fit."""
        metrics = [(name, value, epoch) for name, value in values.items() if name != "epoch"]
        self._log(self._run, {}, [one for one in metrics if one[1] is not None])

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        self._client.set_terminated(self._run, _ENDINGS[ending])

    def _begin(self, name: str, tags: Mapping[str, str]) -> str:
        tags = {key: value for key, value in tags.items() if value}
        run_id: str = self._client.create_run(
            self._experiment, tags=tags, run_name=printable(name, _MOST_NAME)
        ).info.run_id
        return run_id

    def _tagged(self, tag: str, value: str) -> list[Any]:
        """Runs with this tag, the latest first."""
        # A filter has no escapes.
        quote = next((mark for mark in "\"'" if mark not in value), "")
        runs = self._client.search_runs(
            [self._experiment],
            f"tags.`{tag}` = {quote}{value}{quote}" if quote else "",
            order_by=["attributes.start_time DESC"],
            max_results=50_000,
        )
        return [run for run in runs if run.data.tags.get(tag) == value]

    def _log(
        self,
        run: str,
        params: Mapping[str, Any],
        metrics: Sequence[tuple[str, float, int]] = (),
    ) -> None:
        now = time.time_ns() // 10**6
        self._client.log_batch(
            run,
            metrics=[self._entities.Metric(n, v, now, step) for n, v, step in metrics],
            params=[self._entities.Param(n, printable(str(value))) for n, value in params.items()],
        )
