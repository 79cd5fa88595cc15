"""One operation of one package in this process: `python -m peers.worker ...`, JSON on stdout.

The last line of stdout is the answer to the runner. The process of a package that crashes or never
ends takes nothing with it.
"""

import argparse
import importlib
import json
import resource
import sys
import traceback
from pathlib import Path
from typing import Any

import numpy as np

from peers.inputs import DataMissingError
from peers.job import Job, UnavailableError
from peers.measure import measured
from peers.operations import OPERATIONS


def main() -> None:
    """Prepare the inputs of an operation, or measure it with one package."""
    parser = argparse.ArgumentParser()
    parser.add_argument("operation")
    parser.add_argument("dataset")
    parser.add_argument("--package", help="without one, only the inputs are made")
    parser.add_argument("--repeats", type=int, default=1)
    parser.add_argument("--limit", type=int, default=3600, help="CPU seconds, loading included")
    parser.add_argument("--answer", type=Path, help="where to keep the answer")
    arguments = parser.parse_args()
    # A native loop that never looks at signals is stopped by the system.
    resource.setrlimit(resource.RLIMIT_CPU, (arguments.limit, arguments.limit + 5))
    try:
        report = _report(arguments)
    except (UnavailableError, DataMissingError) as error:
        report = {"status": "not available", "note": str(error)}
    except Exception as error:
        traceback.print_exc()
        report = {"status": "failed", "note": f"{type(error).__name__}: {error}"[:300]}
    sys.stdout.flush()
    print(json.dumps(report))


def _report(arguments: argparse.Namespace) -> dict[str, Any]:
    operation = OPERATIONS[arguments.operation]
    inputs = operation.inputs(arguments.dataset)
    if arguments.package is None:
        return {"status": "ok"}
    package = arguments.package
    adapter = importlib.import_module(f"peers.packages.{package.replace('-', '_')}_")
    make = getattr(adapter, operation.name, None)
    if make is None:
        raise UnavailableError(f"{package} has no such operation")
    job: Job = make(inputs)
    measurement = measured(job.run, arguments.repeats)
    if arguments.answer is not None:
        np.savez(arguments.answer, **job.answer(measurement.result))
    return {
        "status": "ok",
        "seconds": measurement.seconds,
        "mebibytes": measurement.mebibytes,
        "note": job.note,
    }


if __name__ == "__main__":
    main()
