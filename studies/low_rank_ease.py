"""The discriminator of GANMF alone, at its start as EASE: a linear autoencoder of limited rank."""

import ganmf_fast as gf
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.gan.ganmf.module import GANMFModule
from ganmf_fast.scorers.factors import Factors


@gf.hyperparameters
class LowRankEASE(gf.Recommender):
    """Rank items by what the discriminator reconstructs of a profile.

    EASE cut to the leading eigenvectors of the items, each item reconstructed from the others
    (docs/algorithms.md, "Emphasis and matching"). Nothing of a generator is in it.
    """

    emb_dim: int = gf.param(400, "Hidden units, the rank.", at_least=1)
    d_reg: float = gf.param(1e-4, "Weight of the penalty.", above=0.0)
    norm_exponent: float = gf.param(0.0, "Power of the norms that profiles are divided by.")
    seed: int = gf.param(0, "Of the random start of the decomposition.", at_least=0)

    def _fit(self, data: gf.FitData) -> Factors:
        start = {"d_init": "ease", "num_factors": 1, "epochs": 0, "device": "cpu"}
        module = GANMFModule(gf.GANMF(**self.get_params(), **start), data.urm)
        encoder, decoder = (
            weights.detach().numpy()
            for weights in (module.discriminator.encoder, module.discriminator.decoder)
        )
        hidden = to_scipy(module.profiles) @ encoder
        return Factors(hidden, decoder[:, :-1].copy())
