"""The models of the comparison, each a variant of a class with parameters that make it one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganmf_fast.base.errors import suggestion

__all__ = ["VARIANTS", "ModelVariant", "select"]


@dataclass(frozen=True)
class ModelVariant:
    """One line of the table.

    Attributes
    ----------
    name : str
        As in the published results.
    model : str
        Name of the class.
    fixed : mapping
        Parameters that make up the variant.
    defaults : mapping
        Parameters on data without published or chosen ones.
    quirks : bool
        Run it as the published code did, faults included, with parameters that were published.
    params_of : str
        Variant whose published parameters this one takes too: run only when asked for by name, to
        show the effect of another way of training.
    known_difference : str
        Known reason why its figures differ from the published ones.
    """

    name: str
    model: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    quirks: bool = False
    params_of: str = ""
    known_difference: str = ""


# Do well on the simulated data (chosen on its validation split) within seconds.
_GANMF = {
    "num_factors": 50,
    "emb_dim": 128,
    "batch_size": 256,
    "m": 10.0,
    "d_lr": 5e-4,
    "g_lr": 4e-3,
    "d_reg": 1e-5,
    "recon_coefficient": 0.1,
}

# The defaults of the classes do well on the simulated data too, and need no search for an epoch.
_BINGANMF = {"epochs": 40}
_CFGAN = {"epochs": 20}
_CAAE = {"epochs": 20}

_OURS = "the authors' parameters are not published: chosen on validation here"

VARIANTS: tuple[ModelVariant, ...] = (
    ModelVariant("Random", "Random"),
    ModelVariant("TopPopular", "TopPopular"),
    ModelVariant("PureSVD", "PureSVD", defaults={"num_factors": 20}),
    *(
        ModelVariant(
            f"ItemKNN-{similarity}",
            "ItemKNN",
            {"similarity": similarity},
            {"topk": 300, "shrink": 20},
            quirks=True,
        )
        for similarity in ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
    ),
    ModelVariant("P3alpha", "P3alpha", defaults={"topk": 300, "alpha": 0.8}, quirks=True),
    ModelVariant("RP3beta", "RP3beta", defaults={"topk": 300, "alpha": 0.8, "beta": 0.3}),
    ModelVariant("UserKNN", "UserKNN", defaults={"topk": 300, "shrink": 20}),
    ModelVariant(
        "SLIM-BPR",
        "SLIMBPR",
        defaults={"topk": 300, "learning_rate": 0.05, "epochs": 30},
        quirks=True,
    ),
    # The authors' files have figures of these two, but not their parameters.
    ModelVariant(
        "SLIM-ElasticNet",
        "SLIMElasticNet",
        defaults={"alpha": 0.02, "l1_ratio": 0.01},
        known_difference=_OURS,
    ),
    ModelVariant("EASE-R", "EASE", defaults={"l2": 200.0}, known_difference=_OURS),
    ModelVariant(
        "WRMF",
        "WRMF",
        defaults={"num_factors": 20, "alpha": 3.0, "epochs": 10},
        quirks=True,
    ),
    ModelVariant("GANMF-u", "GANMF", {"mode": "user"}, _GANMF),
    ModelVariant("GANMF-i", "GANMF", {"mode": "item"}, _GANMF),
    *(
        row
        for name, model, fixed, defaults in (
            ("binGANMF-u", "BinGANMF", {"mode": "user"}, _BINGANMF),
            ("binGANMF-i", "BinGANMF", {"mode": "item"}, _BINGANMF),
            ("CFGAN-u", "CFGAN", {"mode": "user"}, _CFGAN),
            ("CFGAN-i", "CFGAN", {"mode": "item"}, _CFGAN),
            ("CAAE", "CAAE", {}, _CAAE),
        )
        for row in (
            ModelVariant(name, model, fixed, defaults, quirks=True),
            ModelVariant(f"{name}-corrected", model, fixed, defaults, params_of=name),
        )
    ),
    *(
        ModelVariant(
            f"CFGAN-{mode[0]}-nogan",
            "CFGAN",
            {"mode": mode, "adversarial": False},
            _CFGAN,
            params_of=f"CFGAN-{mode[0]}",
        )
        for mode in ("user", "item")
    ),
)
"""Every row, in the order of the table."""


def select(names: Iterable[str] | None) -> list[ModelVariant]:
    """Rows by their names, or by the names of their models, in the order of the table.

    Rows that only vary another one are given by name alone.

    Raises
    ------
    ValueError
        If a name is unknown; the message suggests the nearest.
    """
    if names is None:
        return [row for row in VARIANTS if not row.params_of]
    wanted = list(names)
    known = list(dict.fromkeys([row.name for row in VARIANTS] + [row.model for row in VARIANTS]))
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"models has no {name!r:.80}{suggestion(name, known)} "
                f"(there are {', '.join(row.name for row in VARIANTS)})"
            )
    rows = [
        row for row in VARIANTS if row.name in wanted or (row.model in wanted and not row.params_of)
    ]
    if not rows:
        raise ValueError("models names no model")
    return rows
