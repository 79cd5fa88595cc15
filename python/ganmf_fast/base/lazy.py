"""Names of a package that are loaded on first use, as its stub lists them."""

import re
from pathlib import Path

_IMPORT = re.compile(r"^from (\S+) import (\w+) as \2$", re.MULTILINE)


def stub_imports(init: str) -> dict[str, str]:
    """Module of each name that the stub of a package imports and exports.

    The stub ``__init__.pyi`` is thus the one list of what a package offers: type checkers and
    editors read it, and the package itself does to import lazily.

    Parameters
    ----------
    init : str
        Path of the ``__init__.py`` of the package, beside which the stub lies.
    """
    stub = Path(init).with_name("__init__.pyi").read_text(encoding="utf-8")
    return {name: module for module, name in _IMPORT.findall(stub)}
