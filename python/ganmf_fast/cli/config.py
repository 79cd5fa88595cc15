"""Where the options of the command line get their values from.

Strongest first: the flag, the environment (``GANMF_THREADS=2``), the project's ``ganmf.toml`` in
the working directory, the user's ``ganmf.toml`` in the configuration folder of the platform, the
default. In a file, a key at the top level is meant for every command that has such an option, one
in ``[data]`` for every command that takes ``--data``, and one in a table such as ``[fit]`` or
``[reproduce.table2]`` for one command; the last is the strongest. What ``[data]`` says about
reading a file is ignored where the data are no file. A key that no command knows is an error with
a suggestion. Wherever a value comes from, empty text is refused, as of a variable that is not set,
and so is a fraction, or another text that is no plain whole number, where a whole number belongs.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

import platformdirs
from cyclopts import UNSET, App, ArgumentCollection, Token
from cyclopts.config import Dict, Env

from ganmf_fast.base import toml_files
from ganmf_fast.base.errors import DataError, suggestion
from ganmf_fast.base.files import is_file
from ganmf_fast.base.text import is_whole, shown
from ganmf_fast.base.unpacking import VARIABLE

FILE_NAME = "ganmf.toml"
_PREFIX = "GANMF_"
# Read by the program or its tests without being an option.
_OTHER_VARIABLES = frozenset(
    {"GANMF_ALLOW_HTTP", "GANMF_DEBUG", VARIABLE, "GANMF_MIRROR", "GANMF_TEST_DATA"}
)

_DATA = "data"
_OF_MODELS = {"model", "models"}
_NOT_OF_FILES = (_DATA, "data-dir", "offline")

_Options = dict[tuple[str, ...], frozenset[str]]


class ConfigError(ValueError):
    """A key or a file of the configuration is wrong."""


def user_config_path() -> Path:
    """Configuration file of the user, by the custom of the platform."""
    return platformdirs.user_config_path("ganmf", appauthor=False, roaming=True) / FILE_NAME


def install(app: App, environ: Mapping[str, str] = os.environ, cwd: Path | None = None) -> None:
    """Give `app` its sources of configuration, after checking every key in them.

    Raises
    ------
    ConfigError
        If a file is not valid TOML or a key is unknown.
    """
    variables = [v for v in environ if v.startswith(_PREFIX) and v not in _OTHER_VARIABLES]
    paths = ((cwd or Path.cwd()) / FILE_NAME, user_config_path())
    files = [path for path in paths if path.is_file()]
    sources: tuple[Any, ...] = ()
    # Knowing every option means importing every command.
    if variables or files:
        options = _options(app)
        _check_environment(variables, options)
        sources = Env(_PREFIX, command=False), *(FileSource(path, options) for path in files)
    app.config = (*sources, _check_values)


def _check_values(_app: App, _commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Refuse what cyclopts would take: empty text, and text that it would round (called by it)."""
    for argument in arguments:
        whole = int in (argument.hint, *get_args(argument.hint))
        for token in argument.tokens:
            flag = not isinstance(token.value, str) or token.implicit_value is not UNSET
            name = argument.name.removeprefix("--").lower()
            if not flag and not token.value:
                raise ValueError(f"{name} is empty{_origin(token)}: give a value, or leave it out")
            if whole and not is_whole(token.value):
                raise ValueError(
                    f"{name} must be a whole number, written without leading zeros, not "
                    f"{shown(token.value)}{_origin(token)}"
                )
    _check_output(arguments)


def _check_output(arguments: ArgumentCollection) -> None:
    """Refuse an output that would take the place of a file that the command reads."""
    given = [
        (argument.name.removeprefix("--").lower(), token.value)
        for argument in arguments
        for token in argument.tokens
        if isinstance(token.value, str) and is_file(token.value)
    ]
    for output in (Path(value) for name, value in given if name == "output"):
        for name, value in given:
            if name != "output" and output.samefile(value):
                raise ValueError(
                    f"output is {shown(str(output), 400)}, which {name} reads: name another file"
                )


def _origin(token: Token) -> str:
    """Where a value comes from that is not on the command line, for messages."""
    places = {"cli": "", "env": f" in {token.keyword}"}
    return places.get(token.source, f" in {token.source}")


