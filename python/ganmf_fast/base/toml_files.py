"""TOML from files that anyone may have written: bounded in size and depth."""

import tomllib
from pathlib import Path
from typing import Any

from ganmf_fast.base import json_files
from ganmf_fast.base.errors import DataError
from ganmf_fast.base.text import one_line

MAX_BYTES = 2**18
"""Limit of a file's size."""

_MOST_DOTS = 200


def read(path: Path) -> dict[str, Any]:
    """The content of a TOML file.

    Raises
    ------
    DataError
        If the file is missing, larger than 256 KiB, nested deeper than 64 levels, holds a whole
        number of more than 64 bits, or is not TOML in UTF-8; one sentence names the file and what
        is wrong.
    """
    content = json_files.contents(path, MAX_BYTES)
    # tomllib takes more than the square of the parts of a dotted key: seconds for 16,000.
    if any(line.count(b".") > _MOST_DOTS for line in content.splitlines()):
        raise DataError(f"{path} is damaged: a line has more than {_MOST_DOTS} dots")
    try:
        found = tomllib.loads(content.decode("utf-8-sig"))  # editors of Windows write a mark
        json_files.refuse_deeper(found)
        _refuse_larger_numbers(found)
    except RecursionError:
        raise DataError(f"{path} is damaged: it is nested too deeply") from None
    except ValueError as error:
        raise DataError(f"{path} is not valid TOML: {one_line(error, 200)}") from None
    return found


def _refuse_larger_numbers(value: object) -> None:
    """Refuse whole numbers that TOML has not; tomllib reads them."""
    if isinstance(value, dict | list):
        for inner in value.values() if isinstance(value, dict) else value:
            _refuse_larger_numbers(inner)
    elif isinstance(value, int) and not -(2**63) <= value < 2**64:
        raise ValueError("a whole number has more than 64 bits")
