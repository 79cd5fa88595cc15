"""``ganmf similar``."""

from pathlib import Path
from typing import Annotated

import numpy as np
from cyclopts import Parameter

from ganmf_fast.cli.common import Common, begin
from ganmf_fast.cli.frame_files import as_polars, check_suffix, load_model, show_frame
from ganmf_fast.cli.id_files import given_ids, known_items, known_users
from ganmf_fast.models.recommendations import Recommendations

_NO_COMMON = Common()


def similar(
    model: Annotated[Path, Parameter(help="File that `ganmf fit` wrote.")],
    *,
    items: Annotated[
        str | None, Parameter(help="Items, separated by commas, or a file of one a line.")
    ] = None,
    users: Annotated[str | None, Parameter(help="Users, in the same form.")] = None,
    n: Annotated[int, Parameter(name=["--n", "-n"], help="Length of the lists.")] = 10,
    output: Annotated[Path | None, Parameter(help="File: .csv, .parquet or .json.")] = None,
    common: Common = _NO_COMMON,
) -> None:
    """Nearest items of items, or users of users: one line for each pair, as CSV."""
    begin(common)
    if (items is None) == (users is None):
        raise ValueError("similar needs --items or --users, and not both")
    check_suffix(output)
    fitted = load_model(model)
    if users is not None:
        what, wanted = "user", given_ids(users, known_users(fitted))
        near = fitted.similar_users(wanted, n)
    else:
        what, wanted = "item", given_ids(str(items), known_items(fitted))
        near = fitted.similar_items(wanted, n)
    if isinstance(near, Recommendations):
        real = near.items >= 0
        at, place = np.nonzero(real)
        near = {
            what: np.asarray(wanted)[at],
            "rank": place + 1,
            "similar": near.items[real],
            "score": near.scores[real],
        }
    show_frame(as_polars(near), output, "pairs", as_json=common.json)
