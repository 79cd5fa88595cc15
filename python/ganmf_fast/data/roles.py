"""Which column holds users, items, ratings and times: given, or recognised by well-known names."""

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Literal, TypeAlias, TypeGuard, cast, get_args

import numpy as np

from ganmf_fast.base.text import few, shown

Column: TypeAlias = str | int
ColumnOrFalse: TypeAlias = Column | Literal[False]
"""A column, or False for a role that is not to be read though a name says it is there."""

Role = Literal["user", "item", "rating", "timestamp"]
_ROLES: tuple[Role, ...] = get_args(Role)
_NOT_ALPHANUMERIC = re.compile(r"[\W_]+")
# As in RecBole's "user_id:token".
_TYPE = re.compile(r":(token|float)(_seq)?$")


@cache
def _well_known() -> dict[str, Role]:
    text = files(__package__).joinpath("column_names.toml").read_text(encoding="utf-8")
    return {
        name: cast("Role", role) for role, names in tomllib.loads(text).items() for name in names
    }


def known_role(name: str) -> Role | None:
    """The role that a column's name is well known for, or None."""
    return _well_known().get(_NOT_ALPHANUMERIC.sub("", _untyped(name).casefold()))


def _untyped(name: str) -> str:
    return _TYPE.sub("", name)


@dataclass(frozen=True)
class Roles:
    """The columns that a caller gave: names or positions from 0, None where none was given."""

    user: Column | None = None
    item: Column | None = None
    rating: ColumnOrFalse | None = None
    timestamp: ColumnOrFalse | None = None
    weights: Mapping[str, float] | None = None
    """Weight of each value of `rating`, such as of types of events."""

    def given(self) -> dict[Role, Column]:
        """Roles with a column."""
        columns = {role: getattr(self, role) for role in _ROLES}
        return {role: c for role, c in columns.items() if c is not None and c is not False}

    @property
    def by_name(self) -> bool:
        """Whether a column is given by its name, so that there must be a header."""
        return any(isinstance(column, str) for column in self.given().values())

    def resolve(self, names: Sequence[str] | None, width: int, label: str) -> dict[Role, int]:
        """Position of each role's column.

        Parameters
        ----------
        names : sequence of str, optional
            Names of all columns; None where a file has no header.
        width : int
            Number of columns.
        label : str
            What messages call the file.

        Returns
        -------
        dict of role to position
            With `user` and `item`; `rating` and `timestamp` where they are given, or, if neither
            user nor item is given, where a well-known name says so.

        Raises
        ------
        ValueError
            If a column does not exist, a role has no column or several candidates, two roles have
            one column, or a well-known name contradicts a position; the message says which
            argument settles it.
        """
        found = {
            role: column_position(column, names, width, label, role)
            for role, column in self.given().items()
        }
        if names is not None:
            self._check_positions(names, label)
            free = {at: name for at, name in enumerate(names) if at not in found.values()}
            open_roles = [role for role in _ROLES if role not in found and self._is_open(role)]
            for role in open_roles:
                position = _recognised(role, free, label)
                if position is not None:
                    found[role] = position
        _fill_by_position(found, names, width, label)
        if self.weights is not None and "rating" not in found:
            raise ValueError(f"{label}: weights needs rating=, the column whose values have them")
        if len(set(found.values())) < len(found):
            raise ValueError(f"{label}: two of {', '.join(found)} are read from one column")
        return {role: found[role] for role in _ROLES if role in found}

    def _is_open(self, role: Role) -> bool:
        """Whether a well-known name may decide the column of a role."""
        if role in {"user", "item"}:
            return True
        return getattr(self, role) is None and self.user is None and self.item is None

    def _check_positions(self, names: Sequence[str], label: str) -> None:
        """Refuse positions whose columns have the well-known name of another role."""
        for role, column in self.given().items():
            if _is_position(column) and 0 <= column < len(names):
                named = known_role(names[column])
                if named is not None and named != role:
                    raise ValueError(
                        f"{label}: {role}={column} is the column {shown(names[column])}, which is "
                        f"named like {_with_article(named)}: give {role} by name, such as "
                        f"{role}={shown(names[column])}, if it is meant"
                    )


def column_position(
    column: Column, names: Sequence[str] | None, width: int, label: str, role: str = "column"
) -> int:
    """Position of a column given by name or position, which must exist.

    Raises
    ------
    ValueError
        If there is no such column, in a message that lists those that exist; or if a position is
        the name of another column.
    """
    if _is_position(column):
        if not 0 <= column < width:
            raise ValueError(f"{label} has no column {column}; it has {width}, numbered from 0")
        namesakes = [at for at in _named(str(column), names or ()) if at != column]
        if names is not None and namesakes:
            raise ValueError(
                f"{label}: {role}={column} is the position of the column {shown(names[column])}, "
                f"but column {namesakes[0]} is named so: give a name as text, "
                f"{role}={shown(names[column])} or {role}={shown(str(column))}, or, on a command "
                "line, where a number is a position, rename that column"
            )
        return int(column)
    if names is None:
        raise ValueError(f"{label} has no header, so the column {shown(column)} needs its position")
    matches = _named(column, names)
    if len(matches) != 1:
        what = "no column" if not matches else f"{len(matches)} columns"
        raise ValueError(f"{label} has {what} {shown(column)}; its columns are {few(names)}")
    return matches[0]


def _is_position(column: object) -> TypeGuard[int]:
    return isinstance(column, int | np.integer) and not isinstance(column, bool)


def _named(column: object, names: Sequence[str]) -> list[int]:
    """Positions of the columns of a name, which may have a type after it."""
    return [at for at, name in enumerate(names) if column in (name, _untyped(str(name)))]


def _recognised(role: Role, free: Mapping[int, str], label: str) -> int | None:
    candidates = [at for at, name in free.items() if known_role(name) == role]
    if len(candidates) > 1:
        named = few(f"{shown(free[at])}" for at in candidates)
        off = "" if role in {"user", "item"} else f", or {role}=False to leave it out"
        raise ValueError(
            f"{label}: {named} may each be the {role} column: say which, such as "
            f"{role}={shown(_settling(free, candidates[0]))}{off}"
        )
    return candidates[0] if candidates else None


def _settling(free: Mapping[int, str], position: int) -> Column:
    """What names a column without doubt: its name, or its position if others have that name."""
    name = free[position]
    return name if list(free.values()).count(name) == 1 else position


def _fill_by_position(
    found: dict[Role, int], names: Sequence[str] | None, width: int, label: str
) -> None:
    """Users and items in the first two columns, where these have no names."""
    missing = [role for role in ("user", "item") if role not in found]
    if missing and names is not None:
        named = " or ".join(map(_with_article, missing))
        give = " and ".join(f"{role}=" for role in missing)
        one = len(missing) == 1
        raise ValueError(
            f"{label}: no column is named like {named} ({few(names)}): give {give} "
            f"{'a name or a position' if one else 'names or positions'}"
        )
    for role, position in (("user", 0), ("item", 1)):
        if role in missing:
            found[cast("Role", role)] = column_position(position, names, width, label)


def _with_article(role: str) -> str:
    return f"an {role}" if role == "item" else f"a {role}"
