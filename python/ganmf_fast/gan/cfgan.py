"""CFGAN: an autoencoder of profiles trained against a discriminator.

Objective and source: see :mod:`ganmf_fast.gan.cfgan_players` (losses) and
:mod:`ganmf_fast.gan.trainer` (the loop).
Deviation: see there. torch is needed to fit, not to use or to load a fitted model.
"""

from typing import TYPE_CHECKING, Literal

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool, check_choice
from ganmf_fast.gan.estimator import Adversarial
from ganmf_fast.scorers.autoencoder import ACTIVATIONS

if TYPE_CHECKING:
    from ganmf_fast.gan.players import Players


class CFGAN(Adversarial):
    """Collaborative filtering by a GAN that makes profiles from profiles (user or item mode).

    A generator, a perceptron, makes a profile from a profile; a discriminator, another one, tells
    the real from the made, each beside the profile it was made from. So that the generator does
    not rate everything highly, cells the user has not chosen are pulled to zero (ZR) or shown to
    the discriminator (PM), a random set of them in each epoch.

    Parameters
    ----------
    mode : {"user", "item"}, default "user"
        Learn the profiles of users, or those of items (rows and columns change places).
    scheme : {"ZR", "PM", "ZP"}, default "ZP"
        Zero reconstruction, partial masking, or both.
    zr_ratio, zp_ratio : float, default 0.3 and 0.1
        Share in [0, 1] of a profile's missing items in the sets of ZR and of PM.
    zr_coefficient : float, default 0.03
        Weight of the ZR term in the generator's loss, at least 0.
    g_nodes, g_layers : int, default 64 and 1
        Width and number of the generator's hidden layers.
    d_nodes, d_layers : int, default 16 and 1
        Those of the discriminator.
    g_hidden_act, d_hidden_act : {"linear", "tanh", "sigmoid", "relu", "LeakyReLU"}, \
default "linear" and "sigmoid"
        Their activations.
    epochs : int, default 20
        At most, with `validation`; exactly, without.
    d_batch_size, g_batch_size : int, default 128
        Profiles in a batch of each network.
    d_lr, g_lr : float, default 5e-4 and 1e-3
        Adam's learning rates of discriminator and generator.
    d_reg, g_reg : float, default 1e-5 and 1e-3
        Weights of half the sum of squares of their parameters.
    d_steps, g_steps : int, default 1
        Passes of each network over the batches in an epoch.
    adversarial : bool, default True
        False is the control without a GAN: no discriminator, and in the place of its opinion the
        squared error of the made profile on the cells of the real one.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    seed : int, default 0
        Initial weights, shuffles and sets of items; 0 to 2^63 - 1.
    device : str, default "auto"
        "cpu", "cuda", "cuda:1" ...; "auto" is "cuda" where there is one.
    published_quirks : bool, default False
        Train as the published code does: `zr_ratio` in the place of `zp_ratio`, users never
        shuffled, and `best_epoch_` as there, see :class:`~ganmf_fast.gan.ganmf.estimator.GANMF`.
    gradient_norms : bool, default False
        Write the norms of the gradients to the history.
    checkpoint_every : int, default 0
        Epochs between two writings of the whole state to `checkpoint_path`; 0 is never.
    checkpoint_path : str, optional
        File of that state, see :class:`~ganmf_fast.gan.ganmf.estimator.GANMF`.

    Attributes
    ----------
    user_factors_, item_factors_ : float32 arrays
        In item mode only, where the scores are inner products.
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`, `d_loss`, `g_loss`, `real_score` and `made_score` (mean
        probabilities of being real, as the discriminator gives them), `zr_loss`, `made_cosine`,
        `validation`, and seconds as in GANMF's.

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

    Notes
    -----
    In user mode new profiles can be scored (`fold_in`); in item mode users are inputs.

    References
    ----------
    D.-K. Chae, J.-S. Kang, S.-W. Kim and J.-T. Lee, "CFGAN: A Generic Collaborative Filtering
    Framework based on Generative Adversarial Networks", CIKM 2018.
    """

    def __init__(
        self,
        mode: Literal["user", "item"] = "user",
        scheme: Literal["ZR", "PM", "ZP"] = "ZP",
        zr_ratio: float = 0.3,
        zp_ratio: float = 0.1,
        zr_coefficient: float = 0.03,
        g_nodes: int = 64,
        g_layers: int = 1,
        d_nodes: int = 16,
        d_layers: int = 1,
        g_hidden_act: str = "linear",
        d_hidden_act: str = "sigmoid",
        epochs: int = 20,
        d_batch_size: int = 128,
        g_batch_size: int = 128,
        d_lr: float = 5e-4,
        g_lr: float = 1e-3,
        d_reg: float = 1e-5,
        g_reg: float = 1e-3,
        d_steps: int = 1,
        g_steps: int = 1,
        adversarial: bool = True,
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
        self.scheme = scheme
        self.zr_ratio = zr_ratio
        self.zp_ratio = zp_ratio
        self.zr_coefficient = zr_coefficient
        self.g_nodes = g_nodes
        self.g_layers = g_layers
        self.d_nodes = d_nodes
        self.d_layers = d_layers
        self.g_hidden_act = g_hidden_act
        self.d_hidden_act = d_hidden_act
        self.epochs = epochs
        self.d_batch_size = d_batch_size
        self.g_batch_size = g_batch_size
        self.d_lr = d_lr
        self.g_lr = g_lr
        self.d_reg = d_reg
        self.g_reg = g_reg
        self.d_steps = d_steps
        self.g_steps = g_steps
        self.adversarial = adversarial
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
        check_choice("scheme", self.scheme, ("ZR", "PM", "ZP"))
        for name in ("d_hidden_act", "g_hidden_act"):
            check_choice(name, getattr(self, name), tuple(ACTIVATIONS))
        self._check_ints("d_nodes", "d_layers", "g_nodes", "g_layers")
        self._check_ints("d_batch_size", "g_batch_size", "d_steps", "g_steps")
        self._check_rates("d_lr", "g_lr")
        self._check_reals("d_reg", "g_reg", "zr_coefficient")
        self._check_reals("zr_ratio", "zp_ratio", high=1.0)
        check_bool("adversarial", self.adversarial)

    def _numbers(self, profiles: Csr) -> int:
        inner = (self.d_layers - 1) * self.d_nodes**2 + (self.g_layers - 1) * self.g_nodes**2
        return 2 * profiles.n_cols * (self.d_nodes + self.g_nodes) + inner

    def _players(self, profiles: Csr) -> "Players":
        from ganmf_fast.gan.cfgan_players import CfganPlayers

        return CfganPlayers(self, profiles)
