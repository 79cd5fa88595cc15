"""GANMF as an estimator, and the loop that trains it."""

import itertools
import math
from unittest.mock import Mock

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.exceptions import ConvergenceWarning, NotFittedError

torch = pytest.importorskip("torch", reason="GANMF needs torch, which is not installed")

from ganmf_fast.base import threads
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation import evaluate
from ganmf_fast.gan.device import Footprint
from ganmf_fast.gan.estimators import GANMF
from ganmf_fast.gan.ganmf import module as ganmf_module
from ganmf_fast.gan.ganmf.module import GANMFModule
from ganmf_fast.gan.ganmf.steps import GradientSteps
from ganmf_fast.gan.module import DivergedError
from ganmf_fast.gan.settings import GANSettings
from ganmf_fast.gan.trainer import Trainer
from ganmf_fast.models.ease import EASE
from ganmf_fast.models.load import load
from ganmf_fast.models.popularity import TopPopular
from ganmf_fast.scorers.validation import validation_value
from ganmf_fast.tuning import tune
from ganmf_fast.tuning.protocols import Dense

SMALL = {
    "num_factors": 6,
    "emb_dim": 10,
    "epochs": 4,
    "batch_size": 16,
    "g_lr": 1e-2,
    "device": "cpu",
    "recon_coefficient": 0.1,
}


def rng(seed=0):
    return torch.Generator().manual_seed(seed)


def ignore(*_):
    pass


def without_times(row):
    return {name: value for name, value in row.items() if not name.endswith("seconds")}


# the loop ----------------------------------------------------------------------------------------


class Counter:
    """A module whose only weight is the number of generator steps."""

    starts_fitted = False

    def __init__(self, bad_after=math.inf):
        self.count = torch.zeros(1)
        self.bad_after = bad_after
        self.calls = []

    def epoch(self, number):
        yield "d", [0]
        yield "g", [0]

    def step(self, network, batch):
        self.calls.append(f"{network}{batch}")
        if network == "d":
            return {"d_loss": 1.0}
        self.count += 1
        return {"g_loss": math.nan if self.count > self.bad_after else float(self.count)}

    def companions(self):
        return ()

    def weights(self):
        return [self.count]

    def diagnose(self):
        return {"count": float(self.count)}


def trained(module, epochs, values=None, freq=5):
    given = iter(values or ())
    validate = None if values is None else lambda: next(given)
    return Trainer(module, GANSettings(epochs=epochs, freq=freq), validate).run(ignore)


def test_sixth_check_without_improvement_stops_and_the_best_weights_are_back():
    module = Counter()
    # An equal value is no improvement; a better one resets the count.
    values = [0.1, 0.05, 0.05, 0.3, 0.3, 0.2, 0.2, 0.2, 0.2, 0.2, 0.9]
    outcome = trained(module, 300, values)
    assert len(outcome.history) == 50
    assert (outcome.best_epoch, outcome.stopping.best_value) == (20, 0.3)
    assert module.count == 20
    assert [row.get("validation") for row in outcome.history][4::5] == values[:10]


def test_fewer_checks_than_allowed_run_to_the_end_and_the_last_epoch_is_checked():
    module = Counter()
    outcome = trained(module, 12, [0.1, 0.2, 0.3])
    assert (len(outcome.history), outcome.best_epoch) == (12, 12)


def test_without_validation_all_epochs_run_and_the_last_weights_stay():
    module = Counter()
    outcome = trained(module, 7)
    assert (outcome.best_epoch, len(outcome.history), int(module.count)) == (7, 7, 7)


def test_history_holds_mean_losses_diagnoses_and_the_time_of_each_phase():
    outcome = trained(Counter(), 3, [0.1, 0.2], freq=2)
    plain = {"epoch", "d_loss", "g_loss", "count", "d_seconds", "g_seconds", "seconds"}
    checked = plain | {"validation", "validation_seconds"}
    assert [set(row) for row in outcome.history] == [plain, checked, checked]
    assert outcome.history[1]["g_loss"] == outcome.history[1]["count"] == 2
    for row in outcome.history:
        assert row["d_seconds"] + row["g_seconds"] <= row["seconds"]


