"""Top-N lists as they are returned, and how long each of them is to be."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ganmf_fast.base.checks import as_array, check_int
from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.text import shown
from ganmf_fast.data.frames import frame
from ganmf_fast.models.ranking import columns
from ganmf_fast.scorers.tensors import Floats


class _Arrays(NamedTuple):
    items: NDArray[np.int32]
    """Item numbers, shape (n users, n), padded with -1."""
    scores: NDArray[np.float32]
    """Their scores, of the same shape, padded with -inf."""


class Recommendations(_Arrays):
    """Top-N lists, best first.

    Attributes
    ----------
    items : int32 array, shape (n users, n)
        Item numbers, padded with -1.
    scores : float32 array
        Their scores, of the same shape, padded with -inf.
    skipped : int
        Number of unknown users, whose lists are empty; of profiles the number of interactions with
        unknown items, which were left out.
    """

    skipped: int = 0

    def to_frame(self, users: object = None) -> Any:
        """A polars frame of user, rank (from 1), item and score, without padding.

        Parameters
        ----------
        users : sequence, optional
            What the lists' users are called, one for each list; their positions by default.
        """
        names = np.arange(len(self.items)) if users is None else as_array("users", users)
        if names.shape != (len(self.items),):
            raise ValueError(
                f"users must be one for each of {len(self.items)} lists, not {shown(users)}"
            )
        return frame(columns(None, names, self.items, self.scores), "polars")

    def _repr_html_(self) -> str:
        """What notebooks show: the first items of the first lists."""
        items, scores = np.atleast_2d(self.items), np.atleast_2d(self.scores)
        many = "s" if len(items) > 1 else ""
        shape = f"{len(items):,} list{many} of {items.shape[1]:,} items"
        rows = [
            (at, *(f"{item} ({score:.4g})" if item >= 0 else "" for item, score in pairs))
            for at, pairs in enumerate(
                zip(row[:_WIDE].tolist(), of[:_WIDE].tolist(), strict=True)
                for row, of in zip(items[:_LONG], scores[:_LONG], strict=True)
            )
        ]
        notes = ["item (score), best first"]
        if len(items) > _LONG or items.shape[1] > _WIDE:
            notes.append("not all of them are shown")
        if self.skipped:
            notes.append(f"skipped: {self.skipped:,}")
        header = ("list", *range(1, min(items.shape[1], _WIDE) + 1))
        return html_table(f"Recommendations: {shape}", header, rows, notes)


_LONG, _WIDE = 10, 8
"""Lists, and items of each, that a notebook shows."""


def lengths_of(n: object, n_users: int) -> tuple[int, NDArray[np.int64] | None]:
    """The longest list, and the length of each where these differ."""
    if isinstance(n, int) or as_array("n", n).ndim == 0:
        # Whatever is beyond the bound does not fit into memory either.
        return min(check_int("n", n, 1), 2**62), None
    lengths: NDArray[Any] = as_array("n", n)
    if lengths.shape != (n_users,) or lengths.dtype.kind not in "iu":
        raise TypeError(
            f"n must be an integer, or {n_users} integers, one for each user, not {shown(n)}"
        )
    bad = np.flatnonzero(lengths < 1)
    if len(bad):
        raise ValueError(f"n must be at least 1, not {lengths[bad[0]]} for user {bad[0]} of users")
    return int(lengths.max(initial=1)), lengths.astype(np.int64)


def padded(items: NDArray[np.int32], scores: Floats, n: int, skipped: int) -> Recommendations:
    """Lists of `n` places, though the catalogue may hold fewer items."""
    width = items.shape[1]
    if n > width:
        pad = ((0, 0), (0, n - width))
        items = np.pad(items, pad, constant_values=-1)
        scores = np.pad(scores, pad, constant_values=-np.inf)
    lists = Recommendations(items, scores)
    lists.skipped = skipped
    return lists
