"""Checkpoints of tensors, see :mod:`ganmf_fast.models.checkpoint`."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ganmf_fast.models.checkpoint import Checkpoint


class TensorCheckpoint(Checkpoint):
    """The file that holds the state of one training run, as tensors of any device."""

    def write(self, facts: Mapping[str, Any], tensors: Mapping[str, Any]) -> None:
        """See the base class."""
        super().write(facts, {name: tensor.numpy(force=True) for name, tensor in tensors.items()})

    def read(self) -> tuple[dict[str, Any], dict[str, Any]] | None:
        """See the base class; tensors are on the CPU."""
        found = super().read()
        if found is None:
            return None
        facts, arrays = found
        return facts, {name: torch.from_numpy(array) for name, array in arrays.items()}


def with_prefix(prefix: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The tensors whose names begin with `prefix`, without it."""
    return {k.removeprefix(prefix): v for k, v in tensors.items() if k.startswith(prefix)}
