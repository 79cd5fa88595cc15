"""CAAE: autoencoders that pick items to please, and to mislead, a ranking discriminator.

Objective and source: see :mod:`ganmf_fast.gan.caae_players` (losses) and
:mod:`ganmf_fast.gan.trainer` (the loop).
Deviation: see there. torch is needed to fit, not to use or to load a fitted model.
"""

from typing import TYPE_CHECKING

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_bool
from ganmf_fast.gan.estimator import Adversarial

if TYPE_CHECKING:
    from ganmf_fast.gan.players import Players


class CAAE(Adversarial):
    """Collaborative adversarial autoencoders.

    An autoencoder G picks items that the user may like, another one, G', items that the user may
    not; a discriminator, a matrix factorisation trained to rank a user's own items above all that
    either picks, rewards them. The scores of a user are what G makes of the profile.

    Parameters
    ----------
    num_factors : int, default 50
        Columns of the discriminator's factors.
    g_units, g_layers : int, default 100 and 1
        Width and number of G's hidden layers.
    gpr_units, gpr_layers : int, default 100 and 1
        Those of G'.
    epochs : int, default 20
        At most, with `validation`; exactly, without.
    d_steps : int, default 1
        Passes of the discriminator over all interactions in an epoch.
    g_steps, gpr_steps : int, default 40 and 5
        Updates of G and of G' in an epoch.
    d_bsize : int, default 4096
        Interactions in a batch of the discriminator.
    m_batch : int, default 128
        Users in an update of G or of G'.
    lr : float, default 5e-2
        Rate of the gradient descent of all three.
    beta : float, default 1e-4
        Weight of half the sum of squares of the parameters, of the discriminator's rows whenever
        they are looked up.
    S : float, default 0.02
        Share in [0, 1] of the items a profile does not hold that G is to reconstruct as zeros.
    lmbda : float, default 0.1
        Share in [0, 1] of the reward in G's loss; the rest is reconstruction.
    reward_baseline : bool, default False
        Subtract the mean reward of a batch, which makes the gradient less noisy.
    freq : int, default 5
        Epochs between two checks of MAP@5 on `validation`.
    allow_worse : int, default 5
        Checks without improvement that are borne; the next one stops the training.
    seed : int, default 0
        Initial weights, shuffles and draws; 0 to 2^63 - 1.
    device : str, default "auto"
        "cpu", "cuda", "cuda:1" ...; "auto" is "cuda" where there is one.
    published_quirks : bool, default False
        As the published code does: G' with the layers of G, users from the thousandth on scored by
        the profiles of others, and `best_epoch_` as in `GANMF`.
    gradient_norms : bool, default False
        Write the norms of the generators' gradients to the history.
    checkpoint_every : int, default 0
        Epochs between two writings of the whole state to `checkpoint_path`; 0 is never.
    checkpoint_path : str, optional
        File of that state, see `GANMF`.

    Attributes
    ----------
    best_epoch_ : int
        Epoch of the weights that were kept; with `published_quirks`, see there.
    history_ : list of dict
        One row an epoch: `epoch`, `d_loss`, `g_loss`, `gpr_loss`, `reconstruction_loss`,
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
    D.-K. Chae, J. A. Shin and S.-W. Kim, "Collaborative Adversarial Autoencoders: An Effective
    Collaborative Filtering Model Under the GAN Framework", IEEE Access 7, 2019.
    """

    def __init__(
        self,
        num_factors: int = 50,
        g_units: int = 100,
        g_layers: int = 1,
        gpr_units: int = 100,
        gpr_layers: int = 1,
        epochs: int = 20,
        d_steps: int = 1,
        g_steps: int = 40,
        gpr_steps: int = 5,
        d_bsize: int = 4096,
        m_batch: int = 128,
        lr: float = 5e-2,
        beta: float = 1e-4,
        S: float = 0.02,
        lmbda: float = 0.1,
        reward_baseline: bool = False,
        freq: int = 5,
        allow_worse: int = 5,
        seed: int = 0,
        device: str = "auto",
        published_quirks: bool = False,
        gradient_norms: bool = False,
        checkpoint_every: int = 0,
        checkpoint_path: str | None = None,
    ) -> None:
        self.num_factors = num_factors
        self.g_units = g_units
        self.g_layers = g_layers
        self.gpr_units = gpr_units
        self.gpr_layers = gpr_layers
        self.epochs = epochs
        self.d_steps = d_steps
        self.g_steps = g_steps
        self.gpr_steps = gpr_steps
        self.d_bsize = d_bsize
        self.m_batch = m_batch
        self.lr = lr
        self.beta = beta
        self.S = S
        self.lmbda = lmbda
        self.reward_baseline = reward_baseline
        self.freq = freq
        self.allow_worse = allow_worse
        self.seed = seed
        self.device = device
        self.published_quirks = published_quirks
        self.gradient_norms = gradient_norms
        self.checkpoint_every = checkpoint_every
        self.checkpoint_path = checkpoint_path

    def _check_family(self) -> None:
        self._check_ints("num_factors", "g_units", "g_layers", "gpr_units", "gpr_layers")
        self._check_ints("d_steps", "g_steps", "gpr_steps", "d_bsize", "m_batch")
        self._check_rates("lr")
        self._check_reals("beta")
        self._check_reals("S", "lmbda", high=1.0)
        check_bool("reward_baseline", self.reward_baseline)

    def _numbers(self, profiles: Csr) -> int:
        layers = 2 * profiles.n_cols * (self.g_units + self.gpr_units)
        return layers + (profiles.n_rows + profiles.n_cols + 1) * self.num_factors

    def _players(self, profiles: Csr) -> "Players":
        from ganmf_fast.gan.caae_players import CaaePlayers

        return CaaePlayers(self, profiles)
