"""Columns of `history_`: their names in files that were written before, and those of today."""

from collections.abc import Iterable, Mapping
from typing import TypeVar

T = TypeVar("T")

COLUMNS_BEFORE = {
    "made_energy": "generated_energy",
    "made_score": "generated_score",
    "made_cosine": "generated_cosine",
}
"""Names in model files, checkpoints and run folders that were written before, to those of today."""


def with_current_names(rows: Iterable[Mapping[str, T]]) -> list[dict[str, T]]:
    """Rows of a history, their columns named as today."""
    return [{COLUMNS_BEFORE.get(name, name): v for name, v in dict(row).items()} for row in rows]
