"""Training that survives being killed: all its state in one file, whole or not at all.

The file holds what the remaining epochs depend on: parameters and moments of all networks, the
states of the random generators, the weights kept so far, the history; and the configuration it
belongs to. A run that finds it continues from there and ends with the weights of a run that was
never interrupted (of torch on the CPU, with the same version). Its format is that of saved models:
nothing in it is ever executed.
"""

import errno
import json
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base import json_files
from ganmf_fast.base.checks import plain
from ganmf_fast.base.errors import DataError, TooLargeError, WriteError
from ganmf_fast.base.files import is_folder, read_tensors, remove_parts, write_tensors
from ganmf_fast.base.text import printable, shown
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.models.fit_data import FitData

FORMAT = 1
"""Version of the file format."""

_KIND = "ganmf_fast.checkpoint"

_WITHOUT_EFFECT_ON_WEIGHTS = {"checkpoint_every", "checkpoint_path", "data_parallel", "device"}

_Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]


class TrainingFacts(msgspec.Struct):
    """What a checkpoint says beside its arrays."""

    best_epoch: _Whole
    best_value: float
    epochs_run: _Whole
    without_improvement: _Whole
    history: list[dict[str, int | float]]

    def __post_init__(self) -> None:
        """Check that epochs are counted alike."""
        if (
            not max(self.best_epoch, self.without_improvement)
            <= self.epochs_run
            == len(self.history)
        ):
            raise ValueError(f"{len(self.history)} epochs are not {self.epochs_run}")


def check_checkpoint(every: int, path: object) -> None:
    """Refuse a checkpoint without a file, and warn of a file without a checkpoint."""
    if every and path is None:
        raise ValueError(f"checkpoint_every is {every}, but checkpoint_path names no file")
    if path is not None and not every:
        warnings.warn(
            f"checkpoint_path is {shown(str(path), 400)}, but checkpoint_every is 0, so that it is "
            "neither read nor written: give the epochs between two checkpoints",
            UserWarning,
            stacklevel=5,
        )


def config_of(model: str, params: Mapping[str, Any], data: FitData) -> dict[str, Any]:
    """All that the weights of a fit depend on."""
    # Files of earlier versions know one metric.
    usual = data.validation is None or (data.metric, data.k) == ("map", 5)
    return {
        "model": model,
        **{n: value for n, value in params.items() if n not in _WITHOUT_EFFECT_ON_WEIGHTS},
        "data": fingerprint(data.urm),
        "validation": None if data.validation is None else fingerprint(data.validation),
        **({} if usual else {"metric": f"{data.metric}@{data.k}"}),
    }


@dataclass(frozen=True)
class Checkpoint:
    """The file that holds the state of one training run.

    Parameters
    ----------
    path : Path
    every : int
        Epochs between two checkpoints.
    config : mapping
        All that the weights depend on, as JSON can hold it.
    earlier : mapping, optional
        What an older file stands for where its configuration lacks a name.
    """

    path: Path
    every: int
    config: Mapping[str, Any]
    earlier: Mapping[str, Any] = field(default_factory=dict)

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, NDArray[Any]]) -> None:
        """Replace the state of before.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        text = json.dumps(
            {"format": FORMAT, "config": dict(self.config), "facts": dict(facts)}, default=plain
        )
        arrays = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
        write_tensors(self.path, _KIND, text, arrays)

    def read(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]] | None:
        """Facts and arrays of the last state, or None if there is no file.

        Raises
        ------
        DataError
            (a ``ValueError``) If the file is cut short, damaged, newer, or belongs to a run of
            another configuration. The message names the file.
        WriteError
            If there is no folder in which one could be written.
        """
        try:
            text, arrays, sound = read_tensors(self.path, _KIND)
        except FileNotFoundError:
            if is_folder(self.path.absolute().parent):
                return None
            what = "checkpoint_path is in no folder that exists: make it, or name another path"
            raise WriteError(errno.ENOENT, what, str(self.path)) from None
        except OSError as error:
            raise DataError(f"the checkpoint {self.path} cannot be read: {error}") from None
        except TooLargeError:
            raise
        except ValueError as error:
            raise self.refusal(f"is damaged or cut short ({error})") from None
        if text is None:
            raise DataError(f"{self.path} is not a checkpoint of ganmf-fast: name another path")
        config, facts = self._parsed(text, sound)
        self._compare(config)
        return facts, arrays

    def remove(self) -> None:
        """Remove the file, and what killed runs left of it: training has ended."""
        self.path.unlink(missing_ok=True)
        remove_parts(self.path)

    def _parsed(self, text: str, sound: bool) -> tuple[dict[str, Any], dict[str, Any]]:
        """Configuration and facts."""
        try:
            meta = json_files.parse(text)
            version = meta["format"]
        except (ValueError, TypeError, KeyError):
            raise self.refusal("is damaged: it has no description") from None
        if version != FORMAT:
            raise self.refusal(
                f"has format {shown(version, 20)}, but this version reads format {FORMAT}"
            )
        if not sound:
            raise self.refusal("is damaged: its contents do not match their checksum")
        config, facts = meta.get("config"), meta.get("facts")
        if not isinstance(config, dict) or not isinstance(facts, dict):
            raise self.refusal("is damaged: it has no configuration")
        return config, facts

    def _compare(self, stored: Mapping[str, Any]) -> None:
        now = json.loads(json.dumps(dict(self.config), default=plain))
        stored = {**self.earlier, **stored}
        # Sizes that follow the data differ where these do, which is the reason to give.
        for name in dict.fromkeys(["model", "data", "validation", *stored, *now]):
            if stored.get(name) != now.get(name):
                raise self.refusal(
                    f"belongs to a run with {printable(name, 80)} = {shown(stored.get(name))}, not "
                    f"{shown(now.get(name))}"
                )

    def refusal(self, what: str) -> DataError:
        """The error that says what is wrong with the file, and the way out."""
        return DataError(
            f"the checkpoint {self.path} {what}: remove it to start anew, or name another path"
        )
