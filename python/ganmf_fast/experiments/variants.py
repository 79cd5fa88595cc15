"""The models of the comparison, and the parameters each is run with."""

import difflib
import json
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganmf_fast import reference
from ganmf_fast.models import model_class

__all__ = ["QUICK_EPOCHS", "ROWS", "Plan", "Row", "plans", "read_params", "select"]

QUICK_EPOCHS = 10
"""Epochs of a quick run."""


@dataclass(frozen=True)
class Row:
    """One line of the table.

    Attributes
    ----------
    name : str
        As in the published results.
    model : str
        Name of the class.
    fixed : mapping
        Parameters that make the row what it is.
    defaults : mapping
        Parameters on data that nothing is known for.
    published : bool
        Whether the paper has this row.
    quirks : bool
        Run it as the published code did, faults included, with parameters that were published.
    params_of : str
        Row whose published parameters this one takes too: it is run only when asked for by name,
        to show what another way of training makes of them.
    why : str
        Known reason why its figures differ from the published ones.
    """

    name: str
    model: str
    fixed: Mapping[str, Any] = field(default_factory=dict)
    defaults: Mapping[str, Any] = field(default_factory=dict)
    published: bool = True
    quirks: bool = False
    params_of: str = ""
    why: str = ""


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

ROWS: tuple[Row, ...] = (
    Row("Random", "Random", published=False),
    Row("TopPopular", "TopPopular"),
    Row("PureSVD", "PureSVD", defaults={"num_factors": 20}),
    *(
        Row(
            f"ItemKNN-{similarity}",
            "ItemKNN",
            {"similarity": similarity},
            {"topk": 300, "shrink": 20},
            quirks=True,
        )
        for similarity in ("cosine", "asymmetric", "jaccard", "dice", "tversky", "euclidean")
    ),
    Row("P3alpha", "P3alpha", defaults={"topk": 300, "alpha": 0.8}, quirks=True),
    Row("RP3beta", "RP3beta", defaults={"topk": 300, "alpha": 0.8, "beta": 0.3}, published=False),
    Row("UserKNN", "UserKNN", defaults={"topk": 300, "shrink": 20}, published=False),
    Row(
        "SLIM-BPR",
        "SLIMBPR",
        defaults={"topk": 300, "learning_rate": 0.05, "epochs": 30},
        quirks=True,
    ),
    # The authors' files have figures of these two, but not their parameters.
    Row(
        "SLIM-ElasticNet",
        "SLIMElasticNet",
        defaults={"alpha": 0.02, "l1_ratio": 0.01},
        why=_OURS,
    ),
    Row("EASE-R", "EASE", defaults={"l2": 200.0}, why=_OURS),
    Row(
        "WRMF",
        "WRMF",
        defaults={"num_factors": 20, "alpha": 3.0, "epochs": 10},
        quirks=True,
    ),
    Row("GANMF-u", "GANMF", {"mode": "user"}, _GANMF),
    Row("GANMF-i", "GANMF", {"mode": "item"}, _GANMF),
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
            Row(name, model, fixed, defaults, quirks=True),
            Row(f"{name}-corrected", model, fixed, defaults, published=False, params_of=name),
        )
    ),
    *(
        Row(
            f"CFGAN-{mode[0]}-nogan",
            "CFGAN",
            {"mode": mode, "adversarial": False},
            _CFGAN,
            published=False,
            params_of=f"CFGAN-{mode[0]}",
        )
        for mode in ("user", "item")
    ),
)
"""Every row, in the order of the table."""


@dataclass(frozen=True)
class Plan:
    """A row with the parameters it will be run with."""

    row: Row
    params: dict[str, Any]
    """What is passed to the constructor, apart from seed and device."""
    source: str
    """Where the parameters come from."""
    point: float | None = None
    """Where in a figure the result stands."""

    @property
    def signature(self) -> dict[str, Any]:
        """Every parameter of the constructor with its default."""
        return dict(model_class(self.row.model)().get_params())

    @property
    def seeded(self) -> bool:
        """Whether the model makes random choices."""
        return "seed" in self.signature

    @property
    def ties(self) -> str:
        """Order of equal scores: the published one beside published parameters."""
        return "published" if self.source == "published" else "index"

    @property
    def stops_early(self) -> bool:
        """Whether the number of epochs is still to be found."""
        return model_class(self.row.model).iterative and "epochs" not in self.params

    def quick(self) -> "Plan":
        """The same with few epochs, given rather than searched."""
        if not model_class(self.row.model).iterative:
            return self
        epochs = min(self.params.get("epochs", QUICK_EPOCHS), QUICK_EPOCHS)
        source = f"{self.source}, at most {QUICK_EPOCHS} epochs"
        return replace(self, params={**self.params, "epochs": epochs}, source=source)


