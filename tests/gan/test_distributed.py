"""Two processes, started by torchrun, that train one GANMF: the tests read what they left behind.

This file is also what each of the two runs.
"""

import contextlib
import datetime as dt
import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

torch = pytest.importorskip("torch", reason="GANMF needs torch, which is not installed")

from ganmf_fast.base.threads import set_num_threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.cli import main
from ganmf_fast.gan.distributed import ProcessGroup
from ganmf_fast.gan.estimators import GANMF
from ganmf_fast.gan.ganmf.module import GANMFModule
from ganmf_fast.models.load import load

SMALL = {
    "num_factors": 5,
    "emb_dim": 8,
    "epochs": 5,
    "freq": 2,
    "gradient_norms": True,
    "device": "cpu",
    "recon_coefficient": 0.1,
}
OPTIONS = {
    "d_dropout": 0.3,
    "d_emphasis": 0.1,
    "matching": "reconstruction",
    "g_ema": 0.5,
    "g_reg": 1e-3,
    "g_reg_exponent": 0.5,
    "d_reg": 1e-3,
}
# Energies of real and made profiles close to the margin.
HINGE = {"m": 0.1, "d_lr": 1e-3, "g_lr": 1e-2, "epochs": 2}
# 65 users: the last batch of 16 holds one, which leaves a rank without any.
CASES = {
    "auto": {"batch_size": 16},
    "dense": {"batch_size": 16, "step": "dense", **OPTIONS},
    "exact": {"batch_size": 16, "step": "exact", **OPTIONS},
    "one_batch": {"batch_size": 99, "step": "exact"},
    "single_users": {"batch_size": 1, "epochs": 1},
    "items": {"batch_size": 7, "mode": "item", "init": "svd", "matching": "decoder"},
    "solved": {"batch_size": 16, **OPTIONS, "g_reg_exponent": 0.0, "user_factors": "solved"},
    "leave_one_out": {"batch_size": 16, **OPTIONS, "matching": "leave-one-out", "d_init": "ease"},
    "hinge": {"batch_size": 2, **HINGE},
    "hinge_dense": {"batch_size": 2, "step": "dense", **HINGE},
}
CHECKPOINT = {"batch_size": 16, "epochs": 6, "checkpoint_every": 2, **OPTIONS}


def matrices():
    source = np.random.default_rng(0)
    # Long and short profiles: energies of a batch differ between the ranks.
    density = np.where(np.arange(65) % 2, 0.05, 0.5)[:, None]
    X = (source.random((65, 40)) < density).astype(np.float32)
    X[:, 0] = 1
    return sp.csr_array(X), sp.csr_array((source.random((65, 40)) < 0.1).astype(np.float32))


def fitted(name, **more):
    X, V = matrices()
    return GANMF(**{**SMALL, **CASES.get(name, CHECKPOINT), **more}).fit(X, validation=V)


def outcome(model):
    rows = [{k: v for k, v in row.items() if not k.endswith("seconds")} for row in model.history_]
    return {
        "history": rows,
        "best_epoch": model.best_epoch_,
        "users": model.user_factors_.tolist(),
        "items": model.item_factors_.tolist(),
    }


# what each rank runs -----------------------------------------------------------------------------


class Killed(BaseException):
    pass


@contextlib.contextmanager
def at_epoch(epoch, act):
    """Call `act` when that epoch begins."""
    real = GANMFModule.epoch

    def acting(self, now):
        if now == epoch:
            act()
        return real(self, now)

    GANMFModule.epoch = acting
    try:
        yield
    finally:
        GANMFModule.epoch = real


def raise_killed():
    raise Killed


def goes_on_after_a_death(rank, folder):
    # Only the first rank has a place for the file.
    path = str(folder / "run.ckpt") if rank == 0 else "/nowhere/run.ckpt"
    with contextlib.suppress(Killed), at_epoch(5, raise_killed):
        fitted("checkpoint", checkpoint_path=path, data_parallel=True)
    there = Path(path).is_file()
    again = outcome(fitted("checkpoint", checkpoint_path=path, data_parallel=True))
    return {"there": there, "removed": not Path(path).exists(), "again": again}


