"""Training that survives being killed: all its state in one file, whole or not at all.

The file holds what the remaining epochs depend on: parameters and moments of all networks, the
states of the random generators, the weights kept so far, the history; and the configuration it
belongs to. A run that finds it continues from there and ends with the weights of a run that was
never interrupted (on the CPU, with the same torch). Its format is that of saved models: nothing in
it is ever executed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError, TooLargeError
from ganmf_fast.base.files import read_tensors, remove_parts, write_tensors
from ganmf_fast.base.text import shown

__all__ = ["FORMAT", "Checkpoint", "with_prefix"]

FORMAT = 1
"""Version of the file format."""

_KIND = "ganmf_fast.checkpoint"


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

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Tensor]) -> None:
        """Replace the state of before.

        Raises
        ------
        WriteError
            If the file cannot be written.
        """
        text = json.dumps({"format": FORMAT, "config": dict(self.config), "facts": dict(facts)})
        arrays = {name: np.ascontiguousarray(t.numpy(force=True)) for name, t in tensors.items()}
        write_tensors(self.path, _KIND, text, arrays)

    def read(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        """Facts and tensors of the last state, or None if there is no file.

        Raises
        ------
        DataError
            (a ``ValueError``) If the file is cut short, damaged, newer, or belongs to a run of
            another configuration. The message names the file.
        """
        try:
            text, arrays, sound = read_tensors(self.path, _KIND)
        except FileNotFoundError:
            return None
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
        return facts, {name: torch.from_numpy(array) for name, array in arrays.items()}

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
        now = json.loads(json.dumps(dict(self.config)))
        stored = {**self.earlier, **stored}
        for name in dict.fromkeys([*stored, *now]):
            if stored.get(name) != now.get(name):
                raise self.refusal(
                    f"belongs to a run with {name} = {shown(stored.get(name))}, not "
                    f"{shown(now.get(name))}"
                )

    def refusal(self, what: str) -> DataError:
        """The error that says what is wrong with the file, and the way out."""
        return DataError(
            f"the checkpoint {self.path} {what}: remove it to start anew, or name another path"
        )


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
