"""``ganmf recommend``."""

from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin, print_json, say
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.cli.frame_files import as_polars, check_suffix, load_model, show_frame
from ganmf_fast.cli.id_files import (
    Known,
    check_unknown,
    given_ids,
    items_in,
    known_items,
    known_users,
)
from ganmf_fast.data.ids import IdIndex
from ganmf_fast.models.ranking import columns
from ganmf_fast.models.recommendations import Recommendations

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def recommend(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    users: Annotated[
        str | None,
        Parameter(
            help="Users, separated by commas, or a file: one a line, as ids with commas need it, "
            "or parquet with a column of users. All by default."
        ),
    ] = None,
    profiles: Annotated[
        str | None,
        Parameter(help="In place of users, a file of interactions of people who were not fitted."),
    ] = None,
    all_: Annotated[
        bool,
        Parameter(
            name="--all",
            help="Write the lists of all users, or of those in --users, part by part to --output: "
            "a .parquet file, or a folder. The same command goes on after an interruption.",
            negative="",
        ),
    ] = False,
    n: Annotated[int, Parameter(name=["--n", "-n"], help="Length of the lists.")] = 20,
    include_seen: Annotated[
        bool, Parameter(help="Also items the user had already.", negative="")
    ] = False,
    candidates: Annotated[
        Path | None,
        Parameter(
            help="File of the only items to consider: one a line, or with columns user and item "
            "for each user's own; text or parquet."
        ),
    ] = None,
    exclude_items: Annotated[
        Path | None, Parameter(help="File of items to leave out, in the same form.")
    ] = None,
    unknown: Annotated[
        Literal["error", "skip"],
        Parameter(
            help="Whether users, candidates and items of profiles that were not fitted are "
            "refused, and a file of items to leave out that names none that was."
        ),
    ] = "error",
    fallback: Annotated[
        Literal["popular"] | None,
        Parameter(help="Lists of users without interactions; none by default."),
    ] = None,
    output: Annotated[Path | None, Parameter(help="File: .csv, .parquet or .json.")] = None,
    source: DataOptions = _NO_DATA_OPTIONS,
    common: Common = _NO_COMMON,
) -> None:
    """Recommend items: one line for each user and item, as CSV."""
    begin(common)
    if profiles is not None and (users is not None or all_):
        other = "users" if users is not None else "all"
        raise ValueError(f"{other} and profiles are both given: recommend for one of them")
    if all_ and output is None:
        raise ValueError("all needs --output, a .parquet file or a folder")
    if not all_:
        check_suffix(output)
    fitted = load_model(model)
    new = None if profiles is None else source.interactions("profiles", profiles)
    user_ids = fitted.user_ids_ if new is None else new.user_ids
    known, items = known_users(fitted), known_items(fitted)
    if new is not None and fitted.ids_ is not None:
        known = Known("user", IdIndex(new.user_ids, "user"), new.n_users)
    filters: dict[str, Any] = {
        name: None if path is None else items_in(path, known, items, name)
        for name, path in (("candidates", candidates), ("exclude_items", exclude_items))
    }
    if exclude_items is not None and unknown == "error":
        check_unknown(filters["exclude_items"], known, items, "exclude_items")
    options = {
        **filters,
        "n": n,
        "exclude_seen": not include_seen,
        "unknown": unknown,
        "fallback": fallback,
    }
    wanted = None if users is None else given_ids(users, known, unknown)
    if all_ and output is not None:
        done = fitted.recommend_all(output, wanted, **options)
        unknown_users = f", {done.skipped:,} unknown ones left out" if done.skipped else ""
        say(
            f"{done.n_rows:,} recommendations for {done.n_users:,} users written to {output}"
            f"{unknown_users}"
        )
        if common.json:
            print_json({**done._asdict(), "path": str(output)})
        return
    if new is not None:
        wanted = new.user_ids
        lists = fitted.recommend(profiles=new, **options)
    else:
        if wanted is None:
            wanted = range(fitted.n_users_) if user_ids is None else user_ids
        lists = fitted.recommend(wanted, **options)
    if isinstance(lists, Recommendations):
        lists = columns(None, np.asarray(wanted), lists.items, lists.scores)
    show_frame(as_polars(lists), output, "recommendations", as_json=common.json)
