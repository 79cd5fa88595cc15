"""GANMF: a matrix factorisation trained against a linear autoencoder.

Objective and source: see :mod:`ganmf_fast.gan.dense` (losses), :mod:`ganmf_fast.gan.exact` (fast
arithmetic for the same losses) and :mod:`ganmf_fast.gan.trainer` (the loop).
Deviation: the best weights are kept when training stops early.
Cost of an epoch: two passes over the users, see the steps. torch is needed to fit, not to use or
to load a fitted model.
"""

import re
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

from ganmf_fast._core import Csr
from ganmf_fast.models.base import Recommender, map_at_5
from ganmf_fast.models.checks import (
    check_bool,
    check_choice,
    check_int,
    check_memory,
    check_real,
)
from ganmf_fast.models.scorers import Factors, Scorer
from ganmf_fast.progress import Report

if TYPE_CHECKING:
    from ganmf_fast.gan.training import Training

_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")


class GANMF(Recommender):
    """GAN-based matrix factorisation (user or item profiles).

    A generator ``P Q^T`` makes profiles, a linear autoencoder tells them from real ones by its
    reconstruction error, and the generator learns to be reconstructed well and to look alike in
    the autoencoder's hidden layer. The scores of a user are the row the generator makes.

    Parameters
    ----------
    mode : {"user", "item"}, default "user"
        Learn the profiles of users, or those of items (rows and columns change places).
    num_factors : int, default 100
        Columns K of P and Q.
    emb_dim : int, default 400
        Hidden units E of the autoencoder.
    epochs : int, default 300
        At most, with `validation`; exactly, without.
    batch_size : int, default 512
        Profiles in a batch.
    m : float, default 10.0
        Margin: the discriminator pushes the energy of made profiles up to m times that of real
        ones. At least 0.
    d_lr, g_lr : float, default 1e-4 and 2e-3
        Adam's learning rates of discriminator and generator.
    d_reg, g_reg : float, default 1e-5 and 0.0
        Weights of half the sum of squares of their parameters.
    recon_coefficient : float, default 0.1
        Share in [0, 1] of feature matching in the generator's loss.
    d_steps, g_steps : int, default 1
        Passes of each network over the batches in an epoch.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    step : {"auto", "exact", "dense"}, default "auto"
        Arithmetic of the same losses and gradients: "exact" from low-rank pieces only, memory
        independent of the batch size; "dense" by automatic differentiation of dense batches, the
        slow yardstick; "auto" as "exact", but with products over the batch where those are
        cheaper, as they are for small batches.
    seed : int, default 0
        Initial weights and shuffles; 0 to 2^63 - 1. torch's global generator is left alone.
    device : str, default "auto"
        "cpu", "cuda", "cuda:1" ...; "auto" is "cuda" where there is one. Initial weights and
        shuffles are the same on all devices.
    published_quirks : bool, default False
        Let `best_epoch_` be the number of epochs that the published tuning saves when it stops
        early, ``epochs run - freq allow_worse + 1`` (six above the best when stopped by five
        checks of five epochs each, 276 of 300 when never stopped). The weights kept are the best
        ones either way.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`, `d_loss`, `g_loss`, `real_energy` and `made_energy` (seen by the
        discriminator), `hinge_active` (share of batches), `feature_loss`, `validation` (MAP@5,
        where checked), `seconds`; losses are means over the batches.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as above or the device does not exist.
    ImportError
        From `fit`, if torch is not installed.
    MemoryError
        From `fit`, if parameters, moments and gradients would not fit.
    ArithmeticError
        From `fit`, if training diverges before the first check; later it is a warning and the
        best weights stand.

    Notes
    -----
    The same seed gives the same weights for any number of threads on one machine. Users are those
    that were fitted: there is no fold-in.

    References
    ----------
    E. Dervishaj and P. Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
    SAC 2022.

    Examples
    --------
    >>> model = GANMF(epochs=100).fit(train, validation=early_stop)  # doctest: +SKIP
    """

    iterative: ClassVar[bool] = True

    saved_attributes = ("best_epoch_", "history_")

    def __init__(
        self,
        mode: Literal["user", "item"] = "user",
        num_factors: int = 100,
        emb_dim: int = 400,
        epochs: int = 300,
        batch_size: int = 512,
        m: float = 10.0,
        d_lr: float = 1e-4,
        g_lr: float = 2e-3,
        d_reg: float = 1e-5,
        g_reg: float = 0.0,
        recon_coefficient: float = 0.1,
        d_steps: int = 1,
        g_steps: int = 1,
        freq: int = 5,
        allow_worse: int = 5,
        step: Literal["auto", "exact", "dense"] = "auto",
        seed: int = 0,
        device: str = "auto",
        published_quirks: bool = False,
    ) -> None:
        self.mode = mode
        self.num_factors = num_factors
        self.emb_dim = emb_dim
        self.epochs = epochs
        self.batch_size = batch_size
        self.m = m
        self.d_lr = d_lr
        self.g_lr = g_lr
        self.d_reg = d_reg
        self.g_reg = g_reg
        self.recon_coefficient = recon_coefficient
        self.d_steps = d_steps
        self.g_steps = g_steps
        self.freq = freq
        self.allow_worse = allow_worse
        self.step = step
        self.seed = seed
        self.device = device
        self.published_quirks = published_quirks

    def _check_params(self) -> None:
        check_choice("mode", self.mode, ("user", "item"))
        check_choice("step", self.step, ("auto", "exact", "dense"))
        for name in (
            "num_factors",
            "emb_dim",
            "epochs",
            "batch_size",
            "d_steps",
            "g_steps",
            "freq",
        ):
            check_int(name, getattr(self, name), 1)
        check_int("allow_worse", self.allow_worse, 0)
        check_int("seed", self.seed, 0, 2**63 - 1)
        for name in ("m", "d_reg", "g_reg"):
            check_real(name, getattr(self, name), 0.0)
        for name in ("d_lr", "g_lr"):
            check_real(name, getattr(self, name), above=0.0)
        check_real("recon_coefficient", self.recon_coefficient, 0.0, 1.0)
        check_bool("published_quirks", self.published_quirks)
        if not isinstance(self.device, str) or not _DEVICE.fullmatch(self.device):
            raise ValueError(
                f'device must be "auto", "cpu", "cuda" or "cuda:<number>", not {self.device!r}'
            )

    def _fit(self, urm: Csr, validation: Csr | None, report: Report) -> Scorer:
        # Only here, so that saved models work without torch.
        from ganmf_fast.gan.training import Training

        profiles = urm if self.mode == "user" else urm.transpose()
        sides = profiles.n_rows * self.num_factors
        sides += profiles.n_cols * (self.num_factors + 2 * self.emb_dim + 1)
        # A weight, its gradient and two moments, four bytes each.
        check_memory(16 * sides, "GANMF", "lower emb_dim or num_factors")
        training = Training(self, profiles)
        validate = None
        if validation is not None:
            validate = partial(self._map_at_5, training, urm, validation)
        outcome = training.run(validate, report)
        self.history_ = outcome.history
        self.best_epoch_ = outcome.best_epoch
        if self.published_quirks and validation is not None:
            self.best_epoch_ = max(1, outcome.epochs_run - self.freq * self.allow_worse + 1)
        return self._scorer(training)

    def _map_at_5(self, training: "Training", urm: Csr, validation: Csr) -> float:
        return map_at_5(self._scorer(training), urm, validation)

    def _scorer(self, training: "Training") -> Factors:
        profiles, features = training.factors()
        return Factors(profiles, features) if self.mode == "user" else Factors(features, profiles)