def test_an_epoch_passes_the_discriminator_first_over_the_same_batches(toy_urm, monkeypatch):
    calls = []

    def note(phase):
        def train(self, batch):
            calls.append((phase, tuple(batch.numbers)))
            return {}

        return train

    monkeypatch.setattr(GANMFModule, "train_d", note("d"))
    monkeypatch.setattr(GANMFModule, "train_g", note("g"))
    monkeypatch.setattr(GradientSteps, "start_pass", lambda self: calls.append("|"))
    GANMF(**{**SMALL, "epochs": 2, "batch_size": 32}, d_steps=2).fit(toy_urm)
    orders = []
    for epoch in (calls[:9], calls[9:]):
        first, last = epoch[1][1], epoch[2][1]
        passes = ["|", ("d", first), ("d", last)] * 2 + ["|", ("g", first), ("g", last)]
        assert epoch == passes
        assert sorted(first + last) == list(range(60))
        assert (len(first), len(last)) == (32, 28)
        orders.append(first + last)
    assert orders[0] != orders[1]


def test_divergence_before_the_first_check_is_an_error_that_names_epoch_and_loss():
    with pytest.raises(DivergedError, match=r"epoch 4 \(g_loss = nan\)"):
        trained(Counter(bad_after=3), 20, [0.1, 0.2])


def test_divergence_after_a_check_keeps_the_best_weights():
    module = Counter(bad_after=7)
    with pytest.warns(ConvergenceWarning, match=r"epoch 8 .*weights of epoch 5"):
        outcome = trained(module, 20, [0.1, 0.2])
    assert outcome.best_epoch == 5
    assert module.count == 5


@pytest.mark.parametrize("user_factors", ["learned", "solved"])
def test_huge_rates_are_answered_by_an_error_not_by_a_bad_model(toy_urm, user_factors):
    huge = {**SMALL, "g_lr": 1e30, "d_lr": 1e30, "user_factors": user_factors}
    with pytest.raises(ArithmeticError, match="diverged in epoch"):
        GANMF(**huge).fit(toy_urm)


# the estimator -----------------------------------------------------------------------------------


def test_no_step_but_the_dense_one_makes_a_dense_batch(monkeypatch, toy_urm):
    refuse = Mock(side_effect=AssertionError("a dense batch was made"))
    monkeypatch.setattr("ganmf_fast.gan.batches.Batch.dense", refuse)
    GANMF(**SMALL, step="exact").fit(toy_urm)
    GANMF(**SMALL, step="auto").fit(toy_urm)
    with pytest.raises(AssertionError, match="dense batch"):
        GANMF(**SMALL, step="dense").fit(toy_urm)


def test_steps_train_the_same_model(toy_urm):
    fitted = [GANMF(**SMALL, step=step).fit(toy_urm) for step in ("dense", "exact", "auto")]
    scores = [model.score_users(range(60)) for model in fitted]
    for other in scores[1:]:
        assert_allclose(other, scores[0], atol=2e-4)


def test_item_mode_is_user_mode_on_the_transpose(toy_urm):
    by_item = GANMF(**SMALL, mode="item").fit(toy_urm)
    by_user = GANMF(**SMALL).fit(sp.csr_array(toy_urm.T))
    assert_array_equal(by_item.item_factors_, by_user.user_factors_)
    assert_array_equal(by_item.user_factors_, by_user.item_factors_)
    assert by_item.user_factors_.shape == (60, 6)
    # One dot product in two orders of its factors: equal to rounding.
    assert_allclose(by_item.score_users([3])[0], by_user.score_users(range(40))[:, 3], atol=1e-6)


OPTIONS = {"d_dropout": 0.4, "g_ema": 0.7, "g_reg": 1e-3, "g_reg_exponent": 0.5, "init": "ease"}


LOSSES = [
    {},
    {"d_emphasis": 0.1, "matching": "reconstruction"},
    {"d_emphasis": 0.0, "matching": "decoder"},
    {"d_emphasis": 0.0, "matching": "leave-one-out", "d_init": "ease"},
    {"d_emphasis": 0.1, "user_factors": "solved", "g_reg_exponent": 0.0},
]


