"""Which rows of a result table are GANs."""

from functools import cache

from ganmf_fast.models.registry import NAMES

# Trained against a discriminator, without torch.
_ELSEWHERE = {f"ganmf_fast.models.{name}" for name in ("irgan", "cofigan", "graph_gan")}


@cache
def is_gan(row: str) -> bool:
    """Whether a row, named as in result tables, is an adversarial model; unknown rows are not.

    A row is called after its model, such as ``"CFGAN-u-corrected"``. CFGAN without its adversary
    counts: it is the control of the same network.
    """
    name = row.partition("-")[0].lower()
    return any(
        known.lower() == name and (module.startswith("ganmf_fast.gan.") or module in _ELSEWHERE)
        for known, module in NAMES.items()
    )
