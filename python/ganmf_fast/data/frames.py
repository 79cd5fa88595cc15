"""Types of frame: polars, pandas, pyarrow, or a plain dict of arrays."""

import importlib
import warnings
from collections.abc import Hashable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.text import few, shown
from ganmf_fast.data.columns import id_column, series
from ganmf_fast.data.roles import Role, Roles, column_position, known_role

FrameType = Literal["polars", "pandas", "pyarrow", "dict"]


def columns_of(df: Any, wanted: Mapping[Role, str | int]) -> tuple[dict[str, Any], FrameType]:
    """Pick columns out of any frame.

    Parameters
    ----------
    df : polars, pandas or pyarrow frame, whatever streams Arrow, or mapping of names to arrays
    wanted : mapping of role to column name

    Returns
    -------
    columns : dict of role to column, of whatever type the frame holds
    frame_type : {"polars", "pandas", "pyarrow", "dict"}

    Raises
    ------
    TypeError
        If `df` is none of these, or what should name a column cannot.
    ValueError
        If a column does not exist; the message lists those that do.
    """
    df, names, frame_type = _opened(df, "df")
    for role, column in wanted.items():
        if not isinstance(column, Hashable):
            raise TypeError(f"{role} must be the name of a column of df, not {shown(column)}")
    # A pandas label need not be a string, so look before taking a number for a position.
    found = {
        role: c if c in names else names[column_position(c, names, len(names), "df", role)]
        for role, c in wanted.items()
    }
    if len(set(found.values())) < len(found):
        raise ValueError(f"df: two of {', '.join(found)} are read from one column")
    return _picked(df, found), frame_type


def is_frame(X: object) -> bool:
    """Whether `X` is a frame, or a dict of columns with the well-known names of users and items."""
    if isinstance(X, Mapping):
        return {"user", "item"} <= {known_role(str(name)) for name in X}
    return isinstance(X, pl.LazyFrame) or (
        hasattr(X, "columns") and hasattr(X, "__arrow_c_stream__")
    )


def pairs_of(df: Any, label: str) -> tuple[pl.Series, pl.Series]:
    """Users and items of a frame of pairs, by well-known names or by position.

    Raises
    ------
    TypeError, ValueError
        If `df` is no frame, or it is not certain which columns are meant; `label` names it.
    """
    df, names, _ = _opened(df, label)
    places = Roles().resolve([str(name) for name in names], len(names), label)
    columns = _picked(df, {"user": names[places["user"]], "item": names[places["item"]]})
    users, items = (series(c, role, "row {}".format) for role, c in columns.items())
    if users.is_empty():
        return pl.Series(dtype=pl.Int64), pl.Series(dtype=pl.Int64)
    return id_column(users, "user", "row {}".format), id_column(items, "item", "row {}".format)


def _picked(df: Any, found: Mapping[Role, Any]) -> dict[str, Any]:
    if isinstance(df, pl.LazyFrame):
        df = df.select(list(dict.fromkeys(found.values()))).collect()
    return {role: df[name] for role, name in found.items()}


def _opened(df: Any, label: str) -> tuple[Any, list[Any], FrameType]:
    """A frame whose columns can be picked, the names of these, and its type."""
    package = type(df).__module__.partition(".")[0]
    frame_type: FrameType = "polars"
    if isinstance(df, Mapping):
        frame_type, names = "dict", list(df)
    elif package == "pandas" and hasattr(df, "columns"):
        frame_type, names = "pandas", list(df.columns)
    elif isinstance(df, pl.LazyFrame):
        names = df.collect_schema().names()
    elif package == "pyarrow" and hasattr(df, "column_names"):
        frame_type, names = "pyarrow", df.column_names
    elif hasattr(df, "__arrow_c_stream__"):
        # DuckDB, polars, readers of pyarrow and whatever else streams Arrow.
        frame_type = "pyarrow" if package == "pyarrow" else "polars"
        try:
            df = df if isinstance(df, pl.DataFrame) else pl.DataFrame(df)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            reason = str(error).strip().partition("\n")[0]
            raise TypeError(f"{label} has a column that polars cannot take: {reason}") from None
        names = df.columns
    else:
        raise TypeError(
            f"{label} must be a dict of arrays, or a frame with the Arrow stream interface "
            f"(polars, pandas, pyarrow, DuckDB), not {type(df).__name__}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"{label} has two columns of one name among {few(names)}")
    return df, names, frame_type


def frame(columns: Mapping[str, Any], frame_type: FrameType) -> Any:
    """Build a frame of the given type.

    Parameters
    ----------
    columns : mapping of names to one-dimensional arrays of one length
    frame_type : {"polars", "pandas", "pyarrow", "dict"}

    Returns
    -------
    polars.DataFrame, pandas.DataFrame, pyarrow.Table, or dict of arrays
        Of polars, with a warning, if the package of the type is not installed.

    Raises
    ------
    ValueError
        If `frame_type` is unknown.
    """
    if frame_type not in get_args(FrameType):
        raise ValueError(
            f"frame_type must be one of {', '.join(get_args(FrameType))}, not {shown(frame_type)}"
        )
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    if frame_type == "dict":
        return arrays
    package = None
    if frame_type != "polars":
        # A model may have been fitted on the frames of a package that is not installed here.
        try:
            package = importlib.import_module(frame_type)
        except ImportError as error:
            warnings.warn(
                f"{frame_type} cannot be imported ({error}), so this is a frame of polars: install "
                f"{frame_type} for one of its own",
                UserWarning,
                stacklevel=3,
            )
    if package is None:
        return pl.DataFrame([_polars_column(name, array) for name, array in arrays.items()])
    if frame_type == "pandas":
        # An object array of strings becomes pandas' own string type, as in a frame read by it.
        return package.DataFrame(
            {n: a.astype(object) if a.dtype.kind == "U" else a for n, a in arrays.items()}
        )
    return package.table(
        {n: package.array(a.tolist() if a.dtype.kind in "UO" else a) for n, a in arrays.items()}
    )


def _polars_column(name: str, array: NDArray[Any]) -> pl.Series:
    # Objects are text, see `ids`, also where there are none.
    return (
        pl.Series(name, array.tolist(), pl.String)
        if array.dtype == object
        else pl.Series(name, array)
    )