@pytest.mark.parametrize("losses", LOSSES, ids=str)
def test_options_beyond_the_paper_train_the_same_model_by_every_step(toy_urm, losses):
    fitted = [
        GANMF(**SMALL, **{**OPTIONS, **losses}, step=step).fit(toy_urm)
        for step in ("dense", "exact", "auto")
    ]
    scores = [model.score_users(range(60)) for model in fitted]
    for other in scores[1:]:
        assert_allclose(other, scores[0], atol=2e-4)


@pytest.mark.parametrize("option", OPTIONS)
def test_each_option_changes_the_model_and_its_control_does_not(toy_urm, option):
    base = {**SMALL, "g_reg": 1e-3}
    plain = GANMF(**base).fit(toy_urm).user_factors_
    off = "glorot" if option == "init" else 0.0
    if option != "g_reg":
        assert_array_equal(GANMF(**{**base, option: off}).fit(toy_urm).user_factors_, plain)
    value = 2e-3 if option == "g_reg" else OPTIONS[option]
    assert (GANMF(**{**base, option: value}).fit(toy_urm).user_factors_ != plain).any()


def test_emphasis_is_of_what_is_hidden(toy_urm):
    fit = lambda **options: GANMF(**SMALL, **options).fit(toy_urm).user_factors_
    assert_array_equal(fit(d_emphasis=0.1), fit())
    dropout = fit(d_dropout=0.4)
    assert_array_equal(fit(d_dropout=0.4, d_emphasis=1.0), dropout)
    assert (fit(d_dropout=0.4, d_emphasis=0.1) != dropout).any()


def test_each_matching_trains_another_model(toy_urm):
    fitted = {
        matching: GANMF(**SMALL, matching=matching).fit(toy_urm).user_factors_
        for matching in ("features", "reconstruction", "decoder", "leave-one-out")
    }
    assert_array_equal(fitted["features"], GANMF(**SMALL).fit(toy_urm).user_factors_)
    for one, other in itertools.combinations(fitted.values(), 2):
        assert (one != other).any()


def test_averaged_weights_are_the_average_over_the_steps(toy_urm, monkeypatch):
    steps = []
    train_g = GANMFModule.train_g

    def noted(self, batch):
        losses = train_g(self, batch)
        steps.append(self.generator.item_factors.detach().numpy().copy())
        return losses

    monkeypatch.setattr(GANMFModule, "train_g", noted)
    model = GANMF(**{**SMALL, "epochs": 3}, g_ema=0.8).fit(toy_urm)
    average = np.zeros_like(steps[0])
    for t, weights in enumerate(steps, 1):
        share = max(0.2, 1 / t)
        average += share * (weights - average)
    assert_allclose(model.item_factors_, average, atol=1e-6)
    without = GANMF(**{**SMALL, "epochs": 3}).fit(toy_urm)
    assert_array_equal(without.item_factors_, steps[-1])


@pytest.mark.parametrize("shape", [(60, 40), (25, 40)], ids=["primal", "dual"])
def test_a_warm_start_is_the_best_approximation_of_its_rank(toy_urm, shape):
    X = toy_urm[: shape[0]]
    for kind in ("svd", "ease"):
        full = X.toarray() if kind == "svd" else EASE().fit(X).score_users(range(shape[0]))
        model = GANMF(**{**SMALL, "num_factors": 8, "g_lr": 1e-12, "epochs": 1}, init=kind)
        made = model.fit(X).score_users(range(shape[0]))
        U, S, Vt = np.linalg.svd(full.astype(np.float64), full_matrices=False)
        best = (U[:, :8] * S[:8]) @ Vt[:8]
        # The randomized decomposition is as good as the best, cell by cell nearly the same.
        assert_allclose(np.linalg.norm(made - full), np.linalg.norm(best - full), rtol=2e-3)


def test_a_discriminator_that_starts_as_ease_makes_a_generator_of_its_scores(toy_urm):
    """Nothing is truncated, and the generator matches alone."""
    X, penalty = toy_urm, 50.0
    options = {"emb_dim": 40, "num_factors": 40, "d_reg": 2 * penalty / (60 * 40)}
    options |= {"d_init": "ease", "init": "discriminator", "matching": "leave-one-out"}
    ease = EASE(l2=penalty).fit(X).score_users(range(60))
    for factors in ("solved", "learned"):
        model = GANMF(**{**SMALL, **options, "recon_coefficient": 1.0}, user_factors=factors)
        scorer = GANMFModule(model, as_csr(X)).scorer()
        assert_allclose(scorer.user_factors @ scorer.item_factors.T, ease, atol=1e-5)


