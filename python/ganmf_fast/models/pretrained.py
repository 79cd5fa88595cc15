"""What models share that start from factors with item biases: fitted first, or read from a file.

The first factors are those of BPR-MF, whose steps give new users their factors as well.
"""

import hashlib
import warnings
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import KW_ONLY
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from ganmf_fast import _core
from ganmf_fast._core import Csr
from ganmf_fast.base.files import is_file
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import fingerprint
from ganmf_fast.models.bpr_mf import BPRMF, first_factors
from ganmf_fast.models.fit_data import FitData
from ganmf_fast.models.iterative import IterativeRecommender
from ganmf_fast.models.load import load
from ganmf_fast.scorers.factors import Factors
from ganmf_fast.scorers.tensors import Floats

Tables = tuple[Floats, Floats]


@hyperparameters
class PretrainedSettings:
    """Settings of every such model."""

    num_factors = 1

    _: KW_ONLY
    start_path: str | None = param(
        None,
        "File of a saved model with `num_factors` factors and item biases, such as a BPRMF of the "
        "same matrix, that the generator starts from in place of pre-training.",
    )


class PretrainedRecommender(PretrainedSettings, IterativeRecommender):
    """Base of factorisations that start from another one.

    Attributes
    ----------
    pretraining_ : list of dict
        History of the pre-training; empty with `start_path`.
    """

    saved_attributes: ClassVar[tuple[str, ...]] = ("best_epoch_", "history_", "pretraining_")

    pretraining_: list[dict[str, float]]

    @property
    def best_pretrain_epoch_(self) -> int | None:
        """Epoch of the pre-training that the game starts from; None if none was validated."""
        validated = [row for row in self.pretraining_ if "validation" in row]
        # As early stopping has it, the earliest of equals.
        best = max(validated, key=lambda row: row["validation"], default=None)
        return None if best is None else int(best["epoch"])

    def _file_digests(self) -> dict[str, str]:
        found = {}
        for name in ("start_path", "d_start_path"):
            path = getattr(self, name, None)
            if path is not None and is_file(path):  # or reading it says what is wrong
                with Path(path).open("rb") as file:
                    digest = hashlib.file_digest(file, "sha256").hexdigest()
                found[f"content of {name}"] = digest
        return found

    @abstractmethod
    def _start(self) -> BPRMF:
        """The model that pre-training fits; its steps give new users their factors."""

    def _train(self, *args: Any) -> Factors:
        """As of the base; a fit that is broken off leaves the earlier history as well."""
        before = self.__dict__.get("pretraining_")
        try:
            return super()._train(*args)
        except BaseException:
            self.__dict__.pop("pretraining_", None)
            if before is not None:
                self.pretraining_ = before
            raise

    def _pretraining_array(self) -> NDArray[np.float64]:
        """`pretraining_`, for a checkpoint."""
        rows = [
            [row["epoch"], row["loss"], row.get("validation", np.nan), row["seconds"]]
            for row in self.pretraining_
        ]
        return np.array(rows, np.float64).reshape(-1, 4)

    def _restore_pretraining(self, arrays: Mapping[str, NDArray[Any]]) -> None:
        self.pretraining_ = [
            {"epoch": int(epoch), "loss": loss, "seconds": seconds}
            | ({} if np.isnan(value) else {"validation": value})
            for epoch, loss, value, seconds in arrays["pretraining"].tolist()
        ]

    def _first_generator(self, data: FitData) -> Tables:
        """Factors that the generator starts from."""
        self.pretraining_ = []
        if self.start_path is not None:
            return self._from_file("start_path", data.urm)
        model = self._start()
        if not model.epochs:
            rng = np.random.default_rng(int(self.seed))
            return first_factors(data.urm, int(self.num_factors), rng)
        with warnings.catch_warnings():
            # Has been said of the same matrices.
            warnings.filterwarnings("ignore", message="validation holds", category=UserWarning)
            try:
                model.fit(data.urm, validation=data.validation, metric=data.metric, k=data.k)
            except ValueError as error:
                said = str(error).replace("learning_rate", "pretrain_lr")
                raise ValueError(f"pre-training: {said}") from None
        scorer = model.scorer_
        if not isinstance(scorer, Factors):  # which BPRMF always has
            raise TypeError(f"pre-training left {type(scorer).__name__} behind")
        self.pretraining_ = model.history_
        return scorer.user_factors, scorer.item_factors

    def _from_file(self, name: str, urm: Csr) -> Tables:
        """Factors with item biases of a saved model."""
        path = getattr(self, name)
        model = load(path)
        scorer = model.scorer_
        width = int(self.num_factors) + 1
        shapes = [(urm.n_rows, width), (urm.n_cols, width)]
        if (
            not isinstance(scorer, Factors)
            or [scorer.user_factors.shape, scorer.item_factors.shape] != shapes
            or not (scorer.user_factors[:, -1] == 1).all()
        ):
            raise ValueError(
                f"{name} names {shown(path)}, which does not hold factors of {urm.n_rows} users "
                f"and {urm.n_cols} items with num_factors = {self.num_factors} and item biases: "
                "fit a BPRMF with these on the same matrix"
            )
        if fingerprint(model.urm_) != fingerprint(urm):
            warnings.warn(
                f"{name} names {shown(path)}, whose model was fitted on other interactions than X: "
                "what it has seen is in the start",
                UserWarning,
                stacklevel=2,
            )
        return scorer.user_factors, scorer.item_factors

    def _scorer_of(self, profiles: Csr) -> Factors:
        fitted = self._factors("item_factors_")
        start = self._start()
        epochs = self.best_pretrain_epoch_ or max(int(start.epochs), 1)
        users = _core.bpr_fold_in(profiles, start.rule(), fitted.item_factors, 1.0, epochs)
        return fitted.with_users(users)
