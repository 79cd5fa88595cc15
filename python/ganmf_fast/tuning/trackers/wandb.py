"""Weights & Biases, and trackio, which has its interface: a run for each trial, in a group."""

import contextlib
import importlib
import importlib.util
import io
import secrets
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, TypeAlias

import msgspec

from ganmf_fast.base import json_files
from ganmf_fast.base.files import write_whole
from ganmf_fast.base.text import printable
from ganmf_fast.tuning.trackers.base import Ending, Study
from ganmf_fast.tuning.trial import Trial

if TYPE_CHECKING:
    from pathlib import Path

_Axis: TypeAlias = Literal["epoch", "trial"]

# Exit codes; 255 is W&B's own of Ctrl-C.
_CODES: Mapping[str, int] = {"done": 0, "pruned": 0, "failed": 1, "interrupted": 255}
_SETTINGS = ("model", "dataset", "data", "metric", "backend", "seed")
# Characters of a name; W&B's own limit is 128.
_MOST_NAME = 100


class _Note(msgspec.Struct):
    """What a project has of a search, in a file beside the journal: W&B offline cannot be asked."""

    token: str
    trials: dict[int, str]
    """Date and time of each trial by its number; another search in the same place has others."""


class _Runs(ABC):
    """A run for each trial, or for a single fit."""

    _package: ClassVar[str]
    _called: ClassVar[str]

    def __init__(self, project: str, options: Mapping[str, Any]) -> None:
        package = self._package
        if importlib.util.find_spec(package) is None:
            raise ImportError(
                f'the tracker "{package}" needs {self._called}: pip install "ganmf-fast[{package}]"'
            )
        self._module = importlib.import_module(package)
        self._project, self._options = project, options
        self._study: Study | None = None
        self._path: Path | None = None
        self._note = _Note("", {})
        self._best: float | None = None
        self._fit: Any = None
        self._out_of_reach = False

    def begin(self, study: Study, earlier: Sequence[Trial]) -> None:
        """See `Tracker`; writes earlier trials that are missing."""
        self._study, self._path, self._best, self._fit = study, None, None, None
        self._note, self._out_of_reach = _Note(secrets.token_hex(4), {}), False
        if study.header["backend"] == "fit":
            self._fit = self._open("epoch", None, name=_title(study), config=_config(study))
            return
        if study.journal is not None:
            self._path = study.journal.with_name(f"{study.journal.name}.{self._package}")
        found = self._notes().get(self._project)
        if found is not None:
            there = {t.number for t in earlier if found.trials.get(t.number) == t.finished}
            if there:
                trials = {number: found.trials[number] for number in there}
                self._note = _Note(found.token, trials)
        for trial in earlier:
            if trial.number in self._note.trials:
                self._raise_best(trial)
            else:
                self.trial(trial)

    def trial(self, trial: Trial) -> None:
        """See `Tracker`."""
        if self._study is None:
            raise RuntimeError("begin was not called")
        self._raise_best(trial)
        values: dict[str, float | None] = {"value": trial.value, "epochs": trial.epochs}
        if self._fit is not None:
            # Its curve is in the values of the epochs.
            self._log(self._fit, "epoch", trial.epochs or 0, values)
            return
        token = self._note.token
        outcome = {"trial": trial.number, "status": trial.status}
        reason = {"reason": trial.reason} if trial.reason else {}
        run = self._open(
            "trial",
            f"{token}-{trial.number}",
            # Of several searches in a project, too, names differ.
            name=f"trial {trial.number} of {token}",
            group=f"{_title(self._study)} {token}",
            config=_config(self._study, {**trial.params, **outcome, **reason}),
        )
        if run is None:
            return
        for epoch, value in trial.curve:
            self._log(run, "epoch", epoch, {"early_stop": value})
        cutoff = str(self._study.header["metric"]).partition("@")[2]
        suffix = f"_at_{cutoff}" if cutoff else ""
        values |= {name + suffix: value for name, value in trial.metrics.items()}
        values |= {"best": self._best, "seconds": trial.seconds}
        self._log(run, "trial", trial.number, values)
        self._finish(run, trial.status)
        self._note.trials[trial.number] = trial.finished
        if self._path is not None:
            notes = {**self._notes(), self._project: self._note}
            write_whole(self._path, msgspec.json.encode(notes))

    def epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Write the losses of an epoch of a single fit."""
        if self._fit is not None:
            self._log(self._fit, "epoch", epoch, values)

    def end(self, ending: Ending) -> None:
        """See `Tracker`."""
        run, self._fit = self._fit, None
        if run is not None:
            self._finish(run, ending)

    @abstractmethod
    def _start(self, axis: _Axis, identity: str | None, arguments: dict[str, Any]) -> Any:
        """A new run; `identity` is its own within the project, `axis` that of its values."""

    @abstractmethod
    def _write(self, run: Any, axis: _Axis, step: int, values: dict[str, float]) -> None:
        """Write values at a step, which can lie before the last one."""

    @abstractmethod
    def _finish(self, run: Any, ending: str) -> None:
        """End a run."""

    def _open(self, axis: _Axis, identity: str | None, **arguments: Any) -> Any:
        """A new run; after one that could not be opened None, since each may wait for minutes."""
        if self._out_of_reach:
            return None
        self._out_of_reach = True
        run = self._start(axis, identity, {"project": self._project, **arguments})
        self._out_of_reach = False
        return run

    def _log(self, run: Any, axis: _Axis, step: int, values: Mapping[str, float | None]) -> None:
        there = {n: value for n, value in values.items() if n != axis and value is not None}
        self._write(run, axis, step, there)

    def _notes(self) -> dict[str, _Note]:
        """What is noted beside the journal, by project."""
        if self._path is None or not self._path.is_file():
            return {}
        return json_files.read(self._path, dict[str, _Note])

    def _raise_best(self, trial: Trial) -> None:
        if trial.value is not None and (self._best is None or trial.value > self._best):
            self._best = trial.value


class WandB(_Runs):
    """Writes a search to Weights & Biases; a tracker for `ganmf_fast.tune`.

    Each trial is a run in the group of the search: its parameters and its outcome in the
    configuration, the objective as "value", its maximum so far as "best" and every metric
    ("map_at_5") by "trial", the validation values of early stopping as "early_stop" by "epoch". A
    resumed search goes on in its group; what has been written is noted beside the journal, in
    ``JOURNAL.wandb``. After a run that could not be opened no more are tried: the search that is
    resumed writes them.

    Parameters
    ----------
    project : str, default "ganmf-fast"
    **options
        Passed to ``wandb.init``: ``entity``, ``mode``, ``dir``, ``tags``. By default W&B's own
        (environment variables such as ``WANDB_MODE``, which can be "offline").

    Raises
    ------
    ImportError
        If wandb is not installed.
    """

    _package, _called = "wandb", "Weights & Biases"

    def __init__(self, project: str = "ganmf-fast", **options: Any) -> None:
        super().__init__(project, options)

    def _start(self, axis: _Axis, identity: str | None, arguments: dict[str, Any]) -> Any:
        # A run of the same id is replaced, such as one that a killed process left half-written.
        own = {"reinit": "create_new", "settings": {"silent": True, "console": "off"}}
        run = self._module.init(**{**own, **self._options, **arguments, "id": identity})
        # Steps of W&B itself never go back.
        for each in ("epoch", "trial"):
            run.define_metric(each)
        run.define_metric("*", step_metric=axis)
        run.define_metric("early_stop", step_metric="epoch")
        return run

    def _write(self, run: Any, axis: _Axis, step: int, values: dict[str, float]) -> None:
        run.log({axis: step, **values})

    def _finish(self, run: Any, ending: str) -> None:
        run.finish(exit_code=_CODES[ending])


class Trackio(_Runs):
    """Writes a search to trackio; a tracker for `ganmf_fast.tune`.

    The runs are those of `WandB`, with the numbers of trials and epochs as steps; the note is
    ``JOURNAL.trackio``. As trackio has one run at a time, one of yours that is open is ended.

    Parameters
    ----------
    project : str, default "ganmf-fast"
    **options
        Passed to ``trackio.init``: ``space_id``, ``server_url``. By default trackio's own, a folder
        of this machine (environment variable ``TRACKIO_DIR``).

    Raises
    ------
    ImportError
        If trackio is not installed.
    """

    _package = _called = "trackio"

    def __init__(self, project: str = "ganmf-fast", **options: Any) -> None:
        super().__init__(project, options)

    def _start(self, axis: _Axis, identity: str | None, arguments: dict[str, Any]) -> Any:
        with _silence():
            return self._module.init(**{"embed": False, **self._options, **arguments})

    def _write(self, run: Any, axis: _Axis, step: int, values: dict[str, float]) -> None:
        run.log(values, step=step)

    def _finish(self, run: Any, ending: str) -> None:
        # A run that ends itself stays the current one, which trackio ends again, and says so, at
        # the end of the process.
        with _silence():
            self._module.finish()


def _silence() -> contextlib.redirect_stdout[io.StringIO]:
    """Keep what trackio says of each run off stdout, where results of commands are."""
    return contextlib.redirect_stdout(io.StringIO())


def _title(study: Study) -> str:
    return printable(f"{study.header['model']} on {study.header['dataset']}", _MOST_NAME)


def _config(study: Study, more: Mapping[str, Any] | None = None) -> dict[str, Any]:
    header = study.header
    settings = {name: header[name] for name in _SETTINGS}
    return {
        name: value if isinstance(value, bool | int | float) else printable(str(value))
        for name, value in {**settings, **header["params"], **(more or {})}.items()
    }
