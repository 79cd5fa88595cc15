"""Types of frame: polars, pandas, pyarrow, or a plain dict of arrays."""

import importlib
from collections.abc import Mapping
from typing import Any, Literal, get_args

import numpy as np
import polars as pl
from numpy.typing import NDArray

from ganmf_fast.base.text import few
from ganmf_fast.data.roles import Role, column_position

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
        If `df` is none of these.
    ValueError
        If a column does not exist; the message lists those that do.
    """
    package = type(df).__module__.partition(".")[0]
    frame_type: FrameType = "polars"
    if isinstance(df, Mapping):
        frame_type, names = "dict", list(df)
    elif package == "pandas" and hasattr(df, "columns"):
        frame_type, names = "pandas", list(df.columns)
    elif isinstance(df, pl.LazyFrame):
        names = df.collect_schema().names()
    elif hasattr(df, "__arrow_c_stream__"):
        # DuckDB, pyarrow, polars and whatever else streams Arrow.
        frame_type = "pyarrow" if package == "pyarrow" else "polars"
        df = df if isinstance(df, pl.DataFrame) else pl.DataFrame(df)
        names = df.columns
    else:
        raise TypeError(
            "df must be a dict of arrays, or a frame with the Arrow stream interface (polars, "
            f"pandas, pyarrow, DuckDB), not {type(df).__name__}"
        )
    if len(set(names)) < len(names):
        raise ValueError(f"df has two columns of one name among {few(names)}")
    # A pandas label need not be a string, so look before taking a number for a position.
    found = {
        role: c if c in names else names[column_position(c, names, len(names), "df")]
        for role, c in wanted.items()
    }
    if isinstance(df, pl.LazyFrame):
        df = df.select(list(dict.fromkeys(found.values()))).collect()
    return {role: df[name] for role, name in found.items()}, frame_type


def frame(columns: Mapping[str, Any], frame_type: FrameType) -> Any:
    """Build a frame of the given type.

    Parameters
    ----------
    columns : mapping of names to one-dimensional arrays of one length
    frame_type : {"polars", "pandas", "pyarrow", "dict"}

    Returns
    -------
    polars.DataFrame, pandas.DataFrame, pyarrow.Table, or dict of arrays

    Raises
    ------
    ValueError
        If `frame_type` is unknown.
    """
    if frame_type not in get_args(FrameType):
        raise ValueError(
            f"frame_type must be one of {', '.join(get_args(FrameType))}, not {frame_type!r:.80}"
        )
    arrays = {name: np.asarray(column) for name, column in columns.items()}
    if frame_type == "dict":
        return arrays
    if frame_type == "polars":
        return pl.DataFrame([_polars_column(name, array) for name, array in arrays.items()])
    if frame_type == "pandas":
        # An object array of strings becomes pandas' own string type, as in a frame read by it.
        return importlib.import_module("pandas").DataFrame(
            {n: a.astype(object) if a.dtype.kind == "U" else a for n, a in arrays.items()}
        )
    pa = importlib.import_module("pyarrow")
    return pa.table(
        {n: pa.array(a.tolist() if a.dtype.kind in "UO" else a) for n, a in arrays.items()}
    )


def _polars_column(name: str, array: NDArray[Any]) -> pl.Series:
    # Objects are text, see `ids`.
    return pl.Series(name, array.tolist() if array.dtype == object else array)
