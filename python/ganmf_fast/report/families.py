"""Which rows of a comparison are GANs."""

from functools import cache

from ganmf_fast.experiments.variants import ROWS
from ganmf_fast.gan.estimator import Adversarial
from ganmf_fast.models import model_class

__all__ = ["is_gan"]


@cache
def is_gan(row: str) -> bool:
    """Whether a row, called as in the tables, is an adversarial model; an unknown one is none.

    CFGAN without its adversary counts as one: it is the control of the same network.
    """
    return any(
        known.name == row and issubclass(model_class(known.model), Adversarial) for known in ROWS
    )
