"""Settings of the adversarial models: every parameter with its range and what is searched of it.

No torch here: estimators derive from these classes, and modules are given their instances.
"""

import re
from collections.abc import Mapping
from copy import copy
from dataclasses import KW_ONLY, fields
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from ganmf_fast._core import Csr
from ganmf_fast.base.checks import check_real, plain
from ganmf_fast.base.params import hyperparameters, param
from ganmf_fast.base.text import shown
from ganmf_fast.gan.defaults import CHOSEN, PUBLISHED, chosen_for
from ganmf_fast.models.registry import known_name

Activation = Literal["linear", "tanh", "sigmoid", "relu", "LeakyReLU"]
Mode = Literal["user", "item"]
Matching = Literal["features", "reconstruction", "decoder", "leave-one-out"]

_LARGEST = 1e30
_DEVICE = re.compile(r"auto|cpu|cuda(:\d+)?")

# What is searched, in the form of tuning/spaces.toml.
_BOTTLENECK = {"int": [4, 1024], "at_most": "bottleneck"}
_BATCH_SIZES = {"choice": [64, 128, 256, 512, 1024]}
_ONE_TO_FIVE = {"int": [1, 5]}
_RATES = {"real": [1e-4, 1e-2], "log": True}
_PENALTIES = {"real": [1e-6, 1e-4], "log": True}
_UNIT_INTERVAL = {"real": [0.0, 1.0]}
_CAAE_STEPS = {"choice": [5, 10, 15, 20]}
_CAAE_DEPTHS = {"choice": [1, 2, 3, 4, 5]}
_CAAE_WIDTHS = {"choice": [20, 50, 100, 150, 200]}
_CAAE_TENTHS = {"choice": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]}


def _check_device(name: str, value: object) -> None:
    if not isinstance(value, str) or not _DEVICE.fullmatch(value):
        raise ValueError(
            f'{name} must be "auto", "cpu", "cuda" or "cuda:<number>", not {shown(value)}'
        )


def _dropping(search: dict[str, Any]) -> dict[str, Any]:
    """Searched only where the tuned model has dropout, so that the published search stays."""
    return {**search, "when": {"d_dropout": {"above": 0.0}}}


# Kinds of parameters, and declarations that several families have with defaults of their own.


# A default of None is chosen when the model is fitted.


def _count(default: int | None, doc: str, search: Any = None) -> Any:
    return param(default, doc, at_least=1, search=search, chosen=default is None)


def _non_negative(default: float | None, doc: str, search: Any = None) -> Any:
    return param(default, doc, at_least=0.0, search=search, chosen=default is None)


def _fraction(default: float | None, doc: str, search: Any = None) -> Any:
    return param(default, doc, at_least=0.0, at_most=1.0, search=search, chosen=default is None)


def _mode() -> Any:
    doc = "Learn the profiles of users, or those of items (rows and columns change places)."
    return param("user", doc)


def _num_factors(
    default: int | None, least: int, doc: str = "Columns K of the factors P and Q."
) -> Any:
    return _count(default, doc, {"int": [least, 250], "at_most": "shorter side"})


def _batch_size(default: int | None, network: str = "") -> Any:
    return _count(default, f"Profiles in a batch{network and f' of the {network}'}.", _BATCH_SIZES)


def _learning_rate(default: float | None, network: str) -> Any:
    doc = f"Adam's learning rate of the {network}."
    return param(default, doc, above=0.0, search=_RATES, chosen=default is None)


def _penalty(default: float | None, network: str, search: Any = None) -> Any:
    doc = f"Weight of half the sum of squares of the {network}'s parameters."
    return _non_negative(default, doc, search)


def _passes(network: str, search: Any = None) -> Any:
    return _count(1, f"Passes of the {network} over the batches in an epoch.", search)


def _width(default: int, network: str, search: Any = _BOTTLENECK) -> Any:
    return _count(default, f"Width of the hidden layers of the {network}.", search)


def _depth(network: str, search: Any = _ONE_TO_FIVE) -> Any:
    return _count(1, f"Number of hidden layers of the {network}.", search)


def _activation(default: Activation, network: str, *searched: Activation) -> Any:
    doc = f"Activation of the hidden layers of the {network}."
    return param(default, doc, search={"choice": list(searched)})


def _epochs(default: int) -> Any:
    return _count(default, "At most, with `validation`; exactly, without.", {"choice": [300]})


