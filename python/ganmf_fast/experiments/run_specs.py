"""Variants with the parameters that they are run with: given, published, chosen or defaults."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

from ganmf_fast import reference
from ganmf_fast.base import json_files, toml_files
from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.base.text import one_line, printable, shown
from ganmf_fast.experiments.variants import VARIANTS, ModelVariant

QUICK_EPOCHS = 10
"""Epochs of a quick run."""


@dataclass(frozen=True)
class RunSpec:
    """A variant with the parameters it is run with."""

    variant: ModelVariant
    params: dict[str, Any]
    """Arguments of the constructor, apart from seed and device."""
    source: str
    """Where the parameters come from."""
    point: float | None = None
    """Position on the axis of a figure."""

    @property
    def signature(self) -> dict[str, Any]:
        """Every parameter of the constructor with its default."""
        return self.variant.signature

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
        return self.variant.iterative and "epochs" not in self.params

    def moved(self, axis: str, point: float) -> Self:
        """The same at a point of a figure: another value of one parameter."""
        if axis not in self.signature:
            raise ValueError(f"models has {self.variant.name}, which has no {axis}")
        source = f"{self.source}, but for {axis}"
        params = {**self.params, axis: point}
        return replace(self, params=params, source=source, point=float(point))

    def quick(self) -> Self:
        """The same with few epochs, given rather than searched."""
        if not self.variant.iterative:
            return self
        epochs = min(self.params.get("epochs", QUICK_EPOCHS), QUICK_EPOCHS)
        source = f"{self.source}, at most {QUICK_EPOCHS} epochs"
        return replace(self, params={**self.params, "epochs": epochs}, source=source)


def read_params(path: Path) -> dict[str, dict[str, Any]]:
    """Parameters of rows from a JSON or TOML file: ``{"ItemKNN-cosine": {"topk": 100}}``.

    Raises
    ------
    ValueError
        If the file cannot be read or has another form.
    """
    if not path.is_file():
        raise ValueError(
            "params must be 'published', 'dense', 'tuned' or a JSON or TOML file, and "
            f"{shown(str(path), 400)} is none"
        )
    try:
        if path.suffix == ".toml":
            content = toml_files.read(path)
        else:
            content = json_files.parse(json_files.contents(path))
    except DataError as error:
        raise ValueError(f"the file of parameters {error}") from None
    except ValueError as error:
        raise ValueError(
            f"the file of parameters {printable(str(path))} is damaged: {one_line(error)}"
        ) from None
    if not isinstance(content, dict) or not all(isinstance(v, dict) for v in content.values()):
        raise ValueError(f"{printable(str(path))} must hold a table of parameters for each model")
    return content


def run_specs(
    rows: Sequence[ModelVariant],
    dataset: str | None,
    given: Mapping[str, Mapping[str, Any]] | None = None,
    source: str = "file",
) -> list[RunSpec]:
    """Parameters of each variant: given, else published, else chosen on validation, else defaults.

    Parameters
    ----------
    rows : sequence of ModelVariant
    dataset : str or None
        Name of the published data set, if it is one.
    given : mapping, optional
        Name of a variant -> parameters.
    source : str, default "file"
        Where the given ones come from.

    Raises
    ------
    ValueError
        If `given` names a row or a parameter that does not exist, or contradicts a row.
    """
    given = given or {}
    names = list(dict.fromkeys(row.name for row in (*VARIANTS, *rows)))
    for name in given:
        if name not in names:
            raise ValueError(f"params has no model {shown(name)}{suggestion(name, names)}")
    specs = [_spec(row, dataset, given.get(row.name), source) for row in rows]
    for spec in specs:
        _check(spec)
    return specs


def _spec(
    row: ModelVariant, dataset: str | None, given: Mapping[str, Any] | None, source: str
) -> RunSpec:
    if given is not None:
        for name, value in row.fixed.items():
            if given.get(name, value) != value:
                raise ValueError(
                    f"params gives {row.name} {name}={shown(given[name])}, but that row has "
                    f"{shown(value)}"
                )
        return RunSpec(row, {**row.fixed, **given}, source)
    if dataset is not None:
        published = reference.best_params(dataset, row.params_of or row.name)
        if published is not None:
            quirks = {"published_quirks": True} if row.quirks else {}
            return RunSpec(row, {**row.fixed, **published, **quirks}, "published")
        chosen = reference.chosen_params(dataset, row.name)
        if chosen is not None:
            return RunSpec(row, {**row.fixed, **chosen}, "chosen on validation")
    return RunSpec(row, {**row.fixed, **row.defaults}, "defaults")


def _check(spec: RunSpec) -> None:
    known, model = list(spec.signature), spec.variant.name
    for name in spec.params:
        if name in ("seed", "device"):
            raise ValueError(f"params sets {name} of {model}: use the option --{name}")
        if name not in known:
            raise ValueError(f"{model} has no parameter {shown(name)}{suggestion(name, known)}")