def test_no_epochs_leave_the_start(toy_urm, toy_held_out, tmp_path):
    options = {**SMALL, "d_init": "ease", "init": "discriminator", "user_factors": "solved"}
    model = GANMF(**{**options, "epochs": 0}).fit(toy_urm, validation=toy_held_out)
    assert (model.best_epoch_, len(model.history_)) == (0, 0)
    still = GANMF(**{**options, "epochs": 1, "d_lr": 1e-12, "g_lr": 1e-12}).fit(toy_urm)
    assert_allclose(model.score_users([3, 7]), still.score_users([3, 7]), atol=1e-6)
    model.save(tmp_path / "model")
    assert load(tmp_path / "model").best_epoch_ == 0


def test_a_start_that_no_epoch_improves_is_kept(toy_urm, toy_held_out, tmp_path):
    options = {**SMALL, "d_init": "ease", "init": "discriminator", "user_factors": "solved"}
    options |= {"freq": 1, "allow_worse": 1, "epochs": 6, "d_lr": 1e-12, "g_lr": 1e-12}
    start = GANMF(**{**options, "epochs": 0}).fit(toy_urm)
    model = GANMF(**options).fit(toy_urm, validation=toy_held_out)
    # What stands still is never better: patience ends it.
    assert (model.best_epoch_, len(model.history_)) == (0, 2)
    assert_array_equal(model.score_users([3, 7]), start.score_users([3, 7]))
    # Killed after the first epoch, it still knows.
    kept = {"checkpoint_path": str(tmp_path / "checkpoint"), "checkpoint_every": 1}

    def killed(epoch, row):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        GANMF(**options, **kept).fit(toy_urm, validation=toy_held_out, callback=killed)
    again = GANMF(**options, **kept).fit(toy_urm, validation=toy_held_out)
    assert (again.best_epoch_, len(again.history_)) == (0, 2)
    assert_array_equal(again.score_users([3, 7]), start.score_users([3, 7]))


def test_no_epochs_are_kept_by_a_search(toy_urm):
    start = {**SMALL, "epochs": 0, "d_init": "ease", "init": "discriminator"}
    result = tune(
        GANMF(**start),
        toy_urm,
        n_calls=2,
        n_initial=1,
        space={"recon_coefficient": {"real": [0.1, 0.9]}},
        fixed={"epochs": 0},
        protocol="dense",
    )
    assert result.best_params["epochs"] == result.final.model.best_epoch_ == 0
    # Nothing is held out to stop early on.
    [fold] = Dense(toy_urm, 0.1, 1, 1337).folds()()
    again = GANMF(**{**start, **result.best_trial.params}).fit(fold.whole)
    assert result.best_value == evaluate(again, fold.whole, fold.held_out)["map", 5]


def test_a_discriminator_starts_with_the_largest_singular_values(toy_urm):
    X = toy_urm.toarray().astype(np.float64)
    d_reg, rank = 0.03, 9
    options = {"emb_dim": rank, "d_reg": d_reg, "d_init": "ease"}
    D = GANMFModule(GANMF(**{**SMALL, **options}), as_csr(toy_urm)).discriminator
    _, S, Vt = np.linalg.svd(X, full_matrices=False)
    kept = S[:rank] ** 2 / (S[:rank] ** 2 + d_reg * X.size / 2)
    ridge = (Vt[:rank].T * kept) @ Vt[:rank]
    made = (D.encoder @ D.decoder[:, :-1].T).detach().numpy()
    truncated = ridge / (1 - np.diag(ridge))
    # The randomized decomposition is nearly the best, where singular values hardly differ too.
    assert np.linalg.norm(made - truncated) < 0.03 * np.linalg.norm(truncated)
    assert_array_equal(D.encoder_bias.detach(), 0)