def message_of(error, run):
    try:
        run()
    except error as raised:
        return str(raised)
    return ""


def command_line(folder):
    X, _ = matrices()
    users, items = X.nonzero()
    table = folder / f"data{os.environ['RANK']}.csv"
    table.write_text(
        "user,item\n" + "".join(f"{u},{i}\n" for u, i in zip(users, items, strict=True))
    )
    params = [f"--param={k}={v}" for k, v in {**SMALL, "data_parallel": "true"}.items()]
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        code = main(["fit", "GANMF", *params, f"--data={table}", f"--output={folder / 'm'}"])
    return {"code": code, "stdout": out.getvalue()}


def join(store, rank, seconds):
    """Another process group, which a user's program makes itself."""
    torch.distributed.destroy_process_group()
    timeout = dt.timedelta(seconds=seconds)
    torch.distributed.init_process_group(
        init_method=store.as_uri(), rank=rank, world_size=2, timeout=timeout
    )


def waits_in_vain(rank, folder):
    """Rank 1 stands still; rank 0 gives up and wakes it, and it finds rank 0 gone."""
    join(folder / "store", rank, 5)
    pid = folder / "pid"
    if rank == 1:
        pid.write_text(str(os.getpid()))

    def stop():
        if rank == 1:
            os.kill(os.getpid(), signal.SIGSTOP)

    started = time.monotonic()
    with at_epoch(2, stop):
        message = message_of(ConnectionError, lambda: fitted("auto", data_parallel=True))
    if rank == 0:
        os.kill(int(pid.read_text()), signal.SIGCONT)
    return {"message": message, "seconds": time.monotonic() - started}


def run_rank(folder):
    rank = int(os.environ["RANK"])
    set_num_threads(1)
    found = {name: outcome(fitted(name, data_parallel=True)) for name in CASES}
    found["checkpoint"] = goes_on_after_a_death(rank, folder)
    found["other_seed"] = message_of(
        ValueError, lambda: fitted("auto", data_parallel=True, seed=rank)
    )
    found["command_line"] = command_line(folder)
    found["in_vain"] = waits_in_vain(rank, folder)
    (folder / f"{rank}.json").write_text(json.dumps(found))
    # A rank is killed; the other one has to end by itself, torchrun's signal left aside.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    join(folder / "store_of_the_end", rank, 60)
    with at_epoch(2, lambda: rank and os.kill(os.getpid(), signal.SIGKILL)):
        message = message_of(ConnectionError, lambda: fitted("auto", data_parallel=True))
    (folder / "killed").write_text(message)


