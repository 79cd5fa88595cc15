"""Ctrl-C during a long fit, in another process, as a user presses it; one fits for all tests."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from itertools import product

import pytest

from ganmf_fast.models import registry

pytestmark = pytest.mark.processes

# Rows and columns of even popularity keep every stage busy: 4 million cells, as many in each row.
_FIT = """
import json, signal, sys, time
signal.signal(signal.SIGINT, signal.default_int_handler)
import numpy as np
import scipy.sparse as sp
import ganmf_fast as gf
from ganmf_fast.models import registry
gf.set_num_threads(1)
users, items, each = 20_000, 20_000, 200
rng = np.random.default_rng(0)
cols = np.sort(rng.integers(0, items // each, (users, each)) + np.arange(0, items, items // each))
X = sp.csr_array(
    (np.ones(users * each, np.float32), cols.ravel(), np.arange(0, users * each + 1, each)),
    shape=(users, items),
)
X = gf.Interactions.from_matrix(X)
for line in sys.stdin:
    name, params = json.loads(line)
    model = getattr(gf, name)(**params)
    if registry.NAMES[name].startswith("ganmf_fast.gan."):
        import torch  # libraries that are being loaded hear nothing
    print("ready", flush=True)
    try:
        model.fit(X)
    except KeyboardInterrupt:
        print("stopped", time.time(), flush=True)
    else:
        print("fitted", time.time(), flush=True)
"""


MODELS = {
    "ItemKNN": {"topk": 1000},
    "UserKNN": {"topk": 1000},
    "RP3beta": {"topk": 1000},
    "BPRMF": {"dns": 10},
    "APR": {},
    "CDAE": {},
    "IRGAN": {"pretrain_epochs": 0},
    "CoFiGAN": {"pretrain_epochs": 0},
    "GraphGAN": {"pretrain_epochs": 0},
    "RAGAN": {"device": "cpu"},
    "AugCF": {"device": "cpu"},
    "GANMF": {"device": "cpu"},
}


# The decomposition that GANMF starts from is longer than a second.
CASES = [*product(MODELS, (0.1, 1.0)), ("GANMF", 7.0), ("GANMF", 11.0)]


@pytest.fixture(scope="module")
def fitting() -> Iterator[subprocess.Popen[str]]:
    """A process that fits what it is told."""
    process = subprocess.Popen(
        [sys.executable, "-c", _FIT], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with process:
        yield process
        process.kill()


@pytest.mark.parametrize(("model", "after"), CASES)
def test_ctrl_c_stops_a_fit_within_a_second(fitting, model, after):
    if registry.NAMES[model].startswith("ganmf_fast.gan."):
        pytest.importorskip("torch", reason=f"{model} is fitted with torch, which is not installed")
    print(json.dumps([model, MODELS[model]]), file=fitting.stdin, flush=True)
    assert fitting.stdout.readline() == "ready\n"
    time.sleep(after)
    pressed = time.time()
    fitting.send_signal(signal.SIGINT)
    what, at = fitting.stdout.readline().split()
    assert what == "stopped"
    assert float(at) - pressed < 1
