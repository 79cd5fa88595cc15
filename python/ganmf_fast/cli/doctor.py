"""``ganmf doctor``."""

import importlib
import importlib.util
import os
from pathlib import Path
from typing import Any

from ganmf_fast.cli.common import Common, begin, print_json, print_table, say
from ganmf_fast.cli.config import FILE_NAME, user_config_path
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.data import datasets
from ganmf_fast.experiments import environment

_NO_COMMON, _NO_DATA_OPTIONS = Common(), DataOptions()


def doctor(*, source: DataOptions = _NO_DATA_OPTIONS, common: Common = _NO_COMMON) -> None:
    """Show what this installation is made of and what it can use."""
    begin(common)
    problems = []
    torch: Any = None
    if importlib.util.find_spec("torch") is None:
        problems.append('torch is missing, GANMF cannot be trained: pip install "ganmf-fast[gan]"')
    else:
        torch = importlib.import_module("torch")
    if importlib.util.find_spec("vl_convert") is None:
        problems.append('vl-convert is missing, no charts: pip install "ganmf-fast[report]"')
    about = environment.describe()
    cuda = bool(torch is not None and torch.cuda.is_available())
    folder = datasets.default_folder() if source.data_dir is None else source.data_dir
    configs = [Path.cwd() / FILE_NAME, user_config_path()]
    facts = {
        **{f"version of {package}": found for package, found in about["versions"].items()},
        **about["hardware"],
        "cuda": cuda,
        "data folder": str(folder),
        "data folder exists": folder.is_dir(),
        "data folder can be written": _can_be_written(folder),
        "configuration files": ", ".join(str(p) for p in configs if p.is_file()) or "none",
    }
    if common.json:
        print_json({**facts, "problems": problems})
    else:
        rows = [(k, _shown(v)) for k, v in facts.items()]
        print_table("", ("what", "found"), rows)
    for problem in problems:
        say(problem)


def _can_be_written(folder: Path) -> bool:
    """Whether files can be put there, making the folder if needed."""
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    return there.is_dir() and os.access(there, os.W_OK)


def _shown(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "none" if value is None else str(value)