def test_a_discriminator_of_more_units_than_ranks_adds_nothing_and_can_learn():
    X = np.zeros((3, 9), np.float32)
    X[[0, 1, 2], [0, 4, 8]] = 1
    options = {"num_factors": 2, "emb_dim": 7, "d_init": "ease", "init": "discriminator"}
    module = GANMFModule(GANMF(**{**SMALL, **options}), as_csr(X))
    encoder, _, decoder = module.discriminator.parameters()
    assert torch.isfinite(decoder).all()
    assert (encoder[:, 3:] != 0).all()
    assert (decoder[:, 3:] == 0).all()
    # An item that nobody else shares anything with says nothing of the others.
    assert torch.isfinite(module.generator.item_factors).all()


def test_a_warm_start_of_more_factors_than_there_are_ranks_adds_nothing_and_can_learn():
    X = np.zeros((3, 9), np.float32)
    X[[0, 1, 2], [0, 4, 8]] = 1
    model = GANMF(**{**SMALL, "num_factors": 7, "init": "svd"})
    generator = GANMFModule(model, as_csr(X)).generator
    P, Q = (factors.detach().numpy() for factors in generator.parameters())
    assert_allclose(P @ Q.T, X, atol=1e-6)
    # The gradient of a factor that is zero is what the other one is multiplied with.
    assert (P[:, 3:] == 0).all()
    assert (Q[:, 3:] != 0).all()


def test_frequent_rows_are_shrunk_more_and_rows_on_average_as_before(toy_urm):
    module = GANMFModule(GANMF(**SMALL, g_reg=0.1, g_reg_exponent=1.0), as_csr(toy_urm))
    weights = module.generator.user_shrinkage.numpy()[:, 0]
    lengths = np.diff(toy_urm.indptr)
    assert_allclose(weights, lengths / lengths.mean(), rtol=1e-6)
    assert_allclose(module.generator.item_shrinkage.mean(), 1, rtol=1e-6)


def test_the_control_without_an_adversary_ignores_the_energy(toy_urm):
    settings = {**SMALL, "recon_coefficient": 1.0}
    module = GANMFModule(GANMF(**settings), as_csr(toy_urm))
    losses = module.train_g(next(iter(module.epoch(1)))[1][0])
    assert losses["g_loss"] == pytest.approx(losses["feature_loss"], rel=1e-6)


def test_norms_of_gradients_are_those_of_the_gradients(toy_urm):
    module = GANMFModule(GANMF(**SMALL, gradient_norms=True), as_csr(toy_urm))
    batch = next(iter(module.epoch(1)))[1][0]
    for name, train in (("d", module.train_d), ("g", module.train_g)):
        norm = train(batch)[f"{name}_gradient"]
        grads = [p.grad.double() for p in module.networks[name].parameters()]
        assert norm == pytest.approx(math.sqrt(sum(float((g**2).sum()) for g in grads)), rel=1e-5)
    assert "d_gradient" not in GANMF(**SMALL).fit(toy_urm).history_[0]


EMPHASISED = {"d_dropout": 0.3, "d_emphasis": 0.1, "matching": "reconstruction"}


@pytest.mark.parametrize(
    ("step", "options"),
    [
        ("auto", {}),
        ("exact", {}),
        ("dense", {}),
        ("auto", EMPHASISED),
        ("exact", EMPHASISED),
        ("dense", {**EMPHASISED, "matching": "decoder"}),
        ("exact", {**EMPHASISED, "matching": "decoder"}),
        ("auto", {**EMPHASISED, "user_factors": "solved"}),
        ("auto", {**EMPHASISED, "matching": "leave-one-out", "d_init": "ease"}),
        ("dense", {**EMPHASISED, "matching": "leave-one-out", "d_init": "ease"}),
    ],
    ids=str,
)
@pytest.mark.usefixtures("threads_restored")
def test_thread_count_does_not_change_the_weights(step, options, monkeypatch):
    source = np.random.default_rng(0)
    X = sp.csr_array((source.random((500, 3000)) < 0.02).astype(np.float32))
    settings = {**SMALL, "emb_dim": 170, "num_factors": 33, "batch_size": 150, "epochs": 2}
    fitted, used = [], []
    start_pass = GradientSteps.start_pass

    def noted(steps):
        used.append(torch.get_num_threads())
        start_pass(steps)

    monkeypatch.setattr(GradientSteps, "start_pass", noted)
    for n in (1, 2):
        threads.set_num_threads(n)
        fitted.append(GANMF(**settings, **options, d_reg=1e-4, step=step).fit(X))
    assert used == [1] * 4 + [2] * 4
    assert_array_equal(fitted[0].user_factors_, fitted[1].user_factors_)
    assert_array_equal(fitted[0].item_factors_, fitted[1].item_factors_)
    for one, two in zip(fitted[0].history_, fitted[1].history_, strict=True):
        assert without_times(one) == without_times(two)


