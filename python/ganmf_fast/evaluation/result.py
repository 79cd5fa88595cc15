"""Results of an evaluation: exact sums that can be merged, and the metrics derived from them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.notebook import html_table
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import read_only
from ganmf_fast.models.ids import Skipped
from ganmf_fast.scorers.metrics import BEYOND_PER_USER, PER_USER, Tally

_SHOWN = ("precision", "recall", "map", "ndcg", "mrr", "hit_rate", "coverage_item")


@dataclass(frozen=True, eq=False, repr=False)
class Evaluation:
    """Metrics of one model on one test set.

    Attributes
    ----------
    label : str
        Name of the model or the lists.
    cutoffs : tuple of int
        Ascending.
    users : int64 array, shape (n evaluated users,)
        Rows of the users with at least one test item, ascending.
    metrics : tuple of str
        Names of the computed metrics.
    tally : Tally
        The integer sums that all metrics are computed from.
    without_list : int64 array
        Rows of those of `users` whose list is empty, ascending: the model knows nothing about them,
        or no item was left. They count as zero in all means; `listed` leaves them out.
    skipped : Skipped
        Users, items and interactions of `test` that the model does not know and that were left out.
    test_hashes : uint64 array or None
        Of each of `users`, a hash of the test items, where values per user are kept; `compare`
        refuses evaluations of different tests by it.
    """

    label: str
    cutoffs: tuple[int, ...]
    users: NDArray[np.int64]
    metrics: tuple[str, ...]
    tally: Tally
    _per_user: dict[tuple[str, int], NDArray[np.float64]] = field(default_factory=dict)
    without_list: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    skipped: Skipped = field(default_factory=Skipped)
    test_hashes: NDArray[np.uint64] | None = None

    def __post_init__(self) -> None:
        """Forbid writing to the arrays."""
        for name in ("users", "without_list"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        values = {key: read_only(array) for key, array in self._per_user.items()}
        object.__setattr__(self, "_per_user", values)

    @cached_property
    def _values(self) -> dict[tuple[str, int], float]:
        return self.tally.values(self.metrics, self.cutoffs)

    @classmethod
    def merge(cls, shards: Iterable["Evaluation"], label: str | None = None) -> "Evaluation":
        """The evaluation of all users from evaluations of disjoint parts of them.

        Every metric has the same bits as if all users were evaluated at once, for any shards in any
        order: sums are kept as integers, which add without rounding.

        Parameters
        ----------
        shards : iterable of Evaluation
            With the same cutoffs, metrics and shape of the test matrix, for different users.
        label : str, optional
            By default that of the first.

        Returns
        -------
        Evaluation
            With values per user if all shards have them.

        Raises
        ------
        TypeError, ValueError
            If there is no shard, one is no Evaluation, or they do not match.
        """
        parts = list(shards)
        if not parts:
            raise ValueError("shards is empty: there is nothing to merge")
        first = parts[0]
        for at, part in enumerate(parts):
            if not isinstance(part, Evaluation):
                raise TypeError(f"shards must hold evaluations, not {type(part).__name__}")
            for what in ("cutoffs", "metrics"):
                ours, theirs = getattr(first, what), getattr(part, what)
                if ours != theirs:
                    raise ValueError(f"shard {at} has the {what} {theirs}, but shard 0 has {ours}")
            if part.tally.shape != first.tally.shape:
                raise ValueError(
                    f"shard {at} is of a test matrix of {part.tally.shape}, but shard 0 of "
                    f"{first.tally.shape}"
                )
        users = np.concatenate([part.users for part in parts])
        order = np.argsort(users, kind="stable")
        users = users[order]
        if len(again := np.flatnonzero(users[1:] == users[:-1])):
            raise ValueError(f"user {users[again[0]]} is in two shards")
        tally = first.tally
        for part in parts[1:]:
            tally += part.tally
        kept = set.intersection(*(set(part.kept) for part in parts))
        per_user = {
            key: np.concatenate([part.per_user(*key) for part in parts])[order]
            for key in first.kept
            if key in kept
        }
        without_list = np.sort(np.concatenate([part.without_list for part in parts]))
        return cls(
            label or first.label,
            first.cutoffs,
            users,
            first.metrics,
            tally,
            per_user,
            without_list,
            # Each shard has those of the whole test.
            max((part.skipped for part in parts), key=lambda one: one.interactions),
            test_hashes=_joined([part.test_hashes for part in parts], order),
        )

    @cached_property
    def listed(self) -> "Evaluation":
        """The evaluation of the users with a list alone; itself if all users have one.

        Raises
        ------
        ValueError
            If no user has a list.
        """
        if not len(self.without_list):
            return self
        kept = ~np.isin(self.users, self.without_list)
        if not kept.any():
            raise ValueError("no user has a list: there is nothing to evaluate")
        # Empty lists add nothing to any sum.
        tally = replace(self.tally, n_lists=int(kept.sum()))
        values = {key: array[kept] for key, array in self._per_user.items()}
        return replace(
            self,
            users=self.users[kept],
            tally=tally,
            _per_user=values,
            test_hashes=None if self.test_hashes is None else self.test_hashes[kept],
            without_list=np.empty(0, dtype=np.int64),
        )

    def differing_tests(self, other: "Evaluation") -> int:
        """Number of users, the same in both, whose test items differ as far as is known.

        It is where both are of matrices of one shape, and values per user are kept.
        """
        ours, theirs = self.test_hashes, other.test_hashes
        if ours is None or theirs is None or self.tally.shape != other.tally.shape:
            return 0
        return int((ours != theirs).sum())

    @property
    def kept(self) -> tuple[tuple[str, int], ...]:
        """Metrics and cutoffs with values per user."""
        return tuple(self._per_user)

    def __getitem__(self, key: tuple[str, int]) -> float:
        """Value of a metric at a cutoff: ``ev["ndcg", 5]``.

        Raises
        ------
        KeyError
            If it was not computed.
        """
        if key not in self._values:
            raise KeyError(self._absent(key))
        return self._values[key]

    def per_user(self, metric: str, k: int) -> NDArray[np.float64]:
        """Values of each evaluated user, float64, shape (n evaluated users,), like `users`.

        Raises
        ------
        KeyError
            If it was not computed or not kept, or is a metric of all lists together.
        """
        if (metric, k) not in self._per_user:
            if metric in PER_USER + BEYOND_PER_USER and (metric, k) in self._values:
                raise KeyError(f"{metric} was not kept per user: evaluate again with per_user=True")
            if (metric, k) in self._values:
                raise KeyError(f"{metric} has no value per user: it belongs to all lists together")
            raise KeyError(self._absent((metric, k)))
        return self._per_user[metric, k]

    def _absent(self, key: object) -> str:
        return (
            f"there is no {shown(key)}; metrics are {', '.join(self.metrics)} "
            f"at {', '.join(map(str, self.cutoffs))}"
        )

    def to_dict(self) -> dict[int, dict[str, float]]:
        """All values, by cutoff and then by metric."""
        return {k: {name: self._values[name, k] for name in self.metrics} for k in self.cutoffs}

    def to_frame(self) -> pl.DataFrame:
        """All values as a polars frame with columns metric, k and value."""
        return pl.DataFrame(
            [(name, k, value) for (name, k), value in self._values.items()],
            schema={"metric": pl.String, "k": pl.Int64, "value": pl.Float64},
            orient="row",
        )

    def __repr__(self) -> str:
        """A small table."""
        names = _shown_of(self)
        lines = [f"{self.label}: {len(self.users):,} users evaluated"]
        lines += _table(self, names)
        lines += _notes(self)
        if 0 < len(self.without_list) < len(self.users):
            lines[-1] += "; without them:"
            lines += _table(self.listed, names)
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        """What notebooks show: the same table, and what there is to note."""
        names = _shown_of(self)
        rows = [(k, *(self[name, k] for name in names)) for k in self.cutoffs]
        title = f"{self.label}: {len(self.users):,} users evaluated"
        return html_table(title, ("k", *names), rows, _notes(self))


def _joined(
    hashes: list[NDArray[np.uint64] | None], order: NDArray[np.int64]
) -> NDArray[np.uint64] | None:
    kept = [part for part in hashes if part is not None]
    return np.concatenate(kept)[order] if len(kept) == len(hashes) else None


def _shown_of(evaluation: Evaluation) -> list[str]:
    return [n for n in _SHOWN if n in evaluation.metrics] or list(evaluation.metrics)[:7]


def _notes(evaluation: Evaluation) -> list[str]:
    found = []
    if any(evaluation.skipped):
        users, items, interactions = evaluation.skipped
        found.append(
            f"skipped {interactions:,} test interactions: {users:,} users and {items:,} items "
            "are unknown"
        )
    if n_empty := len(evaluation.without_list):
        found.append(f"{n_empty:,} of the users have no list and count as zero")
    return found


def _table(evaluation: Evaluation, names: Sequence[str]) -> list[str]:
    lines = [" ".join([f"{'k':>4}", *(f"{name:>13}" for name in names)])]
    for k in evaluation.cutoffs:
        figures = (f"{evaluation[name, k]:>13.4f}" for name in names)
        lines.append(" ".join([f"{k:>4}", *figures]))
    return lines
