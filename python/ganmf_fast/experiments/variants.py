"""The models of the comparison, each a variant of a class with parameters that make it one."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from ganmf_fast.base.errors import suggestion, unknown
from ganmf_fast.base.text import shown
from ganmf_fast.models.own_model import imported, names_code, parameters_of
from ganmf_fast.models.registry import fittable_class, known_name, model_class


@dataclass(frozen=True)
class ModelVariant:
    """One line of the table.

    Attributes
    ----------
    name : str
        As in the published results.
    model : str
        Name of the class, with its module if it is not of this library.
    fixed : mapping
        Parameters that make up the variant.
    defaults : mapping
        Parameters on data without published or chosen ones.
    quirks : bool
        Run it as the published code did, faults included, with parameters that were published.
    params_of : str
        Variant whose published parameters this one takes too: run only when asked for by name, to
        show the effect of another way of training.
    beyond : bool
        Not of the paper's table: like the last, run only when asked for by name.
    known_difference : str
        Known reason why its figures differ from the published ones.
    cls : class, optional
        The class, if it is not of this library.
    """

    name: str
    model: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    quirks: bool = False
    params_of: str = ""
    beyond: bool = False
    known_difference: str = ""
    cls: Any = None

    @property
    def by_name_alone(self) -> bool:
        """Whether neither its model's name nor a table stands for it."""
        return self.beyond or bool(self.params_of)

    @property
    def make(self) -> Any:
        """The class, if what fitting needs is installed."""
        return self.cls or fittable_class(self.model)

    @property
    def known_class(self) -> Any:
        """The class, also without packages that fitting needs."""
        return self.cls or model_class(self.model)

    @property
    def signature(self) -> dict[str, Any]:
        """Every parameter of the constructor with its default."""
        if self.cls is None:
            return dict(self.known_class().get_params())
        return parameters_of(self.cls)[0]

    @property
    def iterative(self) -> bool:
        """Whether it is trained in epochs whose number can be given."""
        return bool(getattr(self.known_class, "iterative", False)) and "epochs" in self.signature


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
    *(
        ModelVariant(name, model, fixed, defaults, beyond=True)
        for name, model, fixed, defaults in (
            ("BPR-MF-DNS", "BPRMF", {}, {"dns": 5}),
            ("APR", "APR", {}, {}),
            ("IRGAN", "IRGAN", {}, {}),
            ("CDAE", "CDAE", {}, {}),
            ("CoFiGAN", "CoFiGAN", {}, {}),
            ("GraphGAN", "GraphGAN", {}, {}),
            ("RAGAN-plain", "RAGAN", {"bt": False}, {}),
            ("RAGANBT", "RAGAN", {"bt": True}, {}),
            ("AugCF-control", "AugCF", {"share": 0.0}, {}),
            ("AugCF", "AugCF", {}, {}),
            ("EDLAE", "EASE", {"dropout": 0.25}, {}),
        )
    ),
)
"""Every row, in the order of the table."""


_KNOWN = tuple(dict.fromkeys([row.name for row in VARIANTS] + [row.model for row in VARIANTS]))


def select(names: Iterable[Any] | None) -> list[ModelVariant]:
    """Rows by their names, or by the names of their models, in the order of the table.

    Names are in any case. Rows that only vary another one are given by name alone. Models that are
    not of this library are given as classes or as ``package.module:Class``; they come last.

    Raises
    ------
    ValueError
        If a name is unknown; the message suggests the nearest.
    TypeError
        If a class has no `fit` and `recommend`.
    """
    if names is None:
        return [row for row in VARIANTS if not row.by_name_alone]
    wanted: dict[str, ModelVariant] = {}
    for name in names:
        for row in _rows(name):
            if wanted.setdefault(row.name, row).cls is not row.cls:
                raise ValueError(f"models holds two classes called {row.name}")
    if not wanted:
        raise ValueError("models names no model")
    own = [row for row in wanted.values() if row.cls is not None]
    return [row for row in VARIANTS if row.name in wanted] + own


def named(name: Any) -> ModelVariant:
    """The one row of a name, a model by its own name without other parameters, or one's own.

    Parameters
    ----------
    name : str or class
        As for `select`.

    Raises
    ------
    ValueError, TypeError
        As for `select`.
    """
    if isinstance(name, str) and not names_code(name):
        folded = name.casefold()
        row = next((row for row in VARIANTS if row.name.casefold() == folded), None)
        if row is not None:
            return row
        if (known := known_name(name)) is None:
            raise ValueError(unknown("model", name, _KNOWN))
        return ModelVariant(known, known)
    return _rows(name)[0]


def _rows(name: Any) -> list[ModelVariant]:
    if isinstance(name, type):
        return [_own(name)]
    if not isinstance(name, str):
        raise TypeError(f"models must hold names or classes, not {shown(name)}")
    if names_code(name):
        return [_own(imported(name))]
    folded = name.casefold()
    rows = [
        row
        for row in VARIANTS
        if folded == row.name.casefold()
        or (folded == row.model.casefold() and not row.by_name_alone)
    ]
    if not rows:
        raise ValueError(
            f"models has no {shown(name)}{suggestion(name, _KNOWN)} "
            f"(there are {', '.join(row.name for row in VARIANTS)})"
        )
    return rows


def _own(cls: Any) -> ModelVariant:
    """The row of a class that is not of this library, or of one that is, as it is."""
    for method in ("fit", "recommend"):
        if not callable(getattr(cls, method, None)):
            raise TypeError(f"models holds {cls.__name__}, which has no {method}")
    name: str = cls.__name__
    if known_name(name) == name and model_class(name) is cls:
        return ModelVariant(name, name)
    identity = f"{cls.__module__}:{cls.__qualname__}"
    taken = name.casefold() in {known.casefold() for known in _KNOWN}
    return ModelVariant(identity.replace(":", ".") if taken else name, identity, cls=cls)
