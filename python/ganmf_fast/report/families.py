"""Which rows of a comparison are GANs."""

from functools import cache

from ganmf_fast.experiments.variants import VARIANTS
from ganmf_fast.gan.base import GANRecommender
from ganmf_fast.models.registry import model_class

__all__ = ["is_gan"]


@cache
def is_gan(row: str) -> bool:
    """Whether a row, called as in the tables, is an adversarial model; an unknown one is none.

    CFGAN without its adversary counts as one: it is the control of the same network.
    """
    return any(
        known.name == row and issubclass(model_class(known.model), GANRecommender)
        for known in VARIANTS
    )
