"""Backends: sequences that a replay repeats exactly, and plain values."""

import json
import math

import numpy as np
import pytest

from ganmf_fast.tuning import backends
from ganmf_fast.tuning.backends import BACKENDS, RandomSearch, backend_class, median_pruner
from ganmf_fast.tuning.dependence import partial_dependence
from ganmf_fast.tuning.spaces import Choice, Int, Params, Real
from ganmf_fast.tuning.trial import Trial
from ganmf_fast.tuning.tune import _qualified

SPACE = {"a": Int(1, 50), "b": Real(1e-4, 1.0, log=True), "c": Choice((True, False))}
NEEDS = {"skopt": "skopt", "published": "skopt", "optuna": "optuna"}


def value(params: Params) -> float:
    return -((params["a"] - 20) ** 2) / 100 - (math.log(params["b"]) + 4) ** 2 - params["c"]


def made(name: str, seed: int = 5, n_initial: int = 4):
    if name in NEEDS:
        pytest.importorskip(NEEDS[name], reason=f"the backend {name} is an extra")
    return backend_class(name)(SPACE, n_initial, seed)


def sequence(backend, n: int, n_open: int = 1, answers=value) -> list[Params]:
    """Questions with `n_open` of them open at a time, told in the order of asking."""
    asked: list[Params] = []
    told = 0
    while len(asked) < n:
        while len(asked) < n and len(asked) - told < n_open:
            asked.append(backend.ask())
        answer = answers(asked[told])
        status = "failed" if answer is None else "done"
        backend.tell(Trial(told, asked[told], status, answer))
        told += 1
    return asked


@pytest.mark.parametrize("name", BACKENDS)
@pytest.mark.parametrize("n_open", [1, 3])
def test_a_new_backend_that_is_told_the_same_asks_the_same(name: str, n_open: int) -> None:
    first = sequence(made(name), 7, n_open)
    assert first == sequence(made(name), 7, n_open)
    assert first[:3] != sequence(made(name, seed=6), 3, n_open)
    for params in first:
        assert list(params) == list(SPACE)
        assert type(params["a"]) is int
        assert type(params["b"]) is float
        assert type(params["c"]) is bool
        assert 1 <= params["a"] <= 50
        assert 1e-4 <= params["b"] <= 1
    assert json.loads(json.dumps(first)) == first


@pytest.mark.parametrize("n_open", [1, 3])
@pytest.mark.parametrize("name", NEEDS)
def test_an_amended_question_is_what_is_learnt_from(name: str, n_open: int) -> None:
    plain, amended = made(name), made(name)
    for backend in (plain, amended):
        sequence(backend, 3)
        for _ in range(n_open - 1):
            backend.ask()
    other = {"a": 20, "b": 0.02, "c": False}
    plain.ask()
    amended.ask()
    amended.amend(other)
    for number in range(n_open):
        params = other if number == n_open - 1 else {"a": 1, "b": 1.0, "c": True}
        for backend in (plain, amended):
            backend.tell(Trial(3 + number, params, "done", value(params)))
    if name != "optuna":
        assert amended.to_point(other) in amended.optimizer.Xi
        assert amended.to_point(other) not in plain.optimizer.Xi
    else:
        found = [trial.params for trial in amended._study.trials if trial.value is not None]
        assert found[-1] == other
        assert len(found) == len(plain._study.trials)
    assert amended._open == []


def test_skopt_asks_what_gp_minimize_asks() -> None:
    """At first by default, then about log(1 + a) and percent."""
    skopt = pytest.importorskip("skopt", reason="the backend skopt is an extra")
    from skopt.space import Categorical, Integer
    from skopt.space import Real as SkoptReal
    from skopt.utils import cook_estimator, normalize_dimensions
    from threadpoolctl import threadpool_limits

    others = [SkoptReal(1e-4, 1.0, "log-uniform"), Categorical([True, False])]
    ranges = [Integer(1, 50), *others]

    def loss(x):
        return -100 * value(dict(zip(SPACE, x, strict=True)))

    with threadpool_limits(1):
        drawn = skopt.gp_minimize(loss, ranges, n_calls=4, n_initial_points=4, random_state=5)
        # The state that the random numbers are in by then.
        rng = np.random.RandomState(5)
        own = rng.randint(0, np.iinfo(np.int32).max)
        for point in drawn.x_iters:
            assert normalize_dimensions(ranges).rvs(random_state=rng) == [point]
        space = normalize_dimensions([Integer(2, 51, "log-uniform"), *others])
        process = cook_estimator("GP", space, noise="gaussian", random_state=own)
        sought = skopt.gp_minimize(
            lambda x: loss([x[0] - 1, *x[1:]]),
            space,
            base_estimator=process,
            n_calls=5,
            n_initial_points=0,
            x0=[[x[0] + 1, *x[1:]] for x in drawn.x_iters],
            y0=list(drawn.func_vals),
            random_state=rng,
        )
    expected = [[x[0] - 1, *x[1:]] for x in sought.x_iters]
    assert expected[:4] == drawn.x_iters
    assert [list(params.values()) for params in sequence(made("skopt"), 9)] == expected


@pytest.mark.parametrize("name", ["skopt", "published"])
def test_questions_at_random_do_not_depend_on_how_many_are_open(name: str) -> None:
    assert sequence(made(name), 4, 3) == sequence(made(name), 4)


def test_a_logarithmic_range_is_seen_as_it_is() -> None:
    pytest.importorskip("skopt", reason="the backend skopt is an extra")
    backend = backend_class("skopt")({"n": Int(1, 9, log=True), "m": Int(1, 9)}, 3, 1)
    assert backend.to_point({"n": 4, "m": 4}) == [4, 5]
    assert backend.optimizer.space.bounds == [(1, 9), (2, 10)]