def test_seed_decides_the_weights_and_the_global_generator_is_left_alone(toy_urm):
    state = torch.get_rng_state()
    first = GANMF(**SMALL, seed=1).fit(toy_urm)
    torch.rand(3)
    again = GANMF(**SMALL, seed=1).fit(toy_urm)
    other = GANMF(**SMALL, seed=2).fit(toy_urm)
    assert_array_equal(first.user_factors_, again.user_factors_)
    assert (first.user_factors_ != other.user_factors_).any()
    torch.set_rng_state(state)
    GANMF(**SMALL).fit(toy_urm)
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.usefixtures("threads_restored")
def test_torch_threads_are_as_before_the_fit(toy_urm):
    torch.set_num_threads(3)
    GANMF(**SMALL).fit(toy_urm)
    assert torch.get_num_threads() == 3


def test_best_epoch_history_and_validation_fit_together(toy_urm):
    dense = toy_urm.toarray()
    held_out = np.zeros_like(dense)
    for user, row in enumerate(dense):
        held_out[user, np.flatnonzero(row)[-2:]] = 1
    train = dense - held_out
    model = GANMF(**{**SMALL, "epochs": 40}, freq=2, allow_worse=3).fit(train, validation=held_out)
    checked = {row["epoch"]: row["validation"] for row in model.history_ if "validation" in row}
    assert model.best_epoch_ == max(checked, key=checked.get)
    assert checked[model.best_epoch_] == validation_value(
        model.scorer_, model.urm_, as_csr(held_out)
    )
    assert set(model.history_[0]) == {
        "epoch", "d_loss", "g_loss", "real_energy", "generated_energy", "hinge_active",
        "feature_loss", "generated_cosine", "seconds", "d_seconds", "g_seconds",
    }  # fmt: skip
    quirky = GANMF(**{**SMALL, "epochs": 40}, freq=2, allow_worse=3, published_quirks=True)
    quirky.fit(train, validation=held_out)
    assert quirky.best_epoch_ == len(model.history_) - 2 * 3 + 1
    assert_array_equal(quirky.user_factors_, model.user_factors_)


@pytest.mark.usefixtures("threads_restored")
def test_interruption_leaves_the_model_unfitted(toy_urm, monkeypatch):
    interrupt = Mock(side_effect=KeyboardInterrupt)
    monkeypatch.setattr(GANMFModule, "train_g", interrupt)
    torch.set_num_threads(3)
    model = GANMF(**SMALL)
    with pytest.raises(KeyboardInterrupt):
        model.fit(toy_urm)
    assert torch.get_num_threads() == 3
    with pytest.raises(NotFittedError):
        model.recommend([0])


def test_users_and_items_without_interactions_are_fine():
    X = np.zeros((5, 4), np.float32)
    X[0, 1] = X[3, 2] = X[3, 1] = 1
    model = GANMF(**{**SMALL, "batch_size": 2}).fit(X)
    assert np.isfinite(model.score_users(range(5))).all()