def _published_quirks(differences: str = "") -> Any:
    doc = (
        f"{differences} Let `best_epoch_` be the number of epochs that the published tuning saves "
        "when it stops early, ``epochs run - freq allow_worse + 1`` (six above the best when "
        "stopped by five checks of five epochs each, 276 of 300 when never stopped). The weights "
        "kept are the best ones either way."
    )
    return param(False, doc.strip())


@hyperparameters
class GANSettings:
    """Settings of every adversarial model; a family derives from them and adds its own."""

    # Of the families that do not declare them.
    mode = "user"
    data_parallel = False
    tf32 = False

    _: KW_ONLY
    epochs: int = _epochs(300)
    freq: int = _count(5, "Evaluation interval: epochs between two checks on `validation`.")
    allow_worse: int = param(
        5, "Patience: checks without improvement; the next one stops the training.", at_least=0
    )
    seed: int = param(
        0,
        "Seed of initial weights, shuffles and draws. torch's global generator is left alone.",
        at_least=0,
        at_most=2**63 - 1,
    )
    device: str = param(
        "auto",
        '"cpu", "cuda", "cuda:1" ...; "auto" is "cuda" where there is one. Initial weights and '
        "shuffles are the same on all devices.",
        check=_check_device,
    )
    published_quirks: bool = _published_quirks()
    gradient_norms: bool = param(False, "Write the norms of the gradients to the history.")
    checkpoint_every: int = param(
        0,
        "Epochs between two checkpoints in `checkpoint_path`; 0 is none. A fit that finds the "
        "checkpoint of an interrupted one continues from it and ends with the same weights; a fit "
        "that ends removes it.",
        at_least=0,
    )
    checkpoint_path: str | None = param(None, "File of the checkpoint.")

    @property
    def by_item(self) -> bool:
        """Whether the profiles of items are learned."""
        return self.mode == "item"

    @property
    def maps_profiles(self) -> bool:
        """Whether the networks say which factors a new user has; else least squares do.

        Where items have profiles, users are columns, of which the discriminator knows no others.
        """
        return not self.by_item

    def resolved(self, profiles: Csr) -> Self:
        """The settings for these profiles, in which no parameter is left to choose but `epochs`."""
        settings = copy(self)
        # torch takes no numbers of NumPy, and those of few bits overflow.
        for name in (item.name for item in fields(self)):
            value = plain(getattr(self, name))
            if isinstance(value, float) and value > _LARGEST:
                raise ValueError(
                    f"{name} must be at most {_LARGEST:g}, beyond which single precision computes "
                    f"nothing, not {value:g}"
                )
            setattr(settings, name, value)
        return settings

    def n_products(self) -> int:
        """Numbers that a step holds beside those of a batch."""
        return 0

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """Number of parameters for profiles of shape (n_rows, n_cols), small biases aside."""
        # Each model says it; the settings that all share are made without one as well.
        raise NotImplementedError(f"{type(self).__name__} is no model")


