"""``ganmf data list``."""

from ganmf_fast.cli.common import Common, begin, print_json, print_table
from ganmf_fast.data import datasets

_NO_COMMON = Common()


def data_list(*, common: Common = _NO_COMMON) -> None:
    """List the data sets that are known by name."""
    begin(common)
    rows = []
    for name in datasets.names():
        sizes = datasets.sizes(name)
        kind = "simulated" if sizes is None else "observed"
        rows.append((name, *(sizes or (None, None, None)), kind))
    if common.json:
        keys = ("name", "interactions", "users", "items", "kind")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table("", ("name", "interactions", "users", "items", "kind"), rows)