# what the tests look at --------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def one_thread():
    """Steps this small are slowed down by threads, on a busy machine a hundredfold."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def ranks(tmp_path_factory):
    if not torch.distributed.is_available():
        pytest.skip("this torch is built without torch.distributed")
    folder = tmp_path_factory.mktemp("ranks")
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2"]
    command += ["--master-port=0", "--standalone", __file__, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert (folder / "1.json").exists(), done.stderr[-3000:]
    assert done.returncode != 0  # one of the two was killed in the end
    found = [json.loads((folder / f"{rank}.json").read_text()) for rank in (0, 1)]
    found.append({"killed": (folder / "killed").read_text(), "model": str(folder / "m")})
    return found


@pytest.mark.parametrize("name", CASES)
def test_two_ranks_have_the_losses_and_weights_of_one_with_whole_batches(ranks, name):
    alone = outcome(fitted(name))
    together = ranks[0][name]
    assert len(together["history"]) == len(alone["history"])
    for ours, theirs in zip(together["history"], alone["history"], strict=True):
        assert ours.keys() == theirs.keys()
        for key, value in theirs.items():
            assert_allclose(ours[key], value, rtol=1e-5, atol=1e-7, err_msg=key)
    assert together["best_epoch"] == alone["best_epoch"]
    for key in ("users", "items"):
        assert_allclose(together[key], alone[key], atol=1e-5)
    if name.startswith("hinge"):
        assert any(0 < row["hinge_active"] < 1 for row in alone["history"])


@pytest.mark.parametrize("name", CASES)
def test_both_ranks_end_with_the_same_bits(ranks, name):
    assert ranks[0][name] == ranks[1][name]


def test_a_hinge_is_open_or_shut_for_all_ranks_together():
    """The case "hinge" has batches whose halves, taken alone, would decide otherwise."""
    X, _ = matrices()
    module = GANMFModule(GANMF(**{**SMALL, **CASES["hinge"]}), as_csr(X))
    steps = module._steps
    decisions = []
    for _ in range(2):
        for network, batches in module.epoch(1):
            for batch in batches:
                if network == "d" and batch.size == 2:
                    parts = [batch.part(slice(0, 1)), batch.part(slice(1, 2))]
                    parts = [steps._batches.whole(part.numbers) for part in parts]
                    decisions.append(
                        [steps._arithmetic.discriminator_step(b)["hinge_active"] for b in parts]
                    )
                module.step(network, batch)
    assert any(first != second for first, second in decisions)


def test_a_killed_run_of_two_goes_on_from_the_first_ranks_checkpoint(ranks):
    whole = outcome(fitted("checkpoint", checkpoint_every=0))
    for rank in (0, 1):
        assert ranks[rank]["checkpoint"]["removed"]
        assert ranks[rank]["checkpoint"]["there"] == (rank == 0)
        again = ranks[rank]["checkpoint"]["again"]
        assert len(again["history"]) == 6
        assert_allclose(again["users"], whole["users"], atol=1e-5)
    assert ranks[0]["checkpoint"]["again"] == ranks[1]["checkpoint"]["again"]


def test_ranks_that_fit_something_else_are_told_so(ranks):
    for rank in (0, 1):
        assert "1 of 2 ranks have other data or parameters than rank 0" in ranks[rank]["other_seed"]


def test_the_command_line_saves_and_prints_once(ranks):
    first, second = (ranks[rank]["command_line"] for rank in (0, 1))
    assert (first["code"], second["code"]) == (0, 0)
    assert first["stdout"].strip() == ranks[2]["model"]
    assert second["stdout"] == ""
    model = load(ranks[2]["model"])
    X, _ = matrices()
    assert_allclose(model.user_factors_, GANMF(**SMALL).fit(X).user_factors_, atol=1e-5)


def test_a_rank_that_stands_still_or_ends_does_not_hold_up_the_other(ranks):
    for rank in (0, 1):
        lost = ranks[rank]["in_vain"]
        assert f"rank {rank} of 2 lost another one" in lost["message"]
        assert lost["seconds"] < 30
    assert "rank 0 of 2 lost another one" in ranks[2]["killed"]


def test_alone_it_is_an_error(toy_urm, monkeypatch):
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with pytest.raises(ValueError, match=r"data_parallel is True, but .* torchrun"):
        GANMF(**SMALL, data_parallel=True).fit(toy_urm)


@pytest.mark.parametrize("size", [1, 2, 3, 7])
@pytest.mark.parametrize("n", [0, 1, 5, 64])
def test_parts_are_all_rows_once_and_nearly_equal(n, size):
    parts = [range(n)[ProcessGroup(rank, size).part(n)] for rank in range(size)]
    assert [row for part in parts for row in part] == list(range(n))
    lengths = [len(part) for part in parts]
    assert max(lengths) - min(lengths) <= 1


def test_dropout_of_a_part_is_that_of_the_whole():
    X, _ = matrices()
    batch = GANMFModule(GANMF(**SMALL), as_csr(X))._steps._batches.whole(np.arange(20, 50))
    seed = lambda: torch.Generator().manual_seed(3)
    whole = batch.dropped(0.4, seed()).dense()
    rows = [batch.part(ProcessGroup(r, 4).part(30)).dropped(0.4, seed()).dense() for r in range(4)]
    assert_array_equal(torch.cat(rows), whole)


if __name__ == "__main__":
    run_rank(Path(sys.argv[1]))