def select(names: Iterable[str] | None) -> list[Row]:
    """Rows by their names, or by the names of their models, in the order of the table.

    Rows that only vary another one are given by name alone.

    Raises
    ------
    ValueError
        If a name is unknown; the message suggests the nearest.
    """
    if names is None:
        return [row for row in ROWS if not row.params_of]
    wanted = list(names)
    known = list(dict.fromkeys([row.name for row in ROWS] + [row.model for row in ROWS]))
    for name in wanted:
        if name not in known:
            raise ValueError(
                f"models has no {name!r}{_suggestion(name, known)} "
                f"(there are {', '.join(row.name for row in ROWS)})"
            )
    rows = [
        row for row in ROWS if row.name in wanted or (row.model in wanted and not row.params_of)
    ]
    if not rows:
        raise ValueError("models names no model")
    return rows


def read_params(path: Path) -> dict[str, dict[str, Any]]:
    """Parameters of rows from a JSON or TOML file: ``{"ItemKNN-cosine": {"topk": 100}}``.

    Raises
    ------
    ValueError
        If the file cannot be read or has another form.
    """
    try:
        text = path.read_text(encoding="utf-8")
        content = tomllib.loads(text) if path.suffix == ".toml" else json.loads(text)
    except OSError as error:
        raise ValueError(
            "params must be 'published', 'tuned' or a JSON or TOML file, but "
            f"{str(path)!r} cannot be read: {error.strerror}"
        ) from None
    except ValueError as error:
        raise ValueError(f"the file of parameters {path} is damaged: {error}") from None
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ValueError(f"{path} must hold a table of parameters for each model")
    return content


def plans(
    rows: Sequence[Row],
    dataset: str | None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
    source: str = "file",
) -> list[Plan]:
    """Parameters for each row: given ones, else published, else chosen by us, else defaults.

    Parameters
    ----------
    rows : sequence of Row
    dataset : str or None
        Name of the published data set, if it is one.
    given : mapping, optional
        Row name -> parameters.
    source : str, default "file"
        Where the given ones come from.

    Raises
    ------
    ValueError
        If `given` names a row or a parameter that does not exist, or contradicts a row.
    """
    given = given or {}
    names = [row.name for row in ROWS]
    for name in given:
        if name not in names:
            raise ValueError(f"params has no model {name!r}{_suggestion(name, names)}")
    made = [_plan(row, dataset, given.get(row.name), source) for row in rows]
    for plan in made:
        _check(plan)
    return made


def _plan(row: Row, dataset: str | None, given: Mapping[str, Any] | None, source: str) -> Plan:
    if given is not None:
        for name, value in row.fixed.items():
            if given.get(name, value) != value:
                raise ValueError(
                    f"params gives {row.name} {name}={given[name]!r}, but that row has {value!r}"
                )
        return Plan(row, {**row.fixed, **given}, source)
    if dataset is not None:
        named = row.name if row.published else row.params_of
        published = reference.best_params(dataset, named) if named else None
        if published is not None:
            quirks = {"published_quirks": True} if row.quirks else {}
            return Plan(row, {**row.fixed, **published, **quirks}, "published")
        chosen = reference.chosen_params(dataset, row.name)
        if chosen is not None:
            return Plan(row, {**row.fixed, **chosen}, "chosen on validation")
    return Plan(row, {**row.fixed, **row.defaults}, "defaults")


def _check(plan: Plan) -> None:
    known = list(plan.signature)
    for name in plan.params:
        if name in ("seed", "device"):
            raise ValueError(f"params sets {name} of {plan.row.name}: use the option --{name}")
        if name not in known:
            raise ValueError(f"{plan.row.name} has no parameter {name!r}{_suggestion(name, known)}")


def _suggestion(name: str, known: Iterable[str]) -> str:
    near = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
    return f"; did you mean {near[0]!r}?" if near else ""
