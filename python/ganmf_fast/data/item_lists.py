"""Files with a line of items for each user, as papers on graphs and on CiteULike have them."""

import re
from typing import TYPE_CHECKING

import numpy as np
import scipy.sparse as sp

from ganmf_fast.base.errors import DataError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_LARGEST = 2**31 - 1
_OTHER = re.compile(rb"[^0-9 \t\r\n]")


def read_item_lists(content: bytes, label: str, *, counted: bool) -> "sp.coo_array[np.float32]":
    """Users and items of a file with a line for each user.

    Parameters
    ----------
    content : bytes
        Whole numbers between blanks.
    label : str
        What messages call the file.
    counted : bool
        Whether a line begins with the number of its items, and is of the user who is as many lines
        from the first; else it begins with the number of the user.

    Returns
    -------
    coo_array of float32, shape (largest user + 1, largest item + 1)

    Raises
    ------
    DataError
        If it holds anything else; the message names the line.
    """
    odd = _OTHER.search(content)
    if odd is not None:
        line = content.count(b"\n", 0, odd.start()) + 1
        raise DataError(f"line {line} of {label} holds more than whole numbers")
    users: list[NDArray[np.int64]] = []
    items: list[NDArray[np.int64]] = []
    for at, text in enumerate(content.splitlines()):
        tokens = text.split()
        if not tokens:
            continue
        if max(map(len, tokens)) > 10:
            raise DataError(f"line {at + 1} of {label} holds a number that is too large")
        numbers = np.array(tokens, dtype="S10").astype(np.int64)
        listed = numbers[1:]
        if counted and numbers[0] != len(listed):
            raise DataError(
                f"line {at + 1} of {label} says {numbers[0]} items but holds {len(listed)}"
            )
        items.append(listed)
        users.append(np.full(len(listed), at if counted else numbers[0]))
    rows, cols = (np.concatenate([np.empty(0, np.int64), *parts]) for parts in (users, items))
    if not len(rows) or max(rows.max(), cols.max()) >= _LARGEST:
        raise DataError(f"{label} holds no interactions, or a number that is too large")
    shape = (int(rows.max()) + 1, int(cols.max()) + 1)
    found = sp.coo_array((np.ones(len(rows), dtype=np.float32), (rows, cols)), shape=shape)
    found.sum_duplicates()
    if found.nnz < len(rows):
        raise DataError(f"{label} holds an item twice for one user")
    return found
