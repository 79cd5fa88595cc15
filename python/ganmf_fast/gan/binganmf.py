"""binGANMF: GANMF with a discriminator that classifies.

Objective and source: see :mod:`ganmf_fast.gan.bin_players` (losses) and
:mod:`ganmf_fast.gan.trainer` (the loop).
Deviation: see there. torch is needed to fit, not to use or to load a fitted model.
"""

from typing import TYPE_CHECKING, Literal

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_choice
from ganmf_fast.gan.estimator import Adversarial
from ganmf_fast.scorers.autoencoder import ACTIVATIONS

if TYPE_CHECKING:
    from ganmf_fast.gan.players import Players


class BinGANMF(Adversarial):
    """Matrix factorisation trained against a binary discriminator (user or item profiles).

    The control of the GANMF paper's table 3: the generator ``P Q^T`` is that of GANMF, the
    discriminator a perceptron that tells real profiles from made ones, and the generator learns to
    be taken for real and to look alike in the discriminator's last hidden layer.

    Parameters
    ----------
    mode : {"user", "item"}, default "user"
        Learn the profiles of users, or those of items (rows and columns change places).
    num_factors : int, default 50
        Columns K of P and Q.
    d_nodes, d_layers : int, default 256 and 1
        Width and number of the discriminator's hidden layers.
    d_hidden_act : {"linear", "tanh", "sigmoid", "relu", "LeakyReLU"}, default "relu"
        Their activation.
    epochs : int, default 40
        At most, with `validation`; exactly, without.
    batch_size : int, default 64
        Profiles in a batch.
    d_lr, g_lr : float, default 5e-4 and 3e-3
        Adam's learning rates of discriminator and generator.
    d_reg, g_reg : float, default 1e-3 and 0.0
        Weights of half the sum of squares of their parameters.
    recon_coefficient : float, default 200.0
        Weight of feature matching in the generator's loss, at least 0.
    d_steps, g_steps : int, default 1
        Passes of each network over the batches in an epoch.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    seed : int, default 0
        Initial weights and shuffles; 0 to 2^63 - 1.
    device : str, default "auto"
        "cpu", "cuda", "cuda:1" ...; "auto" is "cuda" where there is one.
    published_quirks : bool, default False
        Train as the published code does: the generator with the label of made profiles, so that it
        learns to be recognised; the discriminator with the number of the row as a further input;
        and `best_epoch_` as there, see :class:`~ganmf_fast.gan.ganmf.estimator.GANMF`.
    gradient_norms : bool, default False
        Write the norms of the gradients to the history.
    checkpoint_every : int, default 0
        Epochs between two writings of the whole state to `checkpoint_path`; 0 is never.
    checkpoint_path : str, optional
        File of that state, see :class:`~ganmf_fast.gan.ganmf.estimator.GANMF`.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays, shapes (n_users, K) and (n_items, K)
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`, `d_loss`, `g_loss`, `real_score` and `made_score` (mean
        probabilities of being real, as the discriminator gives them), `feature_loss`,
        `made_cosine`, `validation`, and seconds as in GANMF's.

    Raises
    ------
    TypeError, ValueError
        From `fit`, if a parameter is not as above, the device does not exist, or the checkpoint is
        damaged or belongs to another run.
    ImportError
        From `fit`, if torch is not installed.
    MemoryError
        From `fit`, if the networks would not fit, or a batch does not fit into the GPU.
    ArithmeticError
        From `fit`, if training diverges before the first check; later it is a warning and the
        best weights stand.

    References
    ----------
    E. Dervishaj and P. Cremonesi, "GAN-based Matrix Factorization for Recommender Systems",
    SAC 2022.
    """

    def __init__(
        self,
        mode: Literal["user", "item"] = "user",
        num_factors: int = 50,
        d_nodes: int = 256,
        d_layers: int = 1,
        d_hidden_act: str = "relu",
        epochs: int = 40,
        batch_size: int = 64,
        d_lr: float = 5e-4,
        g_lr: float = 3e-3,
        d_reg: float = 1e-3,
        g_reg: float = 0.0,
        recon_coefficient: float = 200.0,
        d_steps: int = 1,
        g_steps: int = 1,
        freq: int = 5,
        allow_worse: int = 5,
        seed: int = 0,
        device: str = "auto",
        published_quirks: bool = False,
        gradient_norms: bool = False,
        checkpoint_every: int = 0,
        checkpoint_path: str | None = None,
    ) -> None:
        self.mode = mode
        self.num_factors = num_factors
        self.d_nodes = d_nodes
        self.d_layers = d_layers
        self.d_hidden_act = d_hidden_act
        self.epochs = epochs
        self.batch_size = batch_size
        self.d_lr = d_lr
        self.g_lr = g_lr
        self.d_reg = d_reg
        self.g_reg = g_reg
        self.recon_coefficient = recon_coefficient
        self.d_steps = d_steps
        self.g_steps = g_steps
        self.freq = freq
        self.allow_worse = allow_worse
        self.seed = seed
        self.device = device
        self.published_quirks = published_quirks
        self.gradient_norms = gradient_norms
        self.checkpoint_every = checkpoint_every
        self.checkpoint_path = checkpoint_path

    def _check_family(self) -> None:
        check_choice("mode", self.mode, ("user", "item"))
        check_choice("d_hidden_act", self.d_hidden_act, tuple(ACTIVATIONS))
        self._check_ints("num_factors", "d_nodes", "d_layers", "batch_size", "d_steps", "g_steps")
        self._check_rates("d_lr", "g_lr")
        self._check_reals("d_reg", "g_reg", "recon_coefficient")

    def _numbers(self, profiles: Csr) -> int:
        inner = (self.d_layers - 1) * self.d_nodes**2
        rows = profiles.n_rows * self.num_factors
        return rows + profiles.n_cols * (self.num_factors + self.d_nodes) + inner

    def _players(self, profiles: Csr) -> "Players":
        from ganmf_fast.gan.bin_players import BinPlayers

        return BinPlayers(self, profiles)
