"""The interactions to split, with ids and times, and the checks of arguments of all splits."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_int
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import as_csr
from ganmf_fast.data.interactions import Interactions, interactions_of

_MAX_SEED = 2**64 - 1


@dataclass(frozen=True)
class SplitInput:
    """The interactions that are split: a matrix, and ids and times if they are known."""

    csr: Csr
    data: Interactions | None

    @classmethod
    def of(cls, X: object) -> "SplitInput":
        """From any argument that `ganmf_fast.base.urm.as_csr` takes."""
        return cls(as_csr(X), interactions_of(X))

    def times(self, rule: str) -> NDArray[np.int64]:
        """Timestamps as int64 of the same order.

        Raises
        ------
        ValueError
            If there are none.
        """
        stamps = None if self.data is None else self.data.timestamps
        if stamps is None:
            raise ValueError(
                f"{rule} needs Interactions with timestamps: give the column's name as `timestamp` "
                "to from_frame, from_csv or from_parquet, or the times to from_matrix"
            )
        return ordered(stamps)

    def side(self, csr: Csr, labels: NDArray[np.uint8] | None, *wanted: int) -> Interactions:
        """One side of the split with ids, and times if `labels` tell its interactions."""
        data = self.data
        if data is None:
            numbers = np.arange(csr.n_rows), np.arange(csr.n_cols)
            return Interactions(csr, *numbers, numbered=True)
        stamps = data.timestamps
        if stamps is not None and labels is not None:
            stamps = stamps[np.isin(labels, wanted)]
        return Interactions(
            csr,
            data.user_ids,
            data.item_ids,
            stamps,
            frame_type=data.frame_type,
            name=data.name,
            simulated=data.simulated,
            numbered=data.numbered,
        )


def ordered(stamps: NDArray[Any]) -> NDArray[np.int64]:
    """Timestamps as int64 of the same order, equal where these are equal.

    Raises
    ------
    ValueError
        If a timestamp is not a number or not a date.
    """
    kind = stamps.dtype.kind
    if kind in "iu":
        if kind == "u" and len(stamps) and stamps.max() > np.iinfo(np.int64).max:
            raise ValueError(f"timestamps holds {stamps.max()}, which does not fit 64 bits")
        return np.ascontiguousarray(stamps, dtype=np.int64)
    if kind == "M":
        _refuse(np.isnat(stamps), stamps)
        return np.ascontiguousarray(stamps).view(np.int64)
    if kind != "f":
        raise ValueError(f"timestamps must be numbers or dates, not {stamps.dtype}")
    wide = np.ascontiguousarray(stamps, dtype=np.float64) + 0.0  # no -0.0, which equals 0.0
    _refuse(np.isnan(wide), stamps)
    # Doubles of one sign are in the order of their bits, negative ones in the opposite one.
    bits = wide.view(np.int64)
    return np.where(bits < 0, bits ^ np.int64(2**63 - 1), bits)


def _refuse(bad: NDArray[np.bool_], stamps: NDArray[Any]) -> None:
    if bad.any():
        at = int(np.argmax(bad))
        raise ValueError(f"timestamps holds {stamps[at]} at interaction {at}, which is no time")


def check_seed(seed: object) -> int:
    """Return the seed of a split as an int in ``0..2**64 - 1``."""
    return check_int("seed", seed, 0, _MAX_SEED)


def check_size(name: str, size: object) -> float:
    """Return a fraction in (0, 1) as float, or a count of at least 1 as int."""
    if isinstance(size, bool) or not isinstance(size, int | float | np.integer | np.floating):
        raise TypeError(f"{name} must be a fraction between 0 and 1 or a count, not {shown(size)}")
    if isinstance(size, int | np.integer):
        if size < 1:
            raise ValueError(f"{name} must be at least 1, not {size}")
        return int(size)
    if not 0 < size < 1:
        hint = f"; write {int(size)} for a count" if size >= 1 and float(size).is_integer() else ""
        raise ValueError(f"{name} must lie between 0 and 1, both excluded, not {size}{hint}")
    return float(size)


def leakage(source: SplitInput, labels: NDArray[np.uint8], rule: str) -> tuple[str, ...]:
    """Warning of a random split that ignores timestamps; label 1 marks the test interactions."""
    if source.data is None or source.data.timestamps is None:
        return ()
    older, held = _core.looks_ahead(source.csr, labels, ordered(source.data.timestamps))
    warning = (
        f"{rule} ignored the timestamps: {older:,} of {held:,} held-out interactions are older "
        "than a training interaction of the same user, so training knows what came later; "
        "split.temporal does not"
    )
    return (warning,)