@pytest.mark.parametrize(("low", "high"), [(0, 1), (0, 1000), (-5, 5), (7, 8)])
def test_whole_numbers_stay_in_their_range(low: int, high: int) -> None:
    pytest.importorskip("skopt", reason="the backend skopt is an extra")
    space = {"n": Int(low, high), "r": Real(0.0, 1.0)}
    backend = backend_class("skopt")(space, 3, 1)
    asked = sequence(backend, 12, answers=lambda p: p["n"] - p["r"])
    assert all(low <= p["n"] <= high and type(p["n"]) is int for p in asked)
    assert high in {p["n"] for p in asked}
    curves = partial_dependence(space, [(p, p["n"] - p["r"]) for p in asked], samples=5)
    points, means = curves["n"]
    assert (min(points), max(points)) == (low, high)
    assert means[0] < means[-1]


def test_partial_dependence_is_that_of_skopt_where_ranges_are_seen_as_they_are() -> None:
    plots = pytest.importorskip("skopt.plots", reason="the backend skopt is an extra")
    dimensions = {"r": Real(0.0, 2.0), "c": Choice(("a", "b", "c")), "n": Int(0, 100)}
    rng = np.random.default_rng(0)
    observed = [
        ({"r": float(r), "c": "abc"[c], "n": int(n)}, float(r) + c - n / 100)
        for r, c, n in zip(rng.uniform(0, 2, 9), rng.integers(3, size=9), range(9), strict=True)
    ]
    backend = backend_class("skopt")(dimensions, 1, 0)
    ours = partial_dependence(dimensions, observed, samples=20)
    optimizer = backend.optimizer
    optimizer.tell([backend.to_point(p) for p, _ in observed], [-value for _, value in observed])
    others = optimizer.space.transform(optimizer.space.rvs(n_samples=20, random_state=0))
    for at, name in enumerate(["r", "c"]):
        along, means = plots.partial_dependence_1D(
            optimizer.space, optimizer.models[-1], at, others
        )
        assert len(along) == len(ours[name][0])
        np.testing.assert_allclose(ours[name][1], np.negative(means), rtol=1e-6)
    assert list(along) == [0, 1, 2]
    assert ours["c"][0] == ["a", "b", "c"]


def test_points_given_as_x0_and_y0_are_no_resume() -> None:
    """Replaying ask and tell brings back the state; being told the points alone does not."""
    skopt = pytest.importorskip("skopt", reason="the backend skopt is an extra")
    from threadpoolctl import threadpool_limits

    whole = sequence(made("skopt"), 9)
    again = made("skopt")
    sequence(again, 6)
    replayed = [again.ask()]
    assert replayed == whole[6:7]
    points = [again.to_point(params) for params in whole[:6]]
    with threadpool_limits(1):
        restarted = skopt.gp_minimize(
            lambda x: -100 * value(dict(zip(SPACE, [x[0] - 1, *x[1:]], strict=True))),
            made("skopt").optimizer.space,
            n_calls=3,
            n_initial_points=1,
            x0=points,
            y0=[-100 * value(params) for params in whole[:6]],
            random_state=5,
        )
    assert restarted.x_iters[6:9] != [again.to_point(params) for params in whole[6:9]]


@pytest.mark.parametrize("name", BACKENDS)
def test_failed_trials_do_not_stop_a_backend(name: str) -> None:
    asked = sequence(made(name), 8, answers=lambda p: None if p["a"] % 2 else value(p))
    assert len(asked) == 8
    assert len(sequence(made(name), 6, answers=lambda _p: None)) == 6


def test_a_random_trial_depends_on_its_number_alone() -> None:
    one, other = RandomSearch(SPACE, 3, 7), RandomSearch(SPACE, 9, 7)
    assert [one.ask() for _ in range(5)] == [other.ask() for _ in range(5)]


def test_the_median_pruner_stops_what_is_below_the_median_at_a_check() -> None:
    pytest.importorskip("optuna", reason="the pruner is Optuna's")
    completed = [([(5, v), (10, 2 * v)], 2 * v) for v in (0.1, 0.2, 0.3, 0.4, 0.5)]
    stop = median_pruner(completed)
    assert not stop(5, 0.31)
    # The best of the trial counts, as Optuna has it.
    assert stop(10, 0.35)
    assert median_pruner(completed)(5, 0.29)
    assert not median_pruner(completed[:4])(5, 0.0)


@pytest.mark.parametrize(("name", "package"), [("skopt", "scikit-optimize"), ("optuna", "optuna")])
def test_a_missing_package_is_named_with_its_extra(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    with pytest.raises(ImportError, match=rf'needs {package}: pip install "ganmf-fast\[tune\]"'):
        backend_class(name)(SPACE, 2, 0)


@pytest.mark.parametrize("name", ["Skopt", "Published", "Optuna", "RandomSearch"])
def test_a_class_is_called_in_journals_what_it_always_was(name: str) -> None:
    assert _qualified(getattr(backends, name)) == f"ganmf_fast.tuning.backends.{name}"


def test_an_unknown_backend_suggests_one() -> None:
    with pytest.raises(ValueError, match="did you mean 'skopt'"):
        backend_class("scopt")
    with pytest.raises(TypeError, match="ask and tell"):
        backend_class(object())


@pytest.mark.parametrize("name", sorted(NEEDS))
@pytest.mark.filterwarnings("error")
def test_values_at_the_edge_of_floating_point_do_not_end_a_search(name: str) -> None:
    worst = -np.finfo(float).max
    asked = sequence(made(name), 7, answers=lambda params: worst if params["a"] > 25 else 0.1)
    assert len({params["a"] > 25 for params in asked}) == 2