def test_saved_model_gives_the_same_scores(toy_urm, tmp_path):
    model = GANMF(**SMALL).fit(toy_urm)
    model.save(tmp_path / "m.safetensors")
    loaded = load(tmp_path / "m.safetensors")
    assert_array_equal(loaded.score_users([0, 9]), model.score_users([0, 9]))
    assert loaded.get_params() == model.get_params()


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        ("mode", "users", ValueError),
        ("step", "fast", ValueError),
        ("num_factors", 0, ValueError),
        ("emb_dim", 2.5, TypeError),
        ("epochs", True, TypeError),
        ("batch_size", -1, ValueError),
        ("m", -0.5, ValueError),
        ("d_lr", 0, ValueError),
        ("g_lr", math.nan, ValueError),
        ("d_reg", -1e-9, ValueError),
        ("recon_coefficient", 1.5, ValueError),
        ("freq", 0, ValueError),
        ("allow_worse", -1, ValueError),
        ("d_dropout", 1.0, ValueError),
        ("d_emphasis", 1.5, ValueError),
        ("matching", "feature", ValueError),
        ("user_factors", "solve", ValueError),
        ("g_ema", -0.1, ValueError),
        ("g_reg_exponent", -1, ValueError),
        ("init", "eas", ValueError),
        ("gradient_norms", 1, TypeError),
        ("checkpoint_every", 5, ValueError),
        ("checkpoint_path", 7, TypeError),
        ("seed", -1, ValueError),
        ("device", "gpu", ValueError),
        ("published_quirks", 1, TypeError),
    ],
)
def test_a_bad_parameter_is_named_with_its_value(toy_urm, name, value, error):
    with pytest.raises(error, match=name) as caught:
        GANMF(**{**SMALL, name: value}).fit(toy_urm)
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    assert shown in str(caught.value)


def test_a_wrong_mode_is_answered_with_a_suggestion(toy_urm):
    with pytest.raises(ValueError, match='did you mean "user"'):
        GANMF(mode="users").fit(toy_urm)


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a CUDA GPU")
def test_cuda_without_a_gpu_says_so(toy_urm):
    with pytest.raises(ValueError, match='device is "cuda:1" but torch finds no CUDA GPU'):
        GANMF(**{**SMALL, "device": "cuda:1"}).fit(toy_urm)


def test_too_little_memory_on_a_gpu_is_answered_with_a_batch_that_fits(toy_urm, monkeypatch):
    full = Mock(side_effect=torch.cuda.OutOfMemoryError("CUDA out of memory"))
    monkeypatch.setattr(GANMFModule, "train_g", full)
    need = Footprint(fixed=1000, per_row=100, parameter="batch_size", rows=60)
    monkeypatch.setattr(GANMFModule, "footprint", lambda self: need)
    for capacity, advice in ((2500, "batch_size=8 would fit"), (1000, "batch_size=1 would not")):
        monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _, c=capacity: (0, c))
        with pytest.raises(MemoryError, match=f"batch_size=60 does not fit .*{advice}"):
            GANMF(**{**SMALL, "batch_size": 60}).fit(toy_urm)


def test_a_batch_that_fits_is_smaller_than_the_one_that_did_not():
    # The estimate says that 60 fit; they did not.
    assert Footprint(0, 1, "batch_size", 60).fitting(10**6) == 32
    assert Footprint(0, 1, "batch_size", 1).fitting(10**6) == 0
    model = GANMF(**SMALL, step="dense")
    need = GANMFModule(model, as_csr(np.eye(5))).footprint()
    assert (need.parameter, need.rows) == ("batch_size", 5)
    assert need.per_row > 4 * 5


@pytest.mark.gpu
@pytest.mark.parametrize("triton", [True, False], ids=["captured", "without_triton"])
@pytest.mark.parametrize("step", ["auto", "exact", "dense"])
def test_cuda_trains_the_model_of_the_cpu(toy_urm, step, triton, monkeypatch):
    if not triton:
        monkeypatch.setattr(ganmf_module, "find_spec", lambda _: None)
    on_cpu = GANMF(**SMALL, step=step).fit(toy_urm)
    on_gpu = GANMF(**{**SMALL, "device": "cuda"}, step=step).fit(toy_urm)
    assert_allclose(on_gpu.score_users(range(60)), on_cpu.score_users(range(60)), atol=1e-3)
    for ours, theirs in zip(on_gpu.history_, on_cpu.history_, strict=True):
        for name in ("d_loss", "g_loss", "real_energy", "feature_loss", "hinge_active"):
            assert_allclose(ours[name], theirs[name], rtol=1e-3, err_msg=name)


