"""``ganmf recommend``."""

import sys
from pathlib import Path
from typing import Annotated, Any, Literal

import polars as pl
from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, print_json, say
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.cli.frame_files import check_suffix, write_frame
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.models.base import Recommendations, Recommender
from ganmf_fast.models.load import load

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def recommend(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    users: Annotated[
        str | None, Parameter(help="Users, separated by commas; all by default.")
    ] = None,
    profiles: Annotated[
        str | None,
        Parameter(help="In place of users, a file of interactions of people who were not fitted."),
    ] = None,
    unknown: Annotated[
        Literal["error", "skip"],
        Parameter(help="With --profiles: refuse unknown items, or leave them out."),
    ] = "error",
    n: Annotated[int, Parameter(name=["--n", "-n"], help="Length of the lists.")] = 20,
    include_seen: Annotated[
        bool, Parameter(help="Also items the user had already.", negative="")
    ] = False,
    output: Annotated[Path | None, Parameter(help="File: .csv, .parquet or .json.")] = None,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Recommend items: one line for each user and item, as CSV."""
    begin(common)
    check_suffix(output)
    fitted = load(model)
    if profiles is None:
        wanted = _users(fitted, users)
        lists = fitted.recommend(wanted, n=n, exclude_seen=not include_seen)
    elif users is not None:
        raise ValueError("users and profiles are both given: recommend for one of them")
    else:
        new = source.open(profiles)
        if not isinstance(new, Interactions):
            raise ValueError(
                f"profiles must be a file of interactions, but {profiles!r} has five splits"
            )
        wanted = new.user_ids
        lists = fitted.recommend(profiles=new, n=n, exclude_seen=not include_seen, unknown=unknown)
    table = _as_polars(lists, wanted)
    if output is not None:
        write_frame(table, output)
        say(f"{len(table):,} recommendations written to {output}")
    elif common.json:
        print_json(table.to_dicts())
    else:
        # Straight to the stream: this is data, not a table to look at.
        sys.stdout.write(table.write_csv())


def _users(fitted: Recommender, text: str | None) -> Any:
    ids = None if fitted.ids_ is None else fitted.ids_.users
    if text is None:
        return list(range(fitted.n_users_)) if ids is None else ids
    parts: list[Any] = [part.strip() for part in text.split(",")]
    kind = "i" if ids is None else ids.dtype.kind
    if kind in "iuf":
        try:
            return [float(part) if kind == "f" else int(part) for part in parts]
        except ValueError:
            raise ValueError(f"users must be numbers separated by commas, not {text!r}") from None
    return parts


def _as_polars(lists: Any, users: Any) -> pl.DataFrame:
    if isinstance(lists, Recommendations):
        n = lists.items.shape[1]
        real = lists.items.ravel() >= 0
        columns = {
            "user": [user for user in users for _ in range(n)],
            "rank": list(range(1, n + 1)) * len(users),
            "item": lists.items.ravel(),
            "score": lists.scores.ravel(),
        }
        return pl.DataFrame(columns).filter(pl.Series(real))
    if isinstance(lists, pl.DataFrame):
        return lists
    if isinstance(lists, dict):
        return pl.DataFrame(lists)
    package = type(lists).__module__.partition(".")[0]
    return pl.from_pandas(lists) if package == "pandas" else pl.DataFrame(pl.from_arrow(lists))
