"""The option of commands that look at the index of searches."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

Index = Annotated[
    Path | None, Parameter(help="File of the index of runs. Default: one for the user.")
]