@pytest.mark.gpu
@pytest.mark.parametrize(
    "options",
    [
        {"d_dropout": 0.3},
        EMPHASISED,
        {"d_dropout": 0.3, "d_emphasis": 0.0, "matching": "decoder", "mode": "item"},
        {"user_factors": "solved", "matching": "reconstruction"},
        {**EMPHASISED, "matching": "leave-one-out", "d_init": "ease"},
        {"g_ema": 0.9, "gradient_norms": True},
        {"g_reg": 1e-3, "g_reg_exponent": 0.5},
        {"d_steps": 2, "g_steps": 3, "mode": "item"},
        {"init": "svd"},
        {"tf32": True},
    ],
    ids=", ".join,
)
def test_options_are_the_same_on_a_gpu(toy_urm, options):
    on_cpu = GANMF(**SMALL, **options).fit(toy_urm)
    on_gpu = GANMF(**{**SMALL, "device": "cuda"}, **options).fit(toy_urm)
    tolerance = 2e-2 if options.get("tf32") else 1e-3
    assert_allclose(on_gpu.score_users(range(60)), on_cpu.score_users(range(60)), atol=tolerance)


@pytest.mark.gpu
def test_a_gpu_gives_the_same_bits_again_and_from_a_checkpoint(toy_urm, tmp_path):
    settings = {**SMALL, "device": "cuda", "epochs": 6}
    whole, again = (GANMF(**settings).fit(toy_urm) for _ in range(2))
    assert_array_equal(again.user_factors_, whole.user_factors_)
    assert_array_equal(again.item_factors_, whole.item_factors_)

    kept = {"checkpoint_every": 2, "checkpoint_path": str(tmp_path / "state")}
    with pytest.MonkeyPatch.context() as patch:
        epoch = GANMFModule.epoch

        def interrupted(self, number):
            if number == 5:
                raise KeyboardInterrupt
            return epoch(self, number)

        patch.setattr(GANMFModule, "epoch", interrupted)
        with pytest.raises(KeyboardInterrupt):
            GANMF(**settings, **kept).fit(toy_urm)
    resumed = GANMF(**settings, **kept).fit(toy_urm)
    assert_array_equal(resumed.user_factors_, whole.user_factors_)
    assert_array_equal(resumed.item_factors_, whole.item_factors_)


@pytest.mark.gpu
def test_nothing_in_a_pass_waits_for_the_gpu(toy_urm):
    model = GANMF(**{**SMALL, "device": "cuda"})
    steps = GANMFModule(model, as_csr(toy_urm))._steps
    sums = steps._sums
    for _ in range(3):  # kernel by kernel, captured, replayed
        [batches] = steps.batches(np.arange(toy_urm.shape[0]))
        for name, step in (("d", steps._d_step), ("g", steps._g_step)):
            sums.zero_()
            batches.at.zero_()
            steps.optimisers[name].start_pass()
            torch.cuda.set_sync_debug_mode("error")
            try:
                with torch.no_grad():
                    for rows in steps._rows:
                        steps._run(name, rows, step)
            finally:
                torch.cuda.set_sync_debug_mode("default")


@pytest.mark.gpu
def test_networks_that_a_gpu_cannot_hold_are_refused_in_a_sentence(toy_urm):
    torch.cuda.empty_cache()
    torch.cuda.set_per_process_memory_fraction(1e-6)
    try:
        with pytest.raises(MemoryError, match=r"GANMF needs .* more than the GPU has left"):
            GANMF(**{**SMALL, "device": "cuda", "num_factors": 20_000}).fit(toy_urm)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)


def test_ganmf_learns_tastes_that_popularity_does_not_know():
    source = np.random.default_rng(5)
    taste = source.integers(0, 4, 300)
    liked = source.random((300, 120)) < np.where(
        np.arange(120)[None] % 4 == taste[:, None], 0.35, 0.03
    )
    held_out = liked & (source.random(liked.shape) < 0.25)
    train, test = as_csr((liked & ~held_out).astype(float)), as_csr(held_out.astype(float))
    model = GANMF(
        num_factors=16, emb_dim=32, epochs=60, batch_size=64, d_lr=1e-3, g_lr=5e-3, device="cpu"
    ).fit(train)
    popular = TopPopular().fit(train)
    ours, theirs = (validation_value(m.scorer_, train, test) for m in (model, popular))
    assert ours > 2 * theirs
