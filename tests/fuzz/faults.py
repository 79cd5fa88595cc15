"""A target with every kind of fault: what the fuzzer has to notice. Not among those of a run."""

import os
import time
import warnings
from collections.abc import Mapping
from random import Random
from typing import Any

from tests.fuzz.targets import Target, WrongError

__all__ = ["TARGETS", "FaultsTarget"]


class FaultsTarget(Target):
    """Does what the case says, most often nothing."""

    name = "faults"
    documented = (ValueError,)
    whole = 30
    seconds = 1.0
    memory = 2**20

    def draw(self, rng: Random) -> dict[str, Any]:
        """The name of a fault."""
        faults = ("abort", "hang", "greed", "huge", "exception", "wrong", "warning", "message")
        return {"fault": rng.choice((*faults, "refused", *["none"] * 20))}

    def plain(self) -> dict[str, Any]:
        """None."""
        return {"fault": "none"}

    def run(self, case: Mapping[str, Any]) -> None:
        """Have this fault."""
        match case["fault"]:
            case "abort":
                os.abort()
            case "hang":
                time.sleep(3600)
            case "greed":
                bytearray(2**27)[::4096] = bytes(2**15)
            case "huge":
                bytearray(2**40)
            case "exception":
                raise KeyError("a")
            case "wrong":
                raise WrongError("one and one is three")
            case "warning":
                warnings.warn("overflow", RuntimeWarning, stacklevel=1)
            case "refused":
                raise ValueError("a sentence")
            case "message":
                raise ValueError("two\nlines")


TARGETS: tuple[type[Target], ...] = (FaultsTarget,)