class FileSource:
    """One TOML file as a source of options.

    Parameters
    ----------
    path : Path
    options : dict
        The options of each command, by its path of names.
    """

    def __init__(self, path: Path, options: _Options) -> None:
        self._path = path
        self._options = options
        try:
            self._content = toml_files.read(path)
        except DataError as error:
            raise ConfigError(str(error)) from None
        self._check(self._content, ())

    def __call__(self, app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
        """Fill in what stronger sources have left open (called by cyclopts)."""
        known = self._options.get(commands, frozenset())
        found = {k: v for k, v in self._content.items() if _dashed(k) in known}
        own: dict[str, Any] = {}
        table: Any = self._content
        for name in commands:
            table = table.get(name, {}) if isinstance(table, dict) else {}
        if isinstance(table, dict) and commands:
            own = {k: v for k, v in table.items() if _dashed(k) in known}
        given = [a.tokens[0].value for a in arguments if a.name == f"--{_DATA}" and a.tokens]
        of_data = self._of_data(known)
        spec = str(given[0] if given else ({**found, **of_data, **own}).get(_DATA, ""))
        # A list of data sets and files is judged by what opens each.
        if of_data and not any(map(_names_file, (spec, *spec.split(",")))):
            of_data = {k: v for k, v in of_data.items() if _dashed(k) in _NOT_OF_FILES}
        found |= of_data | own
        self._refuse_code(found)
        nested: dict[str, Any] = {_dashed(k): _plain(v) for k, v in found.items()}
        for name in reversed(commands):
            nested = {name: nested}
        Dict(nested, source=str(self._path))(app, commands, arguments)

    def _refuse_code(self, found: Mapping[str, Any]) -> None:
        """A file names no code to be run; whoever types a command may."""
        from ganmf_fast.models.own_model import names_code

        for key in _OF_MODELS & found.keys():
            for name in str(found[key]).split(","):
                if names_code(name.strip()):
                    raise ConfigError(
                        f"{key} in {self._path} names code, {shown(name.strip())}: give it on the "
                        "command line"
                    )

    def _of_data(self, known: frozenset[str]) -> dict[str, Any]:
        """What ``[data]`` says for a command that has `known` options."""
        table = self._content.get(_DATA)
        if not isinstance(table, dict) or _DATA not in known:
            return {}
        return {k: v for k, v in table.items() if _dashed(k) in self._data_options}

    @cached_property
    def _data_options(self) -> frozenset[str]:
        """Options that all commands with ``--data`` have, but not all commands."""
        every = self._options.values()
        of_data = [names for names in every if _DATA in names]
        return frozenset.intersection(*of_data) - frozenset.intersection(*every)

    def _check(self, table: Mapping[str, Any], commands: tuple[str, ...]) -> None:
        """Every key is an option here (at the top level: of any command) or a table of commands."""
        depth = len(commands)
        below = [path for path in self._options if path[:depth] == commands]
        subcommands = {path[depth] for path in below if len(path) > depth}
        known = (
            self._options.get(commands, frozenset())
            if commands
            else frozenset().union(*self._options.values())
        )
        if commands == (_DATA,):
            known = self._data_options
        first: dict[str, str] = {}
        for key, value in table.items():
            if first.setdefault(_dashed(key), key) != key:
                raise ConfigError(
                    f"{shown(first[_dashed(key)])} and {shown(key)} in {self._path} are one key: "
                    "keep one of them"
                )
            if key in subcommands and isinstance(value, dict):
                self._check(value, (*commands, key))
            elif _dashed(key) not in known:
                where = f"[{'.'.join(commands)}] of {self._path}" if commands else str(self._path)
                raise ConfigError(
                    f"unknown key {shown(key)} in {where}{suggestion(key, known | subcommands)}"
                )


def _names_file(spec: str) -> bool:
    from ganmf_fast.split.open_data import names_file

    return names_file(spec)


def _options(app: App) -> _Options:
    return {
        path: frozenset(
            name.removeprefix("--")
            for argument in command.assemble_argument_collection(parse_docstring=False)
            for name in argument.names
            if name.startswith("--")
        )
        for path, command in _commands(app, ())
    }


def _commands(app: App, path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], App]]:
    if path and app.default_command is not None:
        yield path, app
    for name in app:
        if not name.startswith("-"):
            yield from _commands(app[name], (*path, name))


def _check_environment(variables: Iterable[str], options: _Options) -> None:
    known = {_variable(option) for names in options.values() for option in names}
    for variable in sorted(variables):
        if variable not in known:
            raise ConfigError(
                f"unknown environment variable {variable}{suggestion(variable, known)}"
            )


def _variable(option: str) -> str:
    return _PREFIX + option.replace("-", "_").upper()


def _dashed(key: str) -> str:
    return key.replace("_", "-")


def _plain(value: Any) -> Any:
    """A table, as under ``[fit.param]``, becomes the NAME=VALUE texts that the flag takes."""
    if isinstance(value, dict):
        return [f"{k}={v if isinstance(v, str) else json.dumps(v)}" for k, v in value.items()]
    return value
