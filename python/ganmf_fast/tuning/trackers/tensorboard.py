"""TensorBoard: a folder of events for the search, and one for each trial."""

import importlib
import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ganmf_fast.base.text import printable
from ganmf_fast.tuning.trackers.base import Ending, Study
from ganmf_fast.tuning.trial import Trial


class TensorBoard:
    """Writes event files for ``tensorboard --logdir``; a tracker for `ganmf_fast.tune`.

    ``search/`` has the objective as "value" and its running maximum as "best", by trial.
    ``trial-0007/`` has the parameters (page HPARAMS), "value", every metric, and the validation
    values of early stopping as "early_stop" by epoch.

    Parameters
    ----------
    folder : str or Path, optional
        By default ``tensorboard`` beside the journal.

    Raises
    ------
    ImportError
        If tensorboardX is not installed.
    """

    def __init__(self, folder: str | Path | None = None) -> None:
        if importlib.util.find_spec("tensorboardX") is None:
            raise ImportError(
                'the tracker "tensorboard" needs tensorboardX: '
                'pip install "ganmf-fast[tensorboard]"'
            )
        self._writer = importlib.import_module("tensorboardX").SummaryWriter
        self._hparams = importlib.import_module("tensorboardX.summary").hparams
        self._folder = None if folder is None else Path(folder)
        self._search: Any = None
        self._best: float | None = None

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`; writes earlier trials that are missing."""
        if self._folder is None:
            if study.journal is None:
                raise ValueError("TensorBoard needs a folder, since there is no journal")
            self._folder = study.journal.parent / "tensorboard"
        # File names have a resolution of one second; two may be created within one.
        suffix = f".{len(earlier)}"
        self._search = self._writer(str(self._folder / "search"), filename_suffix=suffix)
        for trial in earlier:
            if self._place(trial).is_dir():
                self._raise_best(trial)
            else:
                self.trial(trial)

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        values = {name: value for name, value in trial.metrics.items() if value is not None}
        values["seconds"] = trial.seconds
        if trial.value is not None:
            values["value"] = trial.value
        self._raise_best(trial)
        params = {
            name: v if isinstance(v, bool | int | float) else printable(str(v))
            for name, v in trial.params.items()
        }
        place = self._place(trial)
        part = place.with_name(f".{place.name}.part")
        shutil.rmtree(part, ignore_errors=True)
        with self._writer(str(part)) as writer:
            # add_hparams would open a second file of the same name.
            for summary in self._hparams(params, values):
                writer.file_writer.add_summary(summary)
            for epoch, value in trial.curve:
                writer.add_scalar("early_stop", value, epoch)
            for name, value in values.items():
                writer.add_scalar(name, value, 0)
        part.rename(place)
        if trial.value is not None:
            self._search.add_scalar("value", trial.value, trial.number)
        if self._best is not None:
            self._search.add_scalar("best", self._best, trial.number)
        self._search.flush()

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the losses of an epoch of a single fit."""
        for name, value in values.items():
            if name != "epoch" and value is not None:
                self._search.add_scalar(name, value, epoch)
        self._search.flush()

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        self._search.close()

    def _place(self, trial: Trial) -> Path:
        if self._folder is None:
            raise RuntimeError("begin was not called")
        return self._folder / f"trial-{trial.number:04}"

    def _raise_best(self, trial: Trial) -> None:
        if trial.value is not None and (self._best is None or trial.value > self._best):
            self._best = trial.value
