"""``ganmf data describe``."""

from ganmf_fast.cli.common import Common, begin, print_json, print_table
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.data import datasets
from ganmf_fast.split import PARTS, Splits

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def data_describe(
    data: DataName, *, source: DataOptions = _NO_DATA_OPTIONS, common: Common = _NO_COMMON
) -> None:
    """Show the size and the shape of data."""
    begin(common)
    opened = source.open(data)
    facts = datasets.describe(opened)
    if isinstance(opened, Splits):
        facts |= {part: int(getattr(opened, part).nnz) for part in PARTS}
    if common.json:
        print_json(facts)
    else:
        print_table("", ("what", "value"), [(k, _shown(k, v)) for k, v in facts.items()])


def _shown(key: str, value: object) -> object:
    if key == "density" and isinstance(value, float):
        return f"{value:.4%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value
