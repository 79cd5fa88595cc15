"""GANMF: a matrix factorisation trained against a linear autoencoder.

Objective and source: `gan.ganmf.dense` (losses), `gan.ganmf.exact` (fast arithmetic for the same
losses) and `gan.trainer` (the loop).
Deviation: the best weights are kept when training stops early.
Cost of an epoch: two passes over the users, see the steps. torch is needed to fit, not to use or
to load a fitted model.
"""

from typing import TYPE_CHECKING, Literal

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_choice, check_real, check_share
from ganmf_fast.gan.estimator import Adversarial

if TYPE_CHECKING:
    from ganmf_fast.gan.players import Players


class GANMF(Adversarial):
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
        Share in [0, 1] of feature matching in the generator's loss. 1 is the control without an
        adversary: the generator no longer cares for the energy of what it makes.
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
    d_dropout : float, default 0.0
        Share in [0, 1) of the cells of real profiles that the discriminator does not get to see,
        though it is to reconstruct them.
    g_ema : float, default 0.0
        Decay in [0, 1) of the average over the generator's steps that is used in place of the
        generator's last weights; 0 is no average.
    g_reg_exponent : float, default 0.0
        `g_reg` weighs each row of the factors by its number of interactions to this power, scaled
        to a mean of one. 0 is one weight for all.
    init : {"glorot", "svd", "ease"}, default "glorot"
        Start the factors at random, or from a decomposition of the interactions, or of the scores
        of EASE.
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
    gradient_norms : bool, default False
        Write the norms of the gradients to the history.
    checkpoint_every : int, default 0
        Epochs between two writings of the whole state to `checkpoint_path`; 0 is never. A fit that
        finds the state of an interrupted one goes on from there and ends with the same weights;
        one that ends removes it.
    checkpoint_path : str, optional
        File of that state.

    data_parallel : bool, default False
        Train in several processes, each with its share of every batch, for the losses of one that
        has whole batches, to rounding. All of them, started by torchrun or members of a process
        group of torch.distributed, fit the same model on the same data, and all end with it; the
        first one validates and writes the checkpoint. "cuda" is the GPU of the process's number.
    tf32 : bool, default False
        On a GPU, let products of matrices round their factors to 10 bits, which is faster.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`, `d_loss`, `g_loss`, `real_energy` and `made_energy` (seen by the
        discriminator), `hinge_active` (share of batches), `feature_loss`, `made_cosine` (mean
        cosine between 64 made profiles; near 1 all look alike), `validation` (MAP@5, where
        checked), `seconds`, and of these `d_seconds`, `g_seconds` and `validation_seconds`; with
        `gradient_norms` also `d_gradient` and `g_gradient`. Losses are means over the batches.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as above, the device does not exist, the checkpoint is
        damaged or belongs to another run, or with `data_parallel` this process is alone or fits
        something else than the others.
    ConnectionError
        From `fit` with `data_parallel`, if another process ends or does not answer for ten minutes
        (or for the timeout of your own process group).
    ImportError
        From `fit`, if torch is not installed.
    MemoryError
        From `fit`, if parameters, moments and gradients would not fit, or a batch does not fit
        into the GPU; then the message names one that would.
    ArithmeticError
        From `fit`, if training diverges before the first check; later it is a warning and the
        best weights stand.

    Notes
    -----
    The same seed gives the same weights for any number of threads on one machine, and again on
    the same kind of GPU. Users are those that were fitted: there is no fold-in.

    References
    ----------
    E. Dervishaj and P. Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
    SAC 2022.

    Examples
    --------
    >>> model = GANMF(epochs=100).fit(train, validation=early_stop)  # doctest: +SKIP
    """

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
        d_dropout: float = 0.0,
        g_ema: float = 0.0,
        g_reg_exponent: float = 0.0,
        init: Literal["glorot", "svd", "ease"] = "glorot",
        seed: int = 0,
        device: str = "auto",
        published_quirks: bool = False,
        gradient_norms: bool = False,
        checkpoint_every: int = 0,
        checkpoint_path: str | None = None,
        data_parallel: bool = False,
        tf32: bool = False,
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
        self.d_dropout = d_dropout
        self.g_ema = g_ema
        self.g_reg_exponent = g_reg_exponent
        self.init = init
        self.seed = seed
        self.device = device
        self.published_quirks = published_quirks
        self.gradient_norms = gradient_norms
        self.checkpoint_every = checkpoint_every
        self.checkpoint_path = checkpoint_path
        self.data_parallel = data_parallel
        self.tf32 = tf32

    def _check_family(self) -> None:
        check_choice("mode", self.mode, ("user", "item"))
        check_choice("step", self.step, ("auto", "exact", "dense"))
        check_choice("init", self.init, ("glorot", "svd", "ease"))
        self._check_ints("num_factors", "emb_dim", "batch_size", "d_steps", "g_steps")
        self._check_reals("m", "d_reg", "g_reg", "g_reg_exponent")
        self._check_rates("d_lr", "g_lr")
        check_real("recon_coefficient", self.recon_coefficient, 0.0, 1.0)
        for name in ("d_dropout", "g_ema"):
            check_share(name, getattr(self, name))

    def _numbers(self, profiles: Csr) -> int:
        rows = profiles.n_rows * self.num_factors
        return rows + profiles.n_cols * (self.num_factors + 2 * self.emb_dim + 1)

    def _players(self, profiles: Csr) -> "Players":
        from ganmf_fast.gan.ganmf.module import Training

        return Training(self, profiles)
