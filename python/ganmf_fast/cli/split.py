"""``ganmf split``."""

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from cyclopts import Parameter

from ganmf_fast.base.text import few, is_number, is_whole, shown
from ganmf_fast.cli.common import Common, begin, print_json, print_table, say
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import (
    PARTS,
    ColdSplit,
    Folds,
    Split,
    Splits,
    cold_users,
    holdout,
    k_core,
    k_fold,
    leave_k_out,
    paper_protocol,
    temporal,
)

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()

Method = Literal["paper", "holdout", "leave-k-out", "temporal", "k-fold", "cold-users"]

_METHODS: dict[str, Any] = dict(
    zip(
        get_args(Method),
        (paper_protocol, holdout, leave_k_out, temporal, k_fold, cold_users),
        strict=True,
    )
)


def split(
    *,
    data: DataName,
    output: Annotated[Path, Parameter(help="Folder for the sets; of k folds, one folder each.")],
    method: Annotated[Method, Parameter(help="What is held out, and of whom.")] = "paper",
    user_item_core: Annotated[
        str | None,
        Parameter(
            name="--k-core",
            help="U,I: first drop users with fewer than U and items with fewer than I "
            "interactions, until all that remain have enough.",
        ),
    ] = None,
    test_size: Annotated[
        str | None,
        Parameter(help="holdout, temporal: a fraction such as 0.2, or a count. Default: 0.2."),
    ] = None,
    per_user: Annotated[
        bool | None,
        Parameter(help="holdout, temporal, k-fold: of each user, or of all together."),
    ] = None,
    k: Annotated[
        int | None,
        Parameter(name="--k", help="leave-k-out: interactions of each user. Default: 1."),
    ] = None,
    cut: Annotated[
        str | None,
        Parameter(help="temporal: the moment from which on interactions are held out."),
    ] = None,
    folds: Annotated[int | None, Parameter(help="k-fold: number of folds. Default: 5.")] = None,
    cold: Annotated[
        str | None,
        Parameter(name="--users", help="cold-users: a fraction or a count of users. Default: 0.1."),
    ] = None,
    target_size: Annotated[
        str | None,
        Parameter(help="cold-users: of each, the fraction or count to be found. Default: 0.2."),
    ] = None,
    seed: Annotated[int, Parameter(help="Decides which interactions go where.")] = 1337,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Split data into sets for fitting, for tuning and for the final figure.

    The folder is what --data of fit, tune, evaluate, compare and reproduce takes.
    """
    begin(common)
    make = _METHODS[method]
    arguments = _arguments(
        make,
        method,
        {
            "test_size": size("test-size", test_size),
            "per_user": per_user,
            "k": k,
            "cut": None if cut is None else parsed(cut, cut),
            "n_splits": folds,
            "n_users": size("users", cold),
            "target_size": size("target-size", target_size),
        },
    )
    opened = not_split(source.open(data), data)
    kept = opened if user_item_core is None else core_of(opened, user_item_core)
    if "seed" in inspect.signature(make).parameters:
        arguments["seed"] = seed
    made = make(kept, **arguments)
    several = isinstance(made, Folds)
    folders = [output / f"fold-{at}" for at in range(len(made))] if several else [output]
    _refuse_others(output, folders)
    found = []
    for folder, one in zip(folders, made if several else [made], strict=True):
        splits = one if isinstance(one, Splits) else Splits.from_split(one, seed)
        splits.save(folder)
        found.append(_facts(splits, one, folder))
    last = splits
    simulated = " (simulated data)" if last.simulated else ""
    say(f"{last.name}{simulated} split into {output}: {made.rule}")
    left_out = _left_out(opened, last)
    if any(number for number, _ in left_out.values()):
        words = (f"{number:,} of {of:,} {what}" for what, (number, of) in left_out.items())
        say(f"left out: {', '.join(words)}{_why(method, user_item_core)}")
    for warning in last.warnings:
        if not warning.startswith("left out"):
            say(f"warning: {warning}")
    about = {
        "name": last.name,
        "simulated": last.simulated,
        "method": method,
        "rule": made.rule,
        "output": str(output),
        "seed": seed,
        "left_out": {what: {"number": n, "of": of} for what, (n, of) in left_out.items()},
        "warnings": list(last.warnings),
    }
    if common.json:
        print_json({**about, **({"folds": found} if several else found[0])})
        return
    lines = [(what, number) for what, number in found[0].items() if what not in ("hash", "output")]
    title = f"the first of {len(found)} folds" if several else ""
    print_table(title, ("what", "number"), lines)


def _refuse_others(output: Path, folders: list[Path]) -> None:
    """Refuse a folder with sets that would stay beside the new ones as if they belonged to them."""
    sets = [] if output in folders else [f"{part}.npz" for part in PARTS]
    there = [*(output / name for name in sets), *sorted(output.glob("fold-*"))]
    kept = [path.name for path in there if path.exists() and path not in folders]
    if kept:
        raise ValueError(
            f"output holds {few(kept)} of another split, which would stay: delete them, or choose "
            "another folder"
        )


def _facts(splits: Splits, made: Splits | Split, folder: Path) -> dict[str, Any]:
    """Sizes, and who lacks a side."""
    facts: dict[str, Any] = {
        "output": str(folder),
        "hash": splits.data_hash,
        "users": splits.n_users,
        "items": splits.n_items,
        **{part: int(getattr(splits, part).nnz) for part in PARTS},
    }
    if isinstance(made, ColdSplit):
        facts |= {"profile": int(made.profile.nnz), "users held out": len(made.users)}
    elif isinstance(made, Split):
        facts |= {
            "users without train": len(made.users_without_train),
            "users without test": len(made.users_without_test),
            "items without train": len(made.items_without_train),
        }
    return facts


def _left_out(before: Interactions, after: Splits) -> dict[str, tuple[int, int]]:
    """How many of the users, items and interactions that were read are in no set."""
    sizes = {
        "users": (before.n_users, after.n_users),
        "items": (before.n_items, after.n_items),
        "interactions": (before.n_interactions, int(after.urm.nnz)),
    }
    return {what: (n - kept, n) for what, (n, kept) in sizes.items()}


def _why(method: Method, core: str | None) -> str:
    reasons = []
    if core is not None:
        users, items = core.split(",")
        reasons.append(f"users with fewer than {users} and items with fewer than {items}")
    if method == "paper":
        reasons.append("users with fewer than two, and items that no other user has")
    return f" ({'; '.join(reasons)})" if reasons else ""


def _arguments(make: Any, method: Method, given: Mapping[str, Any]) -> dict[str, Any]:
    """What was given, all of which the method must have."""
    known = inspect.signature(make).parameters
    for name, value in given.items():
        if value is not None and name not in known:
            takers = [
                other for other, of in _METHODS.items() if name in inspect.signature(of).parameters
            ]
            option = _OPTIONS.get(name, name.replace("_", "-"))
            raise ValueError(f"{option} belongs to --method {' or '.join(takers)}, not to {method}")
    return {name: value for name, value in given.items() if value is not None}


_OPTIONS = {"n_splits": "folds", "n_users": "users"}


def core_of(data: Interactions, text: str) -> Interactions:
    """The k-core that an option U,I asks for."""
    parts = [part.strip() for part in text.split(",")]
    if len(parts) != 2 or not all(map(is_whole, parts)):
        raise ValueError(f"k-core must be two whole numbers, U,I, not {shown(text)}")
    return k_core(data, int(parts[0]), int(parts[1]))


def size(option: str, text: str | None) -> float | None:
    """What an option gives as a count, if it is a whole number, or as a fraction."""
    found: float | None = None if text is None else parsed(text, None)
    if text is not None and found is None:
        raise ValueError(f"{option} must be a fraction or a count, not {shown(text)}")
    return found


def parsed(text: str, otherwise: Any) -> Any:
    """A whole number, a real one, or `otherwise` if it is neither."""
    if is_whole(text):
        return int(text)
    return float(text) if is_number(text) else otherwise


def not_split(opened: Splits | Interactions, data: str) -> Interactions:
    """Data that are not split.

    Raises
    ------
    ValueError
        If they are.
    """
    if isinstance(opened, Interactions):
        return opened
    raise ValueError(f"data is split already: {data}")
