"""An epoch of CFGAN and of CAAE, beside their straight ports; the dense product of all GANs."""

from collections.abc import Callable

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch", reason="GANs need torch, which is not installed")

import ganmf_fast as gf
from ganmf_fast.base.urm import as_csr
from ganmf_fast.gan.caae import CAAEModule
from ganmf_fast.gan.cfgan import CFGANModule
from ganmf_fast.gan.matmul import by_onednn
from straight_gans import StraightCAAE, StraightCFGAN

Measure = Callable[..., object]

CFGAN = {
    "scheme": "ZR", "zr_ratio": 0.5, "zr_coefficient": 0.1, "d_steps": 1, "g_steps": 1,
    "g_nodes": 256, "g_layers": 1, "d_nodes": 64, "d_layers": 1, "g_hidden_act": "tanh",
    "d_hidden_act": "linear", "d_batch_size": 128, "g_batch_size": 256, "d_lr": 1e-4,
    "g_lr": 1e-4, "d_reg": 1e-4, "g_reg": 1e-4,
}  # fmt: skip
CAAE = {
    "num_factors": 32, "g_units": 100, "g_layers": 1, "gpr_units": 100, "gpr_layers": 1,
    "d_steps": 3, "g_steps": 3, "gpr_steps": 3, "d_bsize": 4096, "m_batch": 128, "lr": 1e-3,
    "beta": 1e-3, "S": 0.5, "lmbda": 0.5,
}  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def train(splits: gf.Splits) -> sp.csr_array:
    return sp.csr_array(splits.train).astype(np.float32)


def epoch(module) -> Callable[[], None]:
    def run() -> None:
        for network, batches in module.epoch(1):
            for batch in batches:
                module.step(network, batch)

    return run


def test_epoch_of_cfgan(measure: Measure, train: sp.csr_array) -> None:
    measure(
        epoch(CFGANModule(gf.CFGAN(**CFGAN, device="cpu"), as_csr(train))),
        train.nnz,
        "interactions",
    )


def test_epoch_of_cfgan_ported_straight(measure: Measure, train: sp.csr_array) -> None:
    measure(StraightCFGAN(train, CFGAN).epoch, train.nnz, "interactions")


def test_epoch_of_caae(measure: Measure, train: sp.csr_array) -> None:
    measure(
        epoch(CAAEModule(gf.CAAE(**CAAE, device="cpu"), as_csr(train))), train.nnz, "interactions"
    )


def test_epoch_of_caae_ported_straight(measure: Measure, train: sp.csr_array) -> None:
    measure(StraightCAAE(train, CAAE).epoch, train.nnz, "interactions")


@pytest.mark.parametrize("way", [by_onednn, torch.mm], ids=["oneDNN", "torch.mm"])
def test_dense_product(measure: Measure, way: Callable) -> None:
    """Of the sizes that GANMF has on MovieLens 1M: the decoder's, of real and made profiles."""
    rng = torch.Generator().manual_seed(0)
    left, right = (torch.rand(shape, generator=rng) for shape in ((128, 3706), (3706, 993)))
    measure(lambda: way(left, right), 2 * 128 * 3706 * 993, "flop")