@hyperparameters
class GANMFSettings(GANSettings):
    """Settings of GANMF."""

    mode: Mode = _mode()
    num_factors: int = _num_factors(None, 1)
    emb_dim: int = _count(None, "Hidden units E of the autoencoder.", _BOTTLENECK)
    batch_size: int = _batch_size(None)
    m: float = _non_negative(
        None,
        "Margin: the discriminator raises the energy of generated profiles up to m times that of "
        "real ones.",
        {"int": [1, 10]},
    )
    d_lr: float = _learning_rate(None, "discriminator")
    g_lr: float = _learning_rate(None, "generator")
    d_reg: float = _penalty(None, "discriminator", _PENALTIES)
    g_reg: float = _penalty(0.0, "generator")
    recon_coefficient: float = _fraction(
        None,
        "Weighs `matching`, not reconstruction: its fraction of the generator's loss. 1 is the "
        "control without an adversary, whose loss does not contain the energy of generated "
        "profiles. Given, it makes every default the published one, see the notes.",
        {"real": [0.01, 0.5]},
    )
    d_steps: int = _passes("discriminator")
    g_steps: int = _passes("generator")
    step: Literal["auto", "exact", "dense"] = param(
        "auto",
        'Arithmetic of the same losses and gradients: "exact" from low-rank pieces only, memory '
        'independent of the batch size; "dense" by automatic differentiation of dense batches, '
        'the slow reference implementation; "auto" as "exact", but with products over the batch '
        "where those are cheaper, as they are for small batches.",
    )
    d_dropout: float = param(
        None,
        "Fraction of the nonzeros of real profiles that are hidden from the discriminator's input, "
        "not from its target; the others are scaled up by 1 / (1 - `d_dropout`).",
        at_least=0.0,
        below=1.0,
        search=_dropping({"real": [0.05, 0.7]}),
        chosen=True,
    )
    g_ema: float = param(
        None,
        "Decay of the average over the generator's steps that is used in place of the generator's "
        "last weights; 0 is no average.",
        at_least=0.0,
        below=1.0,
        chosen=True,
    )
    g_reg_exponent: float = _non_negative(
        0.0,
        "`g_reg` weighs each row of the factors by its number of interactions to this power, "
        "scaled to a mean of one. 0 is one weight for all.",
    )
    init: Literal["glorot", "svd", "ease", "discriminator"] = param(
        None,
        "Start the factors at random, or from a decomposition of the interactions, of the scores "
        "of EASE, or of what the discriminator reconstructs at its start, each item from the "
        "others.",
        chosen=True,
    )
    _: KW_ONLY
    epochs: int = param(
        None,
        "At most, with `validation`; exactly, without. By default at most 300, and without "
        "`validation` as many as suit the data, see the notes. 0 is the start itself; where "
        '`d_init` is "ease" it is a model, and `best_epoch_` is 0 if no epoch improves it.',
        at_least=0,
        search={"choice": [300]},
        chosen=True,
    )
    d_emphasis: float = param(
        None,
        "Weight b of what is kept beside what is hidden, which has one, in the reconstruction "
        "error of real profiles. The zeros are hidden as often; that changes no input, so that "
        "each has the weight that it has on average, ``w0 = p + b (1 - p)``, p the `d_dropout`. "
        "All weights are divided by w0. 1 is the mean squared error; without `d_dropout` nothing "
        "is hidden, and b has no effect.",
        at_least=0.0,
        at_most=1.0,
        search=_dropping({"real": [0.0, 0.5]}),
        earlier=1.0,
        chosen=True,
    )
    matching: Matching = param(
        None,
        "What the generator matches for a real profile x and its own f, beside the energy of f: "
        'with the autoencoder Dec(Enc(.)) of the discriminator, "features" is the published '
        'MSE(Enc(x), Enc(f)), "reconstruction" MSE(Dec(Enc(x)), f), "leave-one-out" the same with '
        "each item of x reconstructed from the others alone, so that f does not learn to copy x, "
        'and "decoder" MSE(Dec(Enc(x)), Dec(Enc(f))). x is whole.',
        search=_dropping({"choice": ["features", "reconstruction", "decoder", "leave-one-out"]}),
        earlier="features",
        chosen=True,
    )
    d_init: Literal["glorot", "ease"] = param(
        None,
        "Start the discriminator at random, or as EASE truncated to `emb_dim` dimensions, with the "
        "penalty that `d_reg` is.",
        earlier="glorot",
        chosen=True,
    )
    user_factors: Literal["learned", "solved"] = param(
        None,
        '"solved" trains no factors of single profiles: for each batch they are those for which '
        "the generator's loss is least, a closed form of the profiles and of the other weights, "
        "and again for all profiles in the end. Memory and parameters do not grow with the users "
        '(in item mode the items). "learned" as published.',
        earlier="learned",
        chosen=True,
    )
    norm_exponent: float = param(
        None,
        "Profiles are divided by their Euclidean norm to this power before anything is learned "
        "from them, and by one number that keeps the sum of their squares: with 0 each interaction "
        "weighs alike in the losses, with 1 each profile. Scores are those of whole profiles.",
        at_least=0.0,
        at_most=2.0,
        earlier=0.0,
        chosen=True,
    )
    data_parallel: bool = param(
        False,
        "Train in several processes, each with its part of every batch, for the losses of one that "
        "has whole batches, to rounding. All of them, started by torchrun or members of a process "
        "group of torch.distributed, fit the same model on the same data, and all end with it; the "
        'first one validates and writes the checkpoint. "cuda" is the GPU of the process number.',
    )
    tf32: bool = param(
        False, "On a GPU, round the factors of matrix products to 10 bits, which is faster."
    )

    @classmethod
    def completed(cls, params: Mapping[str, Any]) -> dict[str, Any]:
        """All parameters, with the values that the given ones imply in place of None."""
        if params.get("recon_coefficient") is None:
            return dict(params)
        return {n: PUBLISHED[n] if v is None and n in PUBLISHED else v for n, v in params.items()}

    def resolved(self, profiles: Csr) -> Self:
        """See ``GANSettings``."""
        settings = super().resolved(profiles)
        names = [name for name in CHOSEN if getattr(self, name) is None]
        values = PUBLISHED
        if self.recon_coefficient is None:
            values = chosen_for(profiles.n_rows, profiles.n_cols, profiles.nnz, self.matching)
            if self.g_reg_exponent:
                # Solved factors share one penalty.
                values["user_factors"] = "learned"
        for name in names:
            setattr(settings, name, values.get(name))
        return settings

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``."""
        rows = n_rows if self.user_factors == "learned" else 0
        return rows * self.num_factors + n_cols * (self.num_factors + 2 * self.emb_dim + 1)

    def n_products(self) -> int:
        """Of weights with weights, which take the place of a matrix of batch x items."""
        return (self.num_factors + self.emb_dim) ** 2


@hyperparameters
class BinGANMFSettings(GANSettings):
    """Settings of binGANMF."""

    mode: Mode = _mode()
    num_factors: int = _num_factors(50, 5)
    d_nodes: int = _width(256, "discriminator")
    d_layers: int = _depth("discriminator")
    d_hidden_act: Activation = _activation(
        "relu", "discriminator", "linear", "tanh", "relu", "sigmoid"
    )
    batch_size: int = _batch_size(64)
    d_lr: float = _learning_rate(5e-4, "discriminator")
    g_lr: float = _learning_rate(3e-3, "generator")
    d_reg: float = _penalty(1e-3, "discriminator", _PENALTIES)
    g_reg: float = _penalty(0.0, "generator")
    recon_coefficient: float = _non_negative(
        200.0,
        "Weighs feature matching, not reconstruction, in the generator's loss.",
        {"real": [0.01, 0.5]},
    )
    d_steps: int = _passes("discriminator")
    g_steps: int = _passes("generator")
    _: KW_ONLY
    epochs: int = _epochs(40)
    published_quirks: bool = _published_quirks(
        "Train as the published code does: the generator with the label of generated profiles, so "
        "that it learns to be recognised; the discriminator with the number of the row as a "
        "further input."
    )

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``."""
        inner = (self.d_layers - 1) * self.d_nodes**2
        return n_rows * self.num_factors + n_cols * (self.num_factors + self.d_nodes) + inner


