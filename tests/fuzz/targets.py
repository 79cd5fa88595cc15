"""What all targets have in common."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from random import Random
from typing import Any, ClassVar

__all__ = ["FileTarget", "Target", "WrongError"]


class WrongError(Exception):
    """An answer is not what the documentation says."""


class Target(ABC):
    """One part of the public surface.

    Parameters
    ----------
    folder : Path
        For this worker alone, in memory.
    corpus : mapping
        What `make_corpus` returned.
    """

    name: ClassVar[str]
    documented: ClassVar[tuple[type[BaseException], ...]]
    """The exceptions that the documentation of the target names; all others are failures."""
    whole: ClassVar[int]
    """Number of cases of a whole run."""
    seconds: ClassVar[float] = 10.0
    """A case that takes longer hangs, and a second more for each `READ` bytes that it holds."""
    memory: ClassVar[int] = 64 * 2**20
    """Bytes that a case may take for itself, and `FACTOR` times its own size."""

    FACTOR: ClassVar[int] = 20
    READ: ClassVar[int] = 2**24

    def __init__(self, folder: Path, corpus: Mapping[str, Any]) -> None:
        self.folder = folder
        self.corpus = corpus

    @classmethod
    def make_corpus(cls) -> dict[str, Any]:
        """Right inputs that cases are made from: plain data, see `cases.to_json`."""
        return {}

    @abstractmethod
    def draw(self, rng: Random) -> dict[str, Any]:
        """A case: plain data."""

    @abstractmethod
    def plain(self) -> dict[str, Any]:
        """A case with nothing wrong about it, which uses all that cases use."""

    @abstractmethod
    def run(self, case: Mapping[str, Any]) -> None:
        """Do what the case says.

        Raises
        ------
        WrongError
            If an answer is wrong.
        """


class FileTarget(Target):
    """A target that reads files: ``case["files"]`` are their contents by name."""

    whole = 100_000

    def __init__(self, folder: Path, corpus: Mapping[str, Any]) -> None:
        super().__init__(folder, corpus)
        self._placed: dict[str, bytes] = {}

    def place(self, files: Mapping[str, bytes]) -> None:
        """Make the folder hold these files and no others."""
        for name in [name for name in self._placed if name not in files]:
            (self.folder / name).unlink(missing_ok=True)
            del self._placed[name]
        for name, content in files.items():
            if self._placed.get(name) != content:
                path = self.folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_bytes(content)
                self._placed[name] = content
