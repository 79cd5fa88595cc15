"""``ganmf version``."""

from ganmf_fast import __version__
from ganmf_fast.cli.common import Common, begin, print_json, show

_NO_COMMON = Common()


def version(*, common: Common = _NO_COMMON) -> None:
    """Show the version."""
    begin(common)
    if common.json:
        print_json({"version": __version__})
    else:
        show(f"ganmf-fast {__version__}")
