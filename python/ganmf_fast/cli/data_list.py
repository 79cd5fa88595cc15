"""``ganmf data list``."""

from ganmf_fast.cli.common import Common, begin, print_json, print_table
from ganmf_fast.data import datasets

_NO_COMMON = Common()


def data_list(*, common: Common = _NO_COMMON) -> None:
    """List the data sets that are known by name."""
    begin(common)
    rows = []
    for name in datasets.names():
        source = datasets.SOURCES.get(name)
        sizes = source.sizes if source is not None else (None, None, None)
        rows.append((name, *sizes, "observed" if source is not None else "simulated"))
    if common.json:
        keys = ("name", "interactions", "users", "items", "kind")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
    else:
        print_table("", ("name", "interactions", "users", "items", "kind"), rows)
