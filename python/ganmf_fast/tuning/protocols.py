"""The protocols of a search: what a trial fits, stops early on and is measured on.

``paper``, one fold: fit ``train_small``, stop on ``early_stop``, measure ``validation``. What is
fitted is 51 % of all train interactions, and the best there need not be the best on all of them.

``dense``, several folds of train itself: the interactions of each user are dealt out to parts of
half the size of `holdout`. A fold measures two of them, iterative models stop early on a third, and
everything else is fitted, by models without epochs that third part as well. The sizes of a user's
parts differ by one at most, and which are larger is drawn: on average every profile loses the same
fraction, also one too short to have something in each part. The folds measure different parts.

Epochs of the final fit, on all of train: the mean over the folds of ``best epoch times (train
interactions / fitted interactions)^(1/4)``
(:func:`~ganmf_fast.models.early_stopping.epochs_for_more_data`).

Cost: a fit and an evaluation for each fold; a copy of train for each fold.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_choice, check_int, check_real
from ganmf_fast.base.urm import as_csr, fingerprint, to_scipy
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.evaluation import Evaluation
from ganmf_fast.evaluation.evaluate import evaluate_any_model
from ganmf_fast.split import Split, Splits

if TYPE_CHECKING:
    import scipy.sparse as sp

    Matrix: TypeAlias = "sp.csr_array[np.float32]"

_HOLDOUT = 0.1
_FOLDS = 1
# Parts are numbered in a byte.
_MOST_PARTS = 254


@dataclass(frozen=True, eq=False)
class Fold:
    """What one fit of a trial reads; matrices of one shape.

    Attributes
    ----------
    fitted : csr_array
        What iterative models are fitted on.
    early_stop : csr_array
        What they stop early on.
    held_out : csr_array
        What is measured.
    whole : csr_array
        What models without epochs, or of none, are fitted on: `fitted`, or with `early_stop`.
    more_data : float
        Interactions of the final fit for each one that is `fitted`.
    """

    fitted: "Matrix"
    early_stop: "Matrix"
    held_out: "Matrix"
    whole: "Matrix"
    more_data: float = 1.0


MakeFolds: TypeAlias = Callable[[], Sequence[Fold]]
"""The folds of a protocol, made in the process that uses them."""


class Protocol(ABC):
    """How a search divides its data, and how its best parameters are fitted and measured.

    Attributes
    ----------
    train : csr_array or Interactions
        What the final model is fitted on, with ids where they are known.
    shape : tuple of int
        Numbers of users and items.
    data, dataset : str
        Hash and name of the data.
    """

    train: Any
    shape: tuple[int, int]
    data: str
    dataset: str

    @property
    def header(self) -> dict[str, Any]:
        """Entries of the journal's header by which the protocol differs from the paper's."""
        return {}

    @abstractmethod
    def folds(self) -> MakeFolds:
        """What makes the folds; it can be sent to another process."""

    @abstractmethod
    def test(self, model: Any, ties: str) -> Evaluation | None:
        """A final model on ``test``, at cutoffs 5 and 20; None if there is no test."""

    def again(self) -> "tuple[Matrix, Matrix] | None":
        """More of train, and what to stop on, where epochs are sought again for the final fit."""
        return None


def _measured(splits: Splits, model: Any, ties: str) -> Evaluation:
    cold = splits.profile is not None
    return evaluate_any_model(model, splits.known, splits.test, (5, 20), ties, fold_in=cold)


class Paper(Protocol):
    """The protocol of the GANMF paper, on five sets."""

    def __init__(self, splits: Splits) -> None:
        self._splits = splits
        self.train = splits.train
        self.shape = (splits.n_users, splits.n_items)
        self.data, self.dataset = splits.data_hash, splits.name

    def folds(self) -> MakeFolds:
        """See ``Protocol``."""
        splits = self._splits
        return partial(_one, splits.train_small, splits.early_stop, splits.validation)

    def test(self, model: Any, ties: str) -> Evaluation:
        """See ``Protocol``."""
        return _measured(self._splits, model, ties)

    def again(self) -> "tuple[Matrix, Matrix]":
        """``train_small`` and ``validation`` together, and ``early_stop``."""
        parts = (self._splits.train_small, self._splits.validation)
        small, validation = (to_scipy(as_csr(part, allow_empty=True)) for part in parts)
        return (small + validation).tocsr(), self._splits.early_stop


def _one(fitted: "Matrix", early_stop: "Matrix", held_out: "Matrix") -> list[Fold]:
    return [Fold(fitted, early_stop, held_out, fitted)]


class Dense(Protocol):
    """Tuning at the density of use: small parts of train are held out, and `test` is not read.

    Parameters
    ----------
    X : Splits, or what models are fitted on
        Of `Splits` train alone is divided.
    holdout : float
        Fraction of each user's interactions that a fold measures; ``1 / holdout`` is rounded to a
        whole number.
    folds : int
        At most ``1 / holdout``.
    seed : int
        Of the parts.
    """

    def __init__(self, X: object, holdout: float, folds: int, seed: int) -> None:
        self._splits = X if isinstance(X, Splits) else None
        self.train = X.train if isinstance(X, Splits) else X
        csr = as_csr(self.train, "splits")
        owner = interactions_of(self.train)
        self.shape = (csr.n_rows, csr.n_cols)
        self.data = fingerprint(csr)
        self.dataset = X.name if isinstance(X, Splits) else getattr(owner, "name", "data")
        holdout = check_real("holdout", holdout, 2 / _MOST_PARTS, 0.5)
        most = round(1 / holdout)
        self._n_folds = check_int("folds", folds, 1)
        if folds > most:
            raise ValueError(
                f"folds is {folds}, but a holdout of {holdout:g} makes {most}: lower folds or "
                "holdout"
            )
        self._holdout = holdout
        self._make = partial(_dense, csr, most, self._n_folds, seed)
        if csr.nnz < 4 * most or any(
            min(f.held_out.nnz, f.early_stop.nnz) == 0 for f in self._make()
        ):
            raise ValueError(
                f"train has {csr.nnz} interactions, too few to hold out {1 / most:.3g} of them: "
                "raise holdout"
            )

    @property
    def header(self) -> dict[str, Any]:
        """See ``Protocol``."""
        return {"protocol": "dense", "holdout": self._holdout, "folds": self._n_folds}

    def folds(self) -> MakeFolds:
        """See ``Protocol``."""
        return self._make

    def test(self, model: Any, ties: str) -> Evaluation | None:
        """See ``Protocol``."""
        return None if self._splits is None else _measured(self._splits, model, ties)


def _dense(csr: Csr, most: int, n_folds: int, seed: int) -> list[Fold]:
    """The first `n_folds` of `most` folds."""
    parts = 2 * most
    part_of = _core.split_k_fold(csr, parts, per_user=True, seed=seed)
    folds = []
    for fold in range(n_folds):
        # The larger parts of a user are neighbours: what is held out lies apart, so that a short
        # profile does not lose everything at once.
        labels = np.zeros(len(part_of), dtype=np.uint8)
        labels[np.isin(part_of, (fold, fold + most))] = 1
        labels[part_of == (fold + (most + 1) // 2)] = 2
        fitted, held_out, early_stop = _core.divide_cells(csr, labels, 3)
        whole, _ = _core.part_cells(csr, labels, 1)
        folds.append(
            Fold(
                to_scipy(fitted),
                to_scipy(early_stop),
                to_scipy(held_out),
                to_scipy(whole),
                csr.nnz / max(fitted.nnz, 1),
            )
        )
    return folds


def protocol_of(
    name: str, data: object, holdout: float | None, folds: int | None, seed: int
) -> Protocol:
    """The protocol of a name on the data of a search.

    Raises
    ------
    TypeError, ValueError
        If it cannot be; the message names the argument.
    """
    check_choice("protocol", name, ("paper", "dense"))
    if isinstance(data, Split):
        data = Splits.from_split(data)
    if name == "dense":
        holdout = _HOLDOUT if holdout is None else holdout
        return Dense(data, holdout, _FOLDS if folds is None else folds, seed)
    for argument, value in (("holdout", holdout), ("folds", folds)):
        if value is not None:
            raise ValueError(
                f'{argument} is {value!r:.80}, but the protocol "paper" has a validation set: '
                'leave it out, or take protocol="dense"'
            )
    if not isinstance(data, Splits):
        raise TypeError(
            "splits must be Splits, such as ganmf_fast.split.paper_protocol gives, or a Split, not "
            f'{type(data).__name__}, which protocol="dense" takes if it is a matrix'
        )
    return Paper(data)
