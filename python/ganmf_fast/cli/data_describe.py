"""``ganmf data describe``."""

from ganmf_fast.cli.common import Common, begin, print_json, print_table
from ganmf_fast.cli.data_options import DataName, DataOptions
from ganmf_fast.data import datasets
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.reading import Reading
from ganmf_fast.split import PARTS, Splits

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()
_SHOWN = {"\t": "tab", " ": "blank"}


def data_describe(
    data: DataName, *, source: DataOptions = _NO_DATA_OPTIONS, common: Common = _NO_COMMON
) -> None:
    """Show the size and the shape of data, and how a file was read."""
    begin(common)
    opened = source.open(data)
    facts = datasets.describe(opened)
    if isinstance(opened, Splits):
        facts |= {part: int(getattr(opened, part).nnz) for part in PARTS}
    reading = opened.reading if isinstance(opened, Interactions) else None
    if common.json:
        print_json(facts if reading is None else {**facts, "reading": reading.to_dict()})
        return
    print_table("", ("what", "value"), [(k, _shown(k, v)) for k, v in facts.items()])
    if reading is not None:
        print_table("How it was read", ("what", "value"), _lines(reading))


def _shown(key: str, value: object) -> object:
    if key == "density" and isinstance(value, float):
        return f"{value:.4%}"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else value


def _lines(reading: Reading) -> list[tuple[str, str]]:
    """What was found or given, then what became of every line."""
    text = reading.format == "text"
    lines = [
        ("format", reading.format),
        ("compression", reading.compression or "none"),
        ("encoding", reading.encoding or ""),
        ("separator", _SHOWN.get(reading.separator or "", reading.separator or "")),
        ("quoting", (reading.quote or "off") if text else ""),
        ("header", ("yes" if reading.header else "no") if text else ""),
        *((f"{role} column", column) for role, column in reading.columns.items()),
        ("columns not read", ", ".join(reading.unread)),
        ("rows" if reading.format == "parquet" else "lines", f"{reading.lines:,}"),
        ("records", f"{reading.records:,}"),
        *((f"left out: {why}", f"{n:,}") for why, n in reading.left_out.items()),
    ]
    return [(what, value) for what, value in lines if value]
