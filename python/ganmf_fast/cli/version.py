"""``ganmf version``."""

from importlib import metadata

from ganmf_fast.cli.common import Common, begin, print_json, show

_NO_COMMON = Common()


def version(*, common: Common = _NO_COMMON) -> None:
    """Show the version."""
    begin(common)
    found = metadata.version("ganmf-fast")
    if common.json:
        print_json({"version": found})
    else:
        show(f"ganmf-fast {found}")
