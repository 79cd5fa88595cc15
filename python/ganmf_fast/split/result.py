"""Results of the splits: `Split`, `ColdSplit`, `Folds` and `Windows`."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, overload

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.notebook import html_lines
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import read_only, to_scipy
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split.input import SplitInput, leakage

if TYPE_CHECKING:
    import scipy.sparse as sp


@dataclass(frozen=True, eq=False, repr=False)
class Split:
    """Train and test of one shape: a partition of the interactions.

    Attributes
    ----------
    rule : str
        Rule and arguments of the split.
    warnings : tuple of str
        Limits of figures on this split, such as leakage from the future.
    cut : object
        The moment from which on interactions are in test, for a split at one moment, else None.
    by_time : {"all", "user", None}
        Whether the latest interactions are in test, of all together or of each user; None for a
        random split.
    """

    rule: str
    _source: SplitInput
    _train: Csr
    _test: Csr
    _labels: NDArray[np.uint8] | None = None
    warnings: tuple[str, ...] = ()
    cut: Any = None
    by_time: Literal["all", "user"] | None = None
    # Labels of the two sides in `_labels`.
    _of_train: tuple[int, ...] = (0,)
    _of_test: tuple[int, ...] = (1,)

    @cached_property
    def train(self) -> "sp.csr_array[np.float32]":
        """Interactions for fitting: float32, canonical, read-only, shape (n_users, n_items)."""
        return to_scipy(self._train)

    @cached_property
    def test(self) -> "sp.csr_array[np.float32]":
        """Interactions held out; same form as `train`."""
        return to_scipy(self._test)

    @cached_property
    def train_data(self) -> Interactions:
        """`train` with the ids and timestamps of the data that were split."""
        return self._source.side(self._train, self._labels, *self._of_train)

    @cached_property
    def test_data(self) -> Interactions:
        """`test` with the ids and timestamps of the data that were split."""
        return self._source.side(self._test, self._labels, *self._of_test)

    @property
    def n_users(self) -> int:
        """Number of users (rows)."""
        return self._train.n_rows

    @property
    def n_items(self) -> int:
        """Number of items (columns)."""
        return self._train.n_cols

    @cached_property
    def users_without_train(self) -> NDArray[np.int64]:
        """Rows of users without train interactions, ascending."""
        return read_only(_without(self._train, self._test))

    @cached_property
    def users_without_test(self) -> NDArray[np.int64]:
        """Rows of users without test interactions, ascending."""
        return read_only(_without(self._test, self._train))

    @cached_property
    def items_without_train(self) -> NDArray[np.int64]:
        """Columns of items that are in test only, ascending: no model can learn them."""
        known = np.bincount(self._train.indices, minlength=self.n_items) > 0
        missing = np.setdiff1d(self._test.indices, np.flatnonzero(known))
        return read_only(missing.astype(np.int64))

    def __repr__(self) -> str:
        """Rule, sizes, number of users without a side, and warnings."""
        name = "" if self._source.data is None else f"{shown(self._source.data.name)}, "
        sizes = f"{self.n_users:,} x {self.n_items:,}; {self._sizes()}"
        lines = [f"{type(self).__name__}({name}{self.rule}: {sizes})"]
        lines += [
            f"  {len(users):,} users have nothing in {side}"
            for side, users in (
                ("train", self.users_without_train),
                ("test", self.users_without_test),
            )
            if len(users)
        ]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _sizes(self) -> str:
        return f"train {self._train.nnz:,}, test {self._test.nnz:,}"

    def _repr_html_(self) -> str:
        """What notebooks show: as printed."""
        return html_lines(repr(self))


def _without(side: Csr, other: Csr) -> NDArray[np.int64]:
    return np.flatnonzero((np.diff(side.indptr) == 0) & (np.diff(other.indptr) > 0))


@dataclass(frozen=True, eq=False, repr=False)
class ColdSplit(Split):
    """Users held out whole: `train` holds the others, `test` the targets of those held out.

    Attributes
    ----------
    users : int64 array
        Rows of the users held out, ascending. They are empty in `train`.
    """

    users: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    _profile: Csr | None = None

    def __post_init__(self) -> None:
        """Forbid writing to the array."""
        object.__setattr__(self, "users", read_only(self.users))

    @cached_property
    def profile(self) -> "sp.csr_array[np.float32]":
        """Profiles of the users held out, for `fold_in`; shape (n_users, n_items)."""
        return to_scipy(self._known_profile)

    @cached_property
    def profile_data(self) -> Interactions:
        """`profile` with the ids and timestamps of the data that were split."""
        return self._source.side(self._known_profile, self._labels, 1)

    @property
    def _known_profile(self) -> Csr:
        if self._profile is None:
            raise ValueError("profile is missing: this split was not made by split.cold_users")
        return self._profile

    def _sizes(self) -> str:
        return (
            f"{len(self.users):,} users held out; train {self._train.nnz:,}, "
            f"profile {self._known_profile.nnz:,}, test {self._test.nnz:,}"
        )


@dataclass(frozen=True, eq=False, repr=False)
class Folds:
    """A sequence of `Split`, each made on access: test is one fold, train are the others."""

    rule: str
    n_splits: int
    _source: SplitInput
    _labels: NDArray[np.uint8]

    @property
    def labels(self) -> NDArray[np.uint8]:
        """The fold of each interaction, in the order of the matrix."""
        return read_only(self._labels)

    def __len__(self) -> int:
        """Number of folds."""
        return self.n_splits

    @overload
    def __getitem__(self, fold: int) -> Split: ...

    @overload
    def __getitem__(self, fold: slice) -> list[Split]: ...

    def __getitem__(self, fold: int | slice) -> Split | list[Split]:
        """The split whose test is `fold`; of a slice a list of them."""
        if isinstance(fold, slice):
            return [self._made(at) for at in range(self.n_splits)[fold]]
        if not hasattr(fold, "__index__"):
            raise TypeError(f"fold must be an integer or a slice, not {shown(fold)}")
        try:
            return self._made(range(self.n_splits)[fold])
        except IndexError:
            raise IndexError(f"fold {fold} of {self.n_splits}: they are counted from 0") from None

    def _made(self, at: int) -> Split:
        train, test = _core.part_cells(self._source.csr, self._labels, at)
        held = (self._labels == at).astype(np.uint8)
        return Split(
            f"{self.rule}, fold {at}",
            self._source,
            train,
            test,
            held,
            leakage(self._source, held, "k_fold"),
        )

    def __iter__(self) -> Iterator[Split]:
        """The splits, one after the other."""
        return (self[fold] for fold in range(self.n_splits))

    def __repr__(self) -> str:
        """Rule and number of interactions."""
        return f"{type(self).__name__}({self.rule}: {self._source.csr.nnz:,} interactions)"


@dataclass(frozen=True, eq=False, repr=False)
class Windows(Folds):
    """Folds in the order of time: test is one window, train is what lies before it.

    Attributes
    ----------
    cuts : array, shape (n_splits + 1,)
        The moments between which the windows lie, of the type of the timestamps: window w holds the
        interactions from ``cuts[w]`` on and before ``cuts[w + 1]``.
    """

    cuts: NDArray[Any] = field(default_factory=lambda: np.empty(0))
    # Moments from which on the train of each window begins, as int64 like `_times`.
    _starts: NDArray[np.int64] | None = None
    _times: NDArray[np.int64] | None = None

    def _made(self, at: int) -> Split:
        window = at + 1  # 0 is what lies before all windows
        earlier = self._labels < window
        if self._starts is not None and self._times is not None:
            earlier &= self._times >= self._starts[at]
        labels = np.where(earlier, 0, np.where(self._labels == window, 1, 2)).astype(np.uint8)
        train, test, _ = _core.divide_cells(self._source.csr, labels, 3)
        rule = f"{self.rule}, window {at}: from {self.cuts[at]} on and before {self.cuts[window]}"
        return Split(rule, self._source, train, test, labels, (), self.cuts[at], "all")
