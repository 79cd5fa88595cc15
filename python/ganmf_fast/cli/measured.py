"""What commands measure, and on which interactions: models, names and lists on one split."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter

from ganmf_fast.base.errors import suggestion
from ganmf_fast.base.files import is_file
from ganmf_fast.base.overlap import common_per_row
from ganmf_fast.base.text import shown
from ganmf_fast.base.urm import to_scipy
from ganmf_fast.cli.data_options import DataOptions, HeldOut, part_of
from ganmf_fast.cli.models import named
from ganmf_fast.data.interactions import interactions_of
from ganmf_fast.data.list_files import ListColumns, ListFormat, read_lists
from ganmf_fast.data.readers import Options
from ganmf_fast.evaluation import Evaluation, evaluate_lists
from ganmf_fast.evaluation import evaluate as evaluate_model
from ganmf_fast.experiments.run_specs import read_params
from ganmf_fast.experiments.variants import ModelVariant
from ganmf_fast.models.base import Recommender
from ganmf_fast.models.ids import matching_csr
from ganmf_fast.models.load import load
from ganmf_fast.models.own_model import names_code
from ganmf_fast.split import Splits

MEASURED_HELP = (
    "Files that `ganmf fit` wrote, or models to be fitted here: names such as EASE or GANMF-u, or "
    "classes of your own, package.module:Class."
)
Cutoffs = Annotated[str, Parameter(help="Lengths of lists, separated by commas.")]
Metrics = Annotated[str | None, Parameter(help="Metrics, separated by commas; all by default.")]
FiguresFile = Annotated[
    Path | None, Parameter(help="File for the figures: .csv, .parquet or .json.")
]

_NO_DATA_OPTIONS = DataOptions()


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class HeldOptions:
    """What is predicted, and from what."""

    data: Annotated[
        str | None, Parameter(help="Folder that `ganmf split` wrote, or a data set that is split.")
    ] = None
    on: Annotated[HeldOut, Parameter(help="Which of its sets is predicted.")] = "test"
    train: Annotated[
        str | None,
        Parameter(help="Instead of --data: file of the interactions that are known."),
    ] = None
    test: Annotated[
        str | None, Parameter(help="Instead of --data: file of the interactions held out.")
    ] = None
    profiles: Annotated[
        str | None,
        Parameter(
            help="With --test: file of the interactions of people who were not fitted, whose "
            "held-out items --test holds; --train says how popular items are, or what is fitted."
        ),
    ] = None
    unknown: Annotated[
        Literal["error", "skip"],
        Parameter(help="Refuse users and items of the files that were not fitted, or skip them."),
    ] = "error"

    def open(self, source: DataOptions = _NO_DATA_OPTIONS) -> "Held":
        """Open what the options name.

        Raises
        ------
        ValueError
            If they do not say it, or say it twice.
        """
        if (self.data is None) == (self.test is None):
            both = "and" if self.data is not None else "or"
            raise ValueError(f"give --data FOLDER {both} --test FILE, one of them")
        if self.test is not None:
            test = source.interactions("test", self.test)
            train = None if self.train is None else source.interactions("train", self.train)
            profiles = None
            if self.profiles is not None:
                profiles = source.interactions("profiles", self.profiles)
            return Held(
                test.name,
                test.simulated,
                "test" if profiles is None else "new users",
                train,
                train,
                test,
                train,
                profiles=profiles,
                unknown=self.unknown,
            )
        if self.profiles is not None:
            raise ValueError("profiles go with --test: a folder brings its own")
        if self.train is not None:
            raise ValueError("train goes with --test: a folder brings its own")
        opened = _folder(source, str(self.data))
        fit, known = ("train", "known") if self.on == "test" else ("train_small", "train_small")
        return Held(
            opened.name,
            opened.simulated,
            self.on,
            part_of(opened, fit),
            part_of(opened, known),
            part_of(opened, self.on),
            part_of(opened, known) if self.on == "test" and opened.profile is not None else None,
            of_folder=True,
            fit_name=fit,
        )


def _folder(source: DataOptions, data: str) -> Splits:
    opened = source.open(data)
    if isinstance(opened, Splits):
        return opened
    raise ValueError(
        f"data must have five splits, which {shown(data)} has not: make them with "
        f"`ganmf split --data {data} --output FOLDER` and fit on these"
    )


@dataclass(frozen=True)
class Held:
    """Interactions held out of one split, and what is known beside them.

    Attributes
    ----------
    name : str
    simulated : bool
    on : str
        What is held out.
    fit : Interactions, matrix or None
        What models that are named are fitted on.
    known : Interactions, matrix or None
        What lists of these models are made from and do not hold.
    test : Interactions or matrix
    masked : Interactions, matrix or None
        As `known`, for files of models; None for what each of these was fitted on.
    profiles : Interactions or None
        Of people who were not fitted, to whom `test` belongs then.
    unknown : {"error", "skip"}
    of_folder : bool
        Whether these are sets of one folder.
    fit_name : str
        What messages call `fit`.
    """

    name: str
    simulated: bool
    on: str
    fit: Any
    known: Any
    test: Any
    masked: Any = None
    profiles: Any = None
    unknown: str = "error"
    of_folder: bool = False
    fit_name: str = "train"


@Parameter(name="*")
@dataclass(frozen=True, kw_only=True)
class FitOptions:
    """How models that are named are fitted."""

    params: Annotated[
        Path | None,
        Parameter(help='JSON or TOML file of their parameters: {"EASE": {"l2": 300}}.'),
    ] = None
    seed: Annotated[int | None, Parameter(help="Seed of models that have one.")] = None
    device: Annotated[str | None, Parameter(help='"cpu", "cuda" or "auto", for the GANs.')] = None

    def arguments(self, rows: Sequence[ModelVariant]) -> list[dict[str, Any]]:
        """Arguments of the constructor of each model.

        Raises
        ------
        ValueError
            If the file of parameters cannot be read, or names a model or parameter that is not
            there.
        """
        given = {} if self.params is None else read_params(self.params)
        names = {name.casefold(): name for name in given}
        for name in given:
            if name.casefold() not in {row.name.casefold() for row in rows}:
                hint = suggestion(name, [row.name for row in rows])
                raise ValueError(
                    f"{self.params} has parameters of {shown(name)}, none of the models{hint}"
                )
        return [self._of(row, given.get(names.get(row.name.casefold(), ""), {})) for row in rows]

    def _of(self, row: ModelVariant, given: Mapping[str, Any]) -> dict[str, Any]:
        known = row.signature
        for name in given:
            if name not in known:
                hint = suggestion(name, known)
                raise ValueError(f"{row.name} has no parameter {shown(name)}{hint}")
        own = {"seed": self.seed, "device": self.device}
        return {
            **row.fixed,
            **given,
            **{name: value for name, value in own.items() if value is not None and name in known},
        }


def fitted(row: ModelVariant, arguments: Mapping[str, Any], X: Any) -> Any:
    """A model with these arguments, fitted on interactions with ids, or on their matrix."""
    model = row.make(**arguments)
    data = interactions_of(X)
    model.fit(X if isinstance(model, Recommender) or data is None else data.urm)
    return model


@dataclass(frozen=True)
class Measured:
    """Something that gives lists: a file of a model or of lists, or a model that is named."""

    given: str
    row: ModelVariant | None = None
    arguments: Mapping[str, Any] | None = None
    is_model: bool = True

    @classmethod
    def of(
        cls, given: Sequence[str], options: FitOptions, *, lists: bool = False
    ) -> "list[Measured]":
        """What each argument of a command stands for.

        Raises
        ------
        ValueError, TypeError
            If there is neither a file nor a model of this name.
        """
        rows = {text: named(text) for text in given if not _is_path(text)}
        arguments = dict(zip(rows, options.arguments(list(rows.values())), strict=True))
        return [
            cls(text, rows.get(text), arguments.get(text), not lists or _holds_model(text))
            for text in given
        ]

    def evaluation(
        self,
        held: Held,
        cutoffs: Sequence[int],
        metrics: Sequence[str] | None = None,
        columns: ListColumns | None = None,
        form: ListFormat = "auto",
        options: Options | None = None,
    ) -> Evaluation:
        """Its figures on what is held out."""
        if self.row is None and not self.is_model:
            if held.profiles is not None:
                raise ValueError(f"profiles are for models, and {self.given} holds lists")
            lists = read_lists(self.given, columns, form, options)
            return evaluate_lists(
                lists, held.test, cutoffs, held.known, metrics=metrics, from_text=True,
                label=Path(self.given).stem,
            )  # fmt: skip
        known = held.known
        if self.row is None:
            model: Any = load(self.given)
            if held.of_folder:
                _refuse_leak(self.given, model, held)
            known = held.masked
            if known is None and held.profiles is None:
                known = to_scipy(model.urm_)
        elif held.fit is None:
            raise ValueError(f"train must be given, the file that {self.row.name} is fitted on")
        else:
            model = fitted(self.row, self.arguments or {}, held.fit)
        try:
            found = evaluate_model(
                model, known, held.test, cutoffs, metrics, unknown=held.unknown,
                profiles=held.profiles,
            )  # fmt: skip
        except ValueError as error:
            if held.unknown == "error" and " is unknown; " in str(error):
                raise ValueError(f"{error}; --unknown skip leaves such ids out") from None
            raise
        return found if self.row is None else replace(found, label=self.row.name)


def evaluations(
    measured: Sequence[Measured], held: Held, cutoffs: Sequence[int], **options: Any
) -> list[Evaluation]:
    """Evaluations of several, each under a name of its own: its model's, or its file's."""
    found = [one.evaluation(held, cutoffs, **options) for one in measured]
    labels = [one.label for one in found]
    named_apart = [
        replace(one, label=label if labels.count(label) == 1 else Path(thing.given).stem)
        for one, label, thing in zip(found, labels, measured, strict=True)
    ]
    if len({one.label for one in named_apart}) == len(named_apart):
        return named_apart
    return [replace(one, label=thing.given) for one, thing in zip(found, measured, strict=True)]


def _is_path(text: str) -> bool:
    if is_file(text):
        return True
    return not names_code(text) and ("/" in text or "." in text)


def _holds_model(path: str) -> bool:
    """Whether a file is a safetensors file, as models are; one that is absent counts as one."""
    try:
        with Path(path).open("rb") as file:
            head = file.read(9)
    except OSError:
        return True
    return head[8:] == b"{" and int.from_bytes(head[:8], "little") < Path(path).stat().st_size


def _refuse_leak(path: str, model: Recommender, held: Held) -> None:
    shape = (model.n_users_, model.n_items_)
    hidden = matching_csr(held.test, held.on, shape, model.ids_)
    leaked = int(common_per_row(model.urm_, hidden).sum())
    if leaked:
        raise ValueError(
            f"the model in {path} was fitted on {leaked:,} interactions of {held.on}: fit it on "
            f"the split {held.fit_name} of the same folder"
        )
