"""Every model that is no GAN, small."""

import pytest

import ganmf_fast as gf
from ganmf_fast.models import registry
from ganmf_fast.models.base import Recommender

SETTINGS = {
    "TopPopular": {},
    "Random": {},
    "PureSVD": {"num_factors": 5},
    "ItemKNN": {"topk": 6},
    "UserKNN": {"topk": 6},
    "P3alpha": {"topk": 6},
    "RP3beta": {"topk": 6},
    "SLIMBPR": {"topk": 6, "epochs": 2},
    "SLIMElasticNet": {"topk": 6, "alpha": 0.01},
    "EASE": {"l2": 5.0},
    "WRMF": {"num_factors": 4, "epochs": 2},
    "BPRMF": {"num_factors": 4, "epochs": 2},
    "APR": {"num_factors": 4, "epochs": 3, "warm_epochs": 1},
    "IRGAN": {"num_factors": 4, "epochs": 2, "pretrain_epochs": 3, "d_epochs": 2, "g_epochs": 2},
    "CDAE": {"num_factors": 4, "epochs": 2},
    "GraphGAN": {"num_factors": 4, "epochs": 2, "pretrain_epochs": 3, "d_epochs": 2},
    "CoFiGAN": {"num_factors": 4, "epochs": 2, "pretrain_epochs": 3, "d_epochs": 2, "g_epochs": 2},
}


@pytest.fixture
def classical_models() -> dict[str, Recommender]:
    """Each of them by name, not fitted."""
    classical = {
        n for n, module in registry.NAMES.items() if not module.startswith("ganmf_fast.gan")
    }
    assert set(SETTINGS) == classical
    return {name: getattr(gf, name)(**params) for name, params in SETTINGS.items()}


@pytest.fixture(params=SETTINGS)
def classical(request, classical_models) -> Recommender:
    """One of them, not fitted."""
    return classical_models[request.param]