@hyperparameters
class CFGANSettings(GANSettings):
    """Settings of CFGAN."""

    mode: Mode = _mode()
    scheme: Literal["ZR", "PM", "ZP"] = param(
        "ZP",
        "Zero reconstruction, partial masking, or both.",
        search={"choice": ["ZR", "PM", "ZP"]},
    )
    zr_ratio: float = _fraction(
        0.3, "Fraction of a profile's missing items in the set of ZR.", _UNIT_INTERVAL
    )
    zp_ratio: float = _fraction(
        0.1, "Fraction of a profile's missing items in the set of PM.", _UNIT_INTERVAL
    )
    zr_coefficient: float = _non_negative(
        0.03, "Weight of the ZR term in the generator's loss.", _UNIT_INTERVAL
    )
    g_nodes: int = _width(64, "generator")
    g_layers: int = _depth("generator")
    d_nodes: int = _width(16, "discriminator")
    d_layers: int = _depth("discriminator")
    g_hidden_act: Activation = _activation("linear", "generator", "linear", "tanh", "sigmoid")
    d_hidden_act: Activation = _activation("sigmoid", "discriminator", "linear", "tanh", "sigmoid")
    d_batch_size: int = _batch_size(128, "discriminator")
    g_batch_size: int = _batch_size(128, "generator")
    d_lr: float = _learning_rate(5e-4, "discriminator")
    g_lr: float = _learning_rate(1e-3, "generator")
    d_reg: float = _penalty(1e-5, "discriminator", _PENALTIES)
    g_reg: float = _penalty(1e-3, "generator", _PENALTIES)
    d_steps: int = _passes("discriminator", _ONE_TO_FIVE)
    g_steps: int = _passes("generator", _ONE_TO_FIVE)
    adversarial: bool = param(
        True,
        "False is the control without a GAN: no discriminator, and in place of its loss the "
        "squared error of the generated profile at the nonzeros of the real one.",
    )
    _: KW_ONLY
    epochs: int = _epochs(20)
    published_quirks: bool = _published_quirks(
        "Train as the published code does: `zr_ratio` in the place of `zp_ratio`, and users never "
        "shuffled."
    )

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``; there are none of single rows."""
        inner = (self.d_layers - 1) * self.d_nodes**2 + (self.g_layers - 1) * self.g_nodes**2
        return 2 * n_cols * (self.d_nodes + self.g_nodes) + inner


@hyperparameters
class CAAESettings(GANSettings):
    """Settings of CAAE."""

    num_factors: int = _num_factors(50, 1, "Columns of the discriminator's factors.")
    g_units: int = _width(100, "generator G", _CAAE_WIDTHS)
    g_layers: int = _depth("generator G", _CAAE_DEPTHS)
    gpr_units: int = _width(100, "generator G'", _CAAE_WIDTHS)
    gpr_layers: int = _depth("generator G'", _CAAE_DEPTHS)
    d_steps: int = _count(
        1, "Passes of the discriminator over all interactions in an epoch.", _CAAE_STEPS
    )
    g_steps: int = _count(40, "Updates of G in an epoch.", _CAAE_STEPS)
    gpr_steps: int = _count(5, "Updates of G' in an epoch.", _CAAE_STEPS)
    d_bsize: int = _count(
        4096,
        "Interactions in a batch of the discriminator.",
        {"choice": [1024 * n for n in range(1, 11)]},
    )
    m_batch: int = _count(128, "Users in an update of G or of G'.", {"choice": [32, 64, 128, 256]})
    lr: float = param(
        5e-2,
        "Learning rate of the gradient descent of all three networks.",
        above=0.0,
        search={"choice": [1e-4, 5e-4, 1e-3, 5e-3]},
    )
    beta: float = _non_negative(
        1e-4,
        "Weight of half the sum of squares of the parameters, of the discriminator's rows whenever "
        "they are looked up.",
        {"choice": [1e-4, 1e-3, 1e-2, 1e-1]},
    )
    S: float = _fraction(
        0.02,
        "Fraction of the items a profile does not hold that G is to reconstruct as zeros.",
        _CAAE_TENTHS,
    )
    lmbda: float = _fraction(
        0.1, "Fraction of the reward in G's loss; the rest is reconstruction.", _CAAE_TENTHS
    )
    reward_baseline: bool = param(
        False, "Subtract the mean reward of a batch, which makes the gradient less noisy."
    )
    _: KW_ONLY
    epochs: int = _epochs(20)
    published_quirks: bool = _published_quirks(
        "As the published code does: G' with the layers of G, and users from the thousandth on "
        "scored by the profiles of others."
    )

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``."""
        layers = 2 * n_cols * (self.g_units + self.gpr_units)
        layers += (self.g_layers - 1) * self.g_units**2
        layers += (self.gpr_layers - 1) * self.gpr_units**2
        return layers + (n_rows + n_cols + 1) * self.num_factors


def _check_base(name: str, value: object) -> None:
    known = known_name(value) if isinstance(value, str) else None
    if known in (None, "RAGAN"):
        raise ValueError(
            f'{name} must be the name of another model, such as "EASE", not {shown(value)}'
        )


@hyperparameters
class RAGANSettings(GANSettings):
    """Settings of RAGAN and RAGANBT."""

    base: str = param(
        "EASE",
        "Model that is fitted on the augmented ratings, with its defaults.",
        check=_check_base,
    )
    bt: bool = param(
        True,
        "Train on ratings and virtual low ones (RAGANBT); False is RAGAN, which sees given "
        "ratings alone.",
        search={"choice": [True, False]},
    )
    share: float = _fraction(
        0.05,
        "Fraction of a user's missing items that get a generated rating.",
        {"real": [0.0, 0.3]},
    )
    low_share: float = _fraction(
        0.05,
        "With `bt`, fraction of a user's missing items with a low rating.",
        {"real": [0.01, 0.3]},
    )
    low_rating: float = _fraction(0.2, "The low rating, as a fraction of the highest.")
    g_nodes: int = _width(64, "generator")
    g_layers: int = _depth("generator")
    d_nodes: int = _width(16, "discriminator")
    d_layers: int = _depth("discriminator")
    g_hidden_act: Activation = _activation("linear", "generator", "linear", "tanh", "sigmoid")
    d_hidden_act: Activation = _activation("sigmoid", "discriminator", "linear", "tanh", "sigmoid")
    d_batch_size: int = _batch_size(128, "discriminator")
    g_batch_size: int = _batch_size(128, "generator")
    d_lr: float = _learning_rate(5e-4, "discriminator")
    g_lr: float = _learning_rate(1e-3, "generator")
    d_reg: float = _penalty(1e-5, "discriminator", _PENALTIES)
    g_reg: float = _penalty(1e-3, "generator", _PENALTIES)
    d_steps: int = _passes("discriminator", _ONE_TO_FIVE)
    g_steps: int = _passes("generator", _ONE_TO_FIVE)
    _: KW_ONLY
    epochs: int = _epochs(20)

    def networks(self) -> CFGANSettings:
        """The settings of CFGAN whose networks and steps are those of RAGAN."""
        shared = set(CFGANSettings().__dict__) & set(vars(self))
        return CFGANSettings(
            **{name: getattr(self, name) for name in shared},
            scheme="PM",
            zp_ratio=0.0,
            zr_ratio=0.0,
        )

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``."""
        return self.networks().n_parameters(n_rows, n_cols)


def _check_threshold(name: str, value: object) -> None:
    if value is not None:
        check_real(name, value, above=0.0)


@hyperparameters
class AugCFSettings(GANSettings):
    """Settings of AugCF."""

    num_factors: int = _num_factors(64, 1, "Columns K of the factors of either network.")
    threshold: float | None = param(
        None,
        "The lowest value of an interaction that is a like; lower ones are dislikes. None takes "
        "ones alone, all of which are likes. Greater than 0.",
        check=_check_threshold,
    )
    negatives: int = param(
        4,
        "Dislikes beside the given ones: items outside the profile, drawn uniformly for each like "
        "and epoch.",
        at_least=0,
        search={"int": [1, 10]},
    )
    share: float = _fraction(
        0.1,
        "Generated interactions for each real one of a batch, of the same users and conditions. "
        "0 is the control without an adversary: the discriminator alone, as a factorisation.",
        {"real": [0.01, 0.5], "log": True},
    )
    adversarial_epochs: int = param(
        20,
        "Epochs of the first phase, in which the networks are trained against each other; in those "
        "after it the generator stays as it is.",
        at_least=0,
        search={"int": [0, 50]},
    )
    temperature: float = param(
        1.0,
        "Of the softmax through which the gradient of a generated item passes.",
        above=0.0,
        search={"real": [0.1, 2.0], "log": True},
    )
    batch_size: int = _count(
        4096,
        "Real interactions in a batch of the discriminator.",
        {"choice": [512, 1024, 2048, 4096, 8192]},
    )
    g_batch_size: int = _count(
        256,
        "Users under a condition in a batch of the generator; memory grows with it times the "
        "items.",
    )
    d_lr: float = _learning_rate(2e-3, "discriminator")
    g_lr: float = _learning_rate(2e-3, "generator")
    d_reg: float = _penalty(1e-5, "discriminator", _PENALTIES)
    g_reg: float = _penalty(0.0, "generator")
    d_steps: int = _passes("discriminator")
    g_steps: int = _passes("generator", _ONE_TO_FIVE)
    _: KW_ONLY
    epochs: int = _epochs(40)

    @property
    def maps_profiles(self) -> bool:
        """See ``GANSettings``: new users have the factors of least squared error."""
        return False

    def likes(self, urm: Csr, name: str = "X") -> NDArray[np.bool_]:
        """Which nonzeros are likes.

        Raises
        ------
        ValueError
            If there are other values than ones and nothing says which of them are likes.
        """
        values = urm.values
        if self.threshold is not None:
            ones = np.ones(urm.nnz, np.float32)
            # As the values are stored: 0.1 reaches a threshold of 0.1.
            return (ones if values is None else values) >= np.float32(self.threshold)
        if values is not None:
            raise ValueError(
                f"threshold is None but {name} holds values from {values.min():g} to "
                f"{values.max():g}: give the lowest one that is a like, or ones for likes alone"
            )
        return np.ones(urm.nnz, np.bool_)

    def n_parameters(self, n_rows: int, n_cols: int) -> int:
        """See ``GANSettings``; those of features, and of conditions, aside."""
        networks = 2 if self.share else 1
        return networks * (n_rows + n_cols) * self.num_factors
