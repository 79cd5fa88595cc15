"""The search: exact to the protocol, resumed to the bit, and no finished trial is ever lost."""

import contextlib
import functools
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import Future
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.base.errors import ConflictError, DataError
from ganmf_fast.tuning.journal import Journal, read_journal
from ganmf_fast.tuning.trackers.index import RunIndex

SPACE = {"topk": {"int": [2, 30]}, "shrink": {"real": [0.0, 50.0]}}
RANDOM = {"backend": "random", "n_calls": 6}


@pytest.fixture(scope="module")
def splits() -> gf.Splits:
    rng = np.random.default_rng(11)
    likes = rng.random((90, 3)) @ rng.random((3, 50))
    urm = (rng.random((90, 50)) < 0.35 * likes / likes.mean()).astype(np.float32)
    return replace(gf.split.paper_protocol(urm), name="toy")


@pytest.fixture
def knn(splits: gf.Splits, tmp_path: Path):
    """A search over ItemKNN with a journal; options replace those given here."""

    def run(**options):
        given = {"space": SPACE, "journal": tmp_path / "knn.jsonl", **RANDOM, **options}
        return gf.tune(given.pop("model", "ItemKNN"), given.pop("splits", splits), **given)

    return run


class Counting(gf.ItemKNN):
    """Counts fits, and can be told to fail or to be interrupted in one."""

    fits = 0
    interrupt_at = -1

    def fit(self, X, validation=None):
        type(self).fits += 1
        if type(self).fits == type(self).interrupt_at:
            raise KeyboardInterrupt
        return super().fit(X, validation=validation)


@pytest.fixture
def counting(monkeypatch: pytest.MonkeyPatch) -> type[Counting]:
    monkeypatch.setattr(Counting, "fits", 0)
    monkeypatch.setattr(Counting, "interrupt_at", -1)
    return Counting


def answers(result) -> list[dict]:
    """Trials without what depends on the clock."""
    return [same(trial.to_dict()) for trial in result.history]


def same(trial: dict) -> dict:
    return {k: v for k, v in trial.items() if k not in ("seconds", "fit_seconds", "finished")}


# what a trial is --------------------------------------------------------------------------------


def test_the_best_parameters_give_the_best_value_by_the_papers_protocol(knn, splits) -> None:
    result = knn()
    model = gf.ItemKNN(**result.best_params).fit(splits.train_small)
    expected = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,))
    assert result.best_value == expected["map", 5]
    assert result.best_value == result.trials["value"].max()
    assert result.best_trial.metrics["ndcg"] == expected["ndcg", 5]
    final = gf.evaluate(
        gf.ItemKNN(**result.best_params).fit(splits.train), splits.train, splits.test
    )
    assert result.final.test.to_dict() == final.to_dict()
    assert result.trials.columns[:3] == ["number", "status", "value"]
    assert len(result.trials) == 6


def test_an_iterative_model_stops_early_and_is_fitted_again_with_its_best_epoch(splits) -> None:
    space = {"epochs": {"choice": [40]}, "alpha": {"real": [0.5, 20.0]}}
    result = gf.tune(gf.WRMF(num_factors=5, freq=1), splits, space=space, **RANDOM | {"n_calls": 2})
    best = result.best_trial
    model = gf.WRMF(num_factors=5, freq=1, epochs=40, alpha=best.params["alpha"])
    model.fit(splits.train_small, validation=splits.early_stop)
    assert best.epochs == model.best_epoch_ == result.best_params["epochs"] < 40
    checks = [(row["epoch"], row["validation"]) for row in model.history_ if "validation" in row]
    assert best.curve == checks
    assert result.final.model.epochs == best.epochs


def test_epochs_can_be_sought_again_on_more_data(knn, splits) -> None:
    space = {"epochs": {"choice": [40]}, "alpha": {"real": [0.5, 20.0]}}
    result = gf.tune(gf.WRMF(num_factors=5, freq=1), splits, space=space, **RANDOM | {"n_calls": 2})
    alpha = result.best_trial.params["alpha"]
    model = gf.WRMF(num_factors=5, freq=1, epochs=40, alpha=alpha)
    model.fit(splits.train_small + splits.validation, validation=splits.early_stop)
    assert model.best_epoch_ != result.best_trial.epochs
    again = gf.WRMF(num_factors=5, freq=1, epochs=model.best_epoch_, alpha=alpha).fit(splits.train)
    assert result.refitted.model.epochs == model.best_epoch_
    expected = gf.evaluate(again, splits.train, splits.test).to_dict()
    assert result.refitted.test.to_dict() == expected
    without_epochs = knn()
    assert without_epochs.refitted is without_epochs.final


def test_all_known_items_can_be_masked(knn, splits) -> None:
    result = knn(mask="known", journal=None)
    model = gf.ItemKNN(**result.best_params).fit(splits.train_small)
    known = splits.train_small + splits.early_stop
    expected = gf.evaluate(model, known, splits.validation, cutoffs=(5,))
    assert result.best_value == expected["map", 5] > knn(journal=None).best_value


def test_equal_scores_can_be_ordered_as_published(knn, splits) -> None:
    # Scores that are sums of counts are often equal.
    fixed = {"published_quirks": True, "normalize": False, "shrink": 0.0}
    found = knn(ties="published", fixed=fixed, space={"topk": {"int": [2, 9]}}, journal=None)
    assert found.study.header["ties"] == "published"
    model = gf.ItemKNN(**found.best_params).fit(splits.train_small)
    for ties, same_value in (("published", True), ("index", False)):
        ev = gf.evaluate(model, splits.train_small, splits.validation, cutoffs=(5,), ties=ties)
        assert (ev["map", 5] == found.best_value) is same_value
    final = gf.ItemKNN(**found.best_params).fit(splits.train)
    test = gf.evaluate(final, splits.train, splits.test, ties="published")
    assert found.final.test["map", 5] == test["map", 5]


def test_a_model_is_given_by_name_class_or_instance(knn) -> None:
    by_name = knn(journal=None, fixed={"similarity": "jaccard"})
    by_class = knn(journal=None, model=gf.ItemKNN, fixed={"similarity": "jaccard"})
    by_instance = knn(journal=None, model=gf.ItemKNN(similarity="jaccard"))
    assert answers(by_name) == answers(by_class) == answers(by_instance)
    assert answers(by_name) != answers(knn(journal=None))


def test_the_seed_of_an_instance_stays_and_that_of_a_name_is_the_searchs(splits) -> None:
    options = {"space": {"num_factors": {"int": [2, 9]}}, **RANDOM, "n_calls": 1, "seed": 3}
    assert gf.tune("PureSVD", splits, **options).best_params["seed"] == 3
    assert gf.tune(gf.PureSVD(seed=8), splits, **options).best_params["seed"] == 8


class Popular:
    """A model of a user's own: no base class, plain attributes."""

    def __init__(self, power: float = 1.0, window: int = 3) -> None:
        self.power = power
        self.window = window

    def fit(self, X):
        self.seen = X
        self.scores = np.asarray(X.sum(axis=0)).ravel() ** self.power
        return self

    def recommend(self, users, n):
        scores = np.where(self.seen[users].toarray() > 0, -np.inf, self.scores)
        return np.argsort(-scores, kind="stable", axis=1)[:, :n]


def test_models_metrics_and_spaces_of_a_users_own_need_no_base_class(splits) -> None:
    space = {"power": {"real": [-1.0, 1.0]}, "window": 3}
    result = gf.tune(Popular, splits, space=space, **RANDOM)
    top = gf.evaluate(
        gf.TopPopular().fit(splits.train_small), splits.train_small, splits.validation, (5,)
    )
    assert math.isclose(result.best_value, top["map", 5])
    assert result.best_params["power"] > 0
    assert result.final.test["ndcg", 5] > 0

    def unpopular(model, masked, held_out) -> float:
        assert masked.shape == held_out.shape == splits.train.shape
        return -model.power

    result = gf.tune(Popular, splits, metric=unpopular, space=space, **RANDOM)
    assert result.best_value == -min(trial.params["power"] for trial in result.history)


def test_a_failing_trial_is_recorded_with_its_reason_and_the_search_goes_on(splits, tmp_path):
    def failing(kind: int):
        if kind == 1:
            raise MemoryError("the model needs 9 GiB")
        if kind == 2:
            raise RuntimeError("no luck")
        return Popular(float("nan") if kind == 3 else 1.0)

    space = {"kind": {"int": [1, 4]}}
    options = {"space": space, "backend": "random", "n_calls": 12}
    journal = tmp_path / "j.jsonl"
    result = gf.tune(failing, splits, journal=journal, **options)
    reasons = {t.params["kind"]: (t.status, t.reason) for t in result.history}
    assert reasons[1] == ("failed", "the model needs 9 GiB")
    assert reasons[2] == ("failed", "RuntimeError: no luck")
    assert reasons[4] == ("done", "")
    assert result.best_params["kind"] in (3, 4)
    assert result.n_failed == sum(t.params["kind"] in (1, 2) for t in result.history)
    assert answers(gf.tune(failing, splits, journal=journal, **options)) == answers(result)

    power = {"power": {"real": [0, 1]}}
    nan = gf.tune(Popular, splits, metric=lambda *_: float("nan"), space=power, **RANDOM)
    assert {(t.status, t.reason) for t in nan.history} == {("failed", "the value is nan")}
    with pytest.raises(RuntimeError, match="none of 6 trials is done: the value is nan"):
        _ = nan.best_params


def test_optuna_stops_trials_that_do_worse_than_the_median(splits) -> None:
    pytest.importorskip("optuna", reason="the pruner is Optuna's")
    space = {
        "alpha": {"real": [1e-3, 20.0], "log": True},
        "reg": {"real": [1e-3, 1e3], "log": True},
    }
    model = gf.WRMF(num_factors=5, freq=1, epochs=8)
    options = {"space": space, "backend": "optuna", "n_initial": 8, "n_calls": 20}
    result = gf.tune(model, splits, **options)
    pruned = [trial for trial in result.history if trial.status == "pruned"]
    assert pruned
    for trial in pruned:
        assert trial.value is None
        assert trial.curve[-1][0] < 8
        assert trial.reason == f"stopped in epoch {trial.curve[-1][0]}"
    assert all(trial.status == "done" for trial in result.history[:5])
    assert answers(gf.tune(model, splits, **options)) == answers(result)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n_calls": 0}, "n_calls must be at least 1"),
        ({"seed": -1}, "seed"),
        ({"metric": "mapp"}, "did you mean 'map'"),
        ({"backend": "scopt"}, "did you mean 'skopt'"),
        ({"executor": "locl"}, "did you mean 'local'"),
        ({"mask": "all"}, "mask"),
        ({"space": {"topkk": {"int": [1, 3]}}}, "did you mean 'topk'"),
        ({"space": {"topk": 3}}, "leaves nothing to search for ItemKNN"),
        ({"fixed": {"shrnk": 3}}, "did you mean 'shrink'"),
        ({"model": "ItemKN"}, "did you mean 'ItemKNN'"),
        ({"model": 3}, "model must be"),
        ({"model": "TopPopular", "space": None}, "space must be given for TopPopular"),
        ({"splits": np.eye(3)}, "splits must be Splits"),
        ({"first": {"topk": 3}}, "first must be a list of dicts"),
        ({"first": [3]}, r"first\[0\] must be a dict, not 3"),
        ({"first": [{"topk": 3}] * 7}, "first has 7 points, more than the 6 of n_calls"),
        ({"first": [{"topk": 3}, {"topk": 31}]}, r"first\[1\] has topk 31; .*'int': \[2, 30\]"),
        ({"first": [{"shrnk": 3}]}, r"first\[0\] has shrnk, which is not searched"),
        ({"first": [{"shrink": math.nan}]}, r"first\[0\] has shrink nan"),
    ],
)
def test_a_wrong_argument_is_one_sentence_and_leaves_no_file(knn, tmp_path, options, said) -> None:
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        knn(**options)
    assert "\n" not in str(caught.value)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    ("backend", "n_workers"),
    [("random", 1), ("skopt", 1), ("skopt", 2), ("published", 1), ("optuna", 1)],
)
def test_a_search_begins_with_the_points_that_are_given(
    knn, counting, tmp_path, backend, n_workers
) -> None:
    """And learns from them; what they leave out is as it would have been asked."""
    if backend != "random":
        pytest.importorskip({"optuna": "optuna"}.get(backend, "skopt"), reason="an extra")
    options = {"backend": backend, "n_initial": 3, "n_workers": n_workers, "model": counting}
    plain = knn(journal=None, **options)
    first = [{"topk": np.int64(7), "shrink": 3.0}, {"shrink": 50.0}]
    result = knn(first=first, **options)
    assert result.history[0].params == {"topk": 7, "shrink": 3.0}
    assert result.history[1].params["shrink"] == 50.0
    assert result.history[1].params["topk"] == plain.history[1].params["topk"]
    assert result.history[2].params == plain.history[2].params
    learnt = [t.params for t in result.history[3:]] != [t.params for t in plain.history[3:]]
    assert learnt == (backend != "random")
    # It goes on as it began, and is another search than one without them.
    path = tmp_path / "knn.jsonl"
    assert read_journal(path)[0]["first"] == [{"topk": 7, "shrink": 3.0}, {"shrink": 50.0}]
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:4]))
    assert answers(knn(first=first, **options)) == answers(result)
    with pytest.raises(ConflictError, match="first"):
        knn(**options)


# the journal ------------------------------------------------------------------------------------


def test_a_second_call_runs_nothing_and_finds_the_same(knn, counting) -> None:
    first = knn(model=counting)
    again = knn(model=counting)
    assert counting.fits == 6
    assert answers(again) == answers(first)
    assert again.best_params == first.best_params


@pytest.mark.parametrize("backend", ["skopt", "optuna", "random"])
def test_an_interrupted_search_goes_on_as_if_it_had_not_been(
    knn, counting, tmp_path, backend
) -> None:
    if backend != "random":
        pytest.importorskip({"skopt": "skopt"}.get(backend, backend), reason="an extra")
    options = {"model": counting, "backend": backend, "n_initial": 2, "n_calls": 6}
    whole = knn(journal=None, **options)
    counting.fits, counting.interrupt_at = 0, 4
    with pytest.raises(KeyboardInterrupt):
        knn(**options)
    header, trials = read_journal(tmp_path / "knn.jsonl")
    assert header["backend"] == backend
    assert [trial.number for trial in trials] == [0, 1, 2]
    counting.interrupt_at = -1
    assert answers(knn(**options)) == answers(whole)
    assert counting.fits == 4 + 3


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
def test_a_repeated_point_is_not_fitted_again(
    knn, tmp_path, monkeypatch: pytest.MonkeyPatch, n_workers: int
) -> None:
    from ganmf_fast.tuning.objective import Objective

    options = {"space": {"topk": {"choice": [3, 9]}}, "n_calls": 6, "n_workers": n_workers}
    found = knn(**options)
    asked = [trial.params["topk"] for trial in found.history]
    assert 1 < len(set(asked)) < len(asked)
    assert [trial.number for trial in read_journal(tmp_path / "knn.jsonl")[1]] == list(range(6))
    if n_workers == 1:
        again = [trial.seconds == 0 for trial in found.history]
        assert again == [topk in asked[:i] for i, topk in enumerate(asked)]
    monkeypatch.setattr(Objective, "repeats", False)
    fitted = knn(**options, journal=None)
    assert all(trial.seconds > 0 for trial in fitted.history)
    assert answers(fitted) == answers(found)


def test_a_finished_search_can_go_on_to_more_trials(knn, counting) -> None:
    few = knn(model=counting)
    more = knn(model=counting, n_calls=9)
    assert answers(more)[:6] == answers(few)
    assert counting.fits == 9
    assert answers(knn(n_calls=4, model=counting)) == answers(few)[:4]


def test_a_journal_of_format_1_goes_on_as_if_it_had_not_stopped(knn, tmp_path) -> None:
    """Written by version 0.1.0 before tuning was divided into today's modules."""
    old = tmp_path / "old.jsonl"
    shutil.copy(Path(__file__).parent / "journal_format_1.jsonl", old)
    header, trials = read_journal(old)
    options = {"space": None, "fixed": {"similarity": "asymmetric"}}
    # Its versions are of another machine; all else in its header has to be what it is today.
    more = knn(**options, journal=old, moved=True)
    assert answers(more)[:4] == [same(trial.to_dict()) for trial in trials]
    assert answers(more) == answers(knn(**options, journal=None))
    assert header == json.loads(old.read_text().splitlines()[0])


def test_each_line_says_what_it_is_of(knn, splits, tmp_path) -> None:
    knn()
    lines = [json.loads(line) for line in (tmp_path / "knn.jsonl").read_text().splitlines()]
    assert len(lines) == 7
    assert lines[0]["space"] == SPACE
    for line in lines[1:]:
        assert line["data"] == splits.data_hash
        assert line["versions"]["ganmf-fast"] == gf.__version__
        assert {"params", "value", "metrics", "epochs", "seconds", "seed"} <= set(line)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["knn.jsonl"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 2}, "seed 1337, not 2"),
        ({"space": SPACE | {"topk": {"int": [2, 29]}}}, r"int \[2, 30\], not \[2, 29\]"),
        ({"backend": "skopt"}, "backend 'random', not 'skopt'"),
        ({"k": 3}, "metric 'map@5', not 'map@3'"),
        ({"n_workers": 2}, "n_workers 1, not 2"),
        ({"model": "UserKNN"}, "model 'ItemKNN', not 'UserKNN'"),
        ({"ties": "published"}, "ties"),
    ],
)
def test_the_journal_of_another_search_is_refused_with_the_difference(
    knn, tmp_path, change, said
) -> None:
    if "backend" in change:
        pytest.importorskip("skopt", reason="the backend skopt is an extra")
    knn(n_calls=1)
    before = (tmp_path / "knn.jsonl").read_bytes()
    with pytest.raises(ConflictError, match=said):
        knn(**change)
    assert (tmp_path / "knn.jsonl").read_bytes() == before


def test_a_journal_of_other_data_or_another_version_is_refused(knn, splits, tmp_path) -> None:
    knn(n_calls=1)
    other = gf.split.paper_protocol(splits.urm, seed=4)
    with pytest.raises(ConflictError, match=f"data '{splits.data_hash}', not '{other.data_hash}'"):
        knn(splits=replace(other, name="toy"))
    path = tmp_path / "knn.jsonl"
    path.write_text(path.read_text().replace(f'"ganmf-fast": "{gf.__version__}"',
                                             '"ganmf-fast": "0.0.9"'))  # fmt: skip
    with pytest.raises(ConflictError, match=f"ganmf-fast '0.0.9', not '{gf.__version__}'"):
        knn()


def test_a_recorded_point_that_would_not_be_suggested_is_refused(knn, tmp_path) -> None:
    result = knn()
    path = tmp_path / "knn.jsonl"
    topk = result.history[2].params["topk"]
    lines = path.read_text().splitlines()
    lines[3] = lines[3].replace(f'"topk": {topk}', f'"topk": {topk + 1}')
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(ConflictError, match=f"trial 2 has topk {topk + 1}, not {topk}"):
        knn()


def elsewhere(path: Path, trial: int, topk: int, **others) -> None:
    """Make a journal one of other versions that suggested another point."""
    lines = path.read_text().splitlines()
    lines = [line.replace(f'"ganmf-fast": "{gf.__version__}"', '"ganmf-fast": "0.0.9"')
             for line in lines]  # fmt: skip
    # Several workers write in the order of finishing.
    (at,) = (n for n, line in enumerate(lines) if f'{{"number": {trial},' in line)
    content = json.loads(lines[at])
    content["params"] |= {"topk": topk, **others}
    lines[at] = json.dumps(content)
    path.write_text("\n".join(lines) + "\n")


@pytest.mark.slow
@pytest.mark.parametrize("n_workers", [1, 2])
@pytest.mark.parametrize("backend", ["random", "skopt", "optuna"])
def test_a_journal_of_another_machine_goes_on_with_what_it_asked(
    knn, tmp_path, backend, n_workers
) -> None:
    if backend != "random":
        pytest.importorskip(backend, reason=f"the backend {backend} is an extra")
    options = {"backend": backend, "n_initial": 3, "n_workers": n_workers}
    whole = knn(**options)
    path = tmp_path / "knn.jsonl"
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:5]))
    there = 5 if whole.history[2].params["topk"] != 5 else 6
    elsewhere(path, 2, there)
    before = path.read_bytes()
    with pytest.raises(ConflictError, match=r"ganmf-fast '0\.0\.9'.* or moved=True"):
        knn(**options)
    result = knn(**options, moved=True)
    assert path.read_bytes().startswith(before)
    assert [trial.number for trial in result.history] == list(range(6))
    assert result.history[2].params["topk"] == there
    assert answers(result)[:2] == answers(whole)[:2]
    after = [json.loads(line) for line in path.read_text().splitlines()[5:]]
    assert [line["versions"]["ganmf-fast"] for line in after] == [gf.__version__] * 2
    if backend == "random":
        assert answers(result)[3:] == answers(whole)[3:]
    assert answers(knn(**options, moved=True)) == answers(result)


def test_a_point_outside_the_space_is_refused(knn, tmp_path) -> None:
    knn()
    path = tmp_path / "knn.jsonl"
    for topk in (31, 0, 2.5, "9", None):
        elsewhere(path, 2, topk)
        with pytest.raises(DataError, match="trial 2 has topk"):
            knn(moved=True)
    # A parameter that is not searched would be one of the best model.
    elsewhere(path, 2, 9, feature_weighting="BM25")
    with pytest.raises(DataError, match="trial 2 has feature_weighting, which is not searched"):
        knn(moved=True)
    with pytest.raises(TypeError, match="moved"):
        knn(moved="yes")


def test_a_backend_that_cannot_amend_says_so(knn, tmp_path) -> None:
    class Blunt:
        packages, prunes = (), False

        def __init__(self, dimensions, n_initial, seed):
            self._asked = 0

        def ask(self):
            self._asked += 1
            return {"topk": 2 + self._asked, "shrink": 0.0}

        def tell(self, trial):
            pass

    knn(backend=Blunt)
    elsewhere(tmp_path / "knn.jsonl", 2, 9)
    with pytest.raises(ConflictError, match=r"Blunt has no method amend.* trial 2"):
        knn(backend=Blunt, moved=True)
    with pytest.raises(TypeError, match="first needs a backend with a method amend, and Blunt"):
        knn(backend=Blunt, first=[{"topk": 3}], journal=None)


@pytest.mark.parametrize("cut", [1, 60, -1])
def test_a_half_written_last_line_is_dropped_with_a_warning(knn, counting, tmp_path, cut) -> None:
    whole = knn(model=counting)
    path = tmp_path / "knn.jsonl"
    content = path.read_bytes()
    last = content[: content.rindex(b"\n", 0, -1) + 1]
    path.write_bytes(content[: len(last) + cut] if cut > 0 else content[:cut])
    with pytest.warns(UserWarning, match="last line is incomplete and is dropped"):
        again = knn(model=counting)
    assert answers(again) == answers(whole)
    assert counting.fits == 7
    assert len(path.read_bytes().splitlines()) == 7


def test_a_header_cut_short_is_written_again(knn, tmp_path) -> None:
    path = tmp_path / "knn.jsonl"
    path.write_bytes(b'{"format": 1, "mod')
    with pytest.warns(UserWarning, match="incomplete"):
        assert len(knn().history) == 6


def test_a_folder_is_no_journal(knn, tmp_path) -> None:
    with pytest.raises(ValueError, match="journal must be a file"):
        knn(journal=tmp_path)


def test_what_is_no_journal_is_refused_and_left_alone(knn, tmp_path) -> None:
    path = tmp_path / "knn.jsonl"
    for content in (b"hello", b"hello\n", b'{"a": 1}\n', b"[1]\n[2]\n"):
        path.write_bytes(content)
        with pytest.raises(DataError, match="no journal of a search"):
            knn()
        assert path.read_bytes() == content
    path.write_bytes(b'{"format": 99}\n')
    with pytest.raises(DataError, match="format 99"):
        knn()
    path.unlink()
    knn()
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], b"{}\n", *lines[4:]]))
    with pytest.raises(DataError, match=r"line 4 of .* is damaged"):
        knn()


def test_one_search_at_a_time_writes_to_a_journal(knn, tmp_path) -> None:
    path = tmp_path / "knn.jsonl"
    knn(n_calls=2)
    header, _ = read_journal(path)
    with (
        Journal(path, header),
        pytest.raises(RuntimeError, match="another process is writing to the journal"),
    ):
        knn()
    assert len(knn().history) == 6


@contextlib.contextmanager
def tmpfs(folder: Path, options: str):
    """A small file system of its own, where one may be mounted."""
    folder.mkdir()
    mount = shutil.which("mount")
    done = mount and subprocess.run(
        [mount, "-t", "tmpfs", "-o", options, "tmpfs", str(folder)],
        capture_output=True,
        check=False,
    )
    if not done or done.returncode != 0:
        pytest.skip("a tmpfs cannot be mounted here")
    try:
        yield
    finally:
        subprocess.run(["umount", str(folder)], check=True)


def test_a_full_disk_is_one_sentence_and_costs_no_finished_trial(knn, tmp_path) -> None:
    folder = tmp_path / "small"
    with tmpfs(folder, "size=256k"):
        path = folder / "knn.jsonl"
        knn(journal=path, n_calls=2)

        # All that is left of the disk, but for the spare file.
        class Filling(gf.ItemKNN):
            fits = 0

            def fit(self, X, validation=None):
                Filling.fits += 1
                if Filling.fits == 3:
                    with contextlib.suppress(OSError), (folder / "other").open("wb") as file:
                        while True:
                            file.write(bytes(4096))
                return super().fit(X, validation=validation)

        Filling.__name__, Filling.__module__ = "ItemKNN", gf.ItemKNN.__module__
        with pytest.raises(
            OSError, match="No space left on device; every finished trial"
        ) as caught:
            knn(journal=path, model=Filling, n_calls=40)
        assert "\n" not in str(caught.value)
        _, kept = read_journal(path)
        # As many as were fitted, and the two from before.
        assert len(kept) == Filling.fits + 2 >= 5
        # Full from the start.
        (folder / "more").touch()
        with pytest.raises(OSError, match="No space left"):
            knn(journal=path, n_calls=40)
        (folder / "other").unlink()
        assert answers(knn(journal=path, n_calls=40)) == answers(knn(journal=None, n_calls=40))


def test_a_folder_that_cannot_be_written_is_one_sentence(knn, tmp_path) -> None:
    folder = tmp_path / "sealed"
    if os.geteuid():
        folder.mkdir(mode=0o500)
        with pytest.raises(PermissionError):
            knn(journal=folder / "knn.jsonl")
        return
    with tmpfs(folder, "size=64k,ro"), pytest.raises(OSError, match="Read-only file system"):
        knn(journal=folder / "knn.jsonl")


_KILLED = """
import sys
import ganmf_fast as gf
gf.tune("ItemKNN", gf.Splits.load(sys.argv[1]), n_calls=8, n_initial=5, journal=sys.argv[2],
        space={"topk": {"int": [2, 30]}, "shrink": {"real": [0.0, 50.0]}})
"""


@pytest.mark.processes
def test_a_search_killed_at_any_moment_goes_on_as_if_it_had_not_been(splits, tmp_path) -> None:
    pytest.importorskip("skopt", reason="the backend skopt is an extra")
    splits.save(tmp_path / "toy")
    path = tmp_path / "killed.jsonl"
    command = [sys.executable, "-c", _KILLED, str(tmp_path / "toy"), str(path)]
    for lines in (3, 7):
        process = subprocess.Popen(command)
        while process.poll() is None and (
            not path.exists() or path.read_bytes().count(b"\n") < lines
        ):
            time.sleep(0.002)
        process.send_signal(signal.SIGKILL)
        process.wait()
    options = {"space": SPACE, "n_calls": 8, "n_initial": 5}
    resumed = gf.tune("ItemKNN", splits, journal=path, **options)
    assert answers(resumed) == answers(gf.tune("ItemKNN", splits, **options))
    _, trials = read_journal(path)
    assert [trial.number for trial in trials] == list(range(8))


# executors --------------------------------------------------------------------------------------


class Uneven(contextlib.AbstractContextManager):
    """An executor of a user's own: even trials take longer than the odd ones after them."""

    def __init__(self, objective, n_workers: int) -> None:
        self.objective = objective
        self.order: list[int] = []
        self.broken_at = -1

    def submit(self, spec):
        if spec.number == self.broken_at:
            raise KeyboardInterrupt
        future: Future = Future()
        delay = 0.15 if spec.number % 2 == 0 else 0.0
        threading.Timer(delay, self.answer, (spec, future)).start()
        return future

    def answer(self, spec, future) -> None:
        trial = self.objective(spec)
        self.order.append(spec.number)
        future.set_result(trial)

    def __exit__(self, *_error) -> None:
        pass


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["skopt", "random"])
def test_the_order_of_finishing_changes_no_point_and_gaps_are_filled(
    knn, tmp_path, backend
) -> None:
    if backend == "skopt":
        pytest.importorskip("skopt", reason="the backend skopt is an extra")
    options = {"backend": backend, "n_workers": 2, "n_calls": 7, "n_initial": 3}
    made: list[Uneven] = []

    def uneven(objective, n_workers):
        made.append(Uneven(objective, n_workers))
        made[-1].broken_at = 5 if len(made) == 1 else -1
        return made[-1]

    class InOrder(Uneven):
        def submit(self, spec):
            future: Future = Future()
            self.answer(spec, future)
            return future

    expected = answers(knn(journal=None, executor=InOrder, **options))
    with pytest.raises(KeyboardInterrupt):
        knn(executor=uneven, **options)
    _, kept = read_journal(tmp_path / "knn.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "knn.jsonl").read_text().splitlines()[1:]]
    assert [line["number"] for line in lines] != sorted(line["number"] for line in lines)
    assert answers(knn(executor=uneven, **options)) == expected
    assert len(made[1].order) == 7 - len(kept)
    assert answers(knn(journal=None, executor=uneven, **options)) == expected


class Mortal(Popular):
    """Takes its process with it."""

    def fit(self, X):
        if self.window == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().fit(X)


@pytest.mark.processes
def test_two_processes_ask_alike_each_time_and_a_dead_one_costs_its_own_trial(
    splits, tmp_path
) -> None:
    pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
    space = {"power": {"real": [-1.0, 1.0]}, "window": {"int": [1, 5]}}
    options = {"space": space, "backend": "random", "n_calls": 8, "seed": 4}
    journal = tmp_path / "two.jsonl"
    two = gf.tune(Mortal, splits, n_workers=2, journal=journal, **options)
    died = [t for t in two.history if t.params["window"] == 1]
    assert 1 <= len(died) <= 3
    assert all(t.status == "failed" and "its worker died" in t.reason for t in died)
    alone = gf.tune(Popular, splits, **options)
    for one, other in zip(two.history, alone.history, strict=True):
        assert one.params == other.params
        assert one.value == other.value or one in died
    assert answers(gf.tune(Mortal, splits, n_workers=2, journal=journal, **options)) == answers(two)


# who is told ------------------------------------------------------------------------------------


class Recording:
    def __init__(self) -> None:
        self.told: list = []

    def begin(self, study, earlier) -> None:
        self.told.append((study.n_calls, len(earlier)))

    def trial(self, trial) -> None:
        self.told.append(trial.number)

    def end(self, ending) -> None:
        self.told.append(ending)


class Broken(Recording):
    def trial(self, trial) -> None:
        raise RuntimeError("the server is down")


def test_trackers_are_told_of_each_finished_trial_once(knn, counting) -> None:
    tracker = Recording()
    counting.interrupt_at = 3
    with pytest.raises(KeyboardInterrupt):
        knn(model=counting, trackers=[tracker])
    knn(model=counting, trackers=[tracker])
    assert tracker.told == [(6, 0), 0, 1, "interrupted", (6, 2), 2, 3, 4, 5, "done"]


def test_a_tracker_that_fails_costs_no_trial(knn) -> None:
    with pytest.warns(UserWarning, match="Broken failed, the work goes on: RuntimeError: the"):
        assert len(knn(trackers=[Broken()]).history) == 6


def test_the_index_knows_each_search_and_how_far_it_is(knn, counting, tmp_path) -> None:
    index = RunIndex(tmp_path / "deep" / "runs.sqlite")
    assert index.runs() == []
    counting.interrupt_at = 3
    with pytest.raises(KeyboardInterrupt):
        knn(model=counting, trackers=[index])
    [run] = index.runs()
    assert (run["status"], run["finished"], run["n_calls"]) == ("interrupted", 2, 6)
    result = knn(model=counting, trackers=[index])
    knn(journal=None, trackers=[index])
    [run] = index.runs()
    assert (run["status"], run["finished"], run["failed"]) == ("done", 6, 0)
    assert run["best_value"] == result.best_value
    assert run["best_params"] == result.best_trial.params
    (tmp_path / "knn.jsonl").unlink()
    assert index.runs()[0]["status"] == "gone"
    (tmp_path / "deep" / "runs.sqlite").write_text("no database, but a long enough text" * 9)
    with pytest.raises(DataError, match="index of runs"):
        index.runs()


def test_a_search_that_was_killed_does_not_count_as_running(knn, tmp_path) -> None:
    class Killed(RunIndex):
        def end(self, ending) -> None:
            pass

    knn(trackers=[Killed(tmp_path / "runs.sqlite")])
    assert RunIndex(tmp_path / "runs.sqlite").runs()[0]["status"] == "interrupted"
    header, _ = read_journal(tmp_path / "knn.jsonl")
    with Journal(tmp_path / "knn.jsonl", header):
        assert RunIndex(tmp_path / "runs.sqlite").runs()[0]["status"] == "running"


def test_trials_stop_early_on_the_metric_that_is_searched(splits):
    space = {"num_factors": {"int": [2, 6]}}
    model = gf.WRMF(epochs=3, freq=1)
    found = gf.tune(model, splits, space=space, metric="recall", k=9, **RANDOM)
    best = found.best_trial
    again = gf.WRMF(**{**model.get_params(), **best.params}).fit(
        splits.train_small, validation=splits.early_stop, metric="recall", k=9
    )
    assert [list(point) for point in best.curve] == [
        [row["epoch"], row["validation"]] for row in again.history_
    ]
    assert found.study.header["early_stopping"] == "recall@9"
    usual = gf.tune(model, splits, space=space, **RANDOM)
    assert "early_stopping" not in usual.study.header
    assert found.refitted.model.get_params()["epochs"] >= 1


@pytest.mark.parametrize("rule", ["holdout", "leave_k_out"])
def test_a_split_of_two_sides_is_divided_for_the_search(splits, knn, rule):
    split = getattr(gf.split, rule)(splits.urm)
    found = knn(splits=split)
    five = gf.Splits.from_split(split)
    assert found.best_value == knn(splits=five).best_value
    assert found.study.header["data"] == five.data_hash
    with pytest.raises(TypeError, match="splits must be"):
        knn(splits=splits.urm)


class Sign:
    """The popular items, or those that are not; `a` changes nothing."""

    def __init__(self, a=1.0, sign=1):
        self.a, self.sign = a, sign

    def fit(self, X):
        self.counts = np.asarray(X.sum(0)).ravel()
        return self

    def recommend(self, users, n=5):
        return np.tile(np.argsort(-self.sign * self.counts, kind="stable")[:n], (len(users), 1))


def made_by(sign):
    def make(a=1.0):
        return Sign(a, sign)

    return make


A = {"a": {"real": [0.0, 1.0]}}


@pytest.mark.parametrize(
    "make",
    [
        lambda sign: functools.partial(Sign, sign=sign),
        made_by,
        lambda sign: lambda a=1.0: Sign(a, sign),
        lambda sign: (lambda a=1.0: Sign(a, 1)) if sign == 1 else (lambda a=1.0: Sign(a, -1)),
    ],
    ids=["partial", "closure", "lambda", "constant of a lambda"],
)
def test_a_journal_of_another_function_without_a_name_is_refused(knn, make):
    found = knn(model=make(1), space=A)
    assert knn(model=make(1), space=A).trials.equals(found.trials)
    with pytest.raises(ConflictError, match=r"is of a search with .* 1, not -1"):
        knn(model=make(-1), space=A)


def test_a_journal_of_another_metric_without_a_name_is_refused(knn):
    def metric(value):
        return lambda model, X, held_out: value

    assert knn(metric=metric(1.0)).best_value == 1.0
    with pytest.raises(ConflictError, match=r"with value .1\.0., not .2\.0."):
        knn(metric=metric(2.0))


def test_a_journal_of_before_knows_no_bound_values(knn, tmp_path):
    found = knn(model=made_by(1), space=A)
    path = tmp_path / "knn.jsonl"
    first, *rest = path.read_text(encoding="utf-8").splitlines()
    header = json.loads(first)
    assert header.pop("bound") == {"model": {"sign": 1}}
    path.write_text("\n".join([json.dumps(header), *rest]) + "\n", encoding="utf-8")
    assert knn(model=made_by(1), space=A).trials.equals(found.trials)


def test_what_a_journal_cannot_hold_is_named(knn, tmp_path):
    mixed = gf.Blend([gf.ItemKNN(topk=5), gf.EASE()])
    ways = {"normalisation": {"choice": ["minmax", "zscore"]}}
    with pytest.raises(ValueError, match="journal cannot hold models of Blend"):
        knn(model=mixed, space=ways)
    with pytest.raises(ValueError, match="journal cannot hold the range of l2"):
        knn(model="EASE", space={"l2": {"choice": [1.0, math.inf]}})
    assert not list(tmp_path.iterdir())
    assert knn(model=mixed, space=ways, journal=None, n_calls=2).best_value > 0


def test_spaces_take_numbers_of_numpy(knn):
    space = {"topk": {"int": [np.int64(2), np.int32(9)]}, "shrink": {"choice": np.array([0, 5])}}
    found = knn(space=space, fixed={"similarity": "cosine", "normalize": np.True_})
    assert found.best_params["normalize"] is True
    assert type(found.best_params["topk"]) is int


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"space": {"topk": {"choice": [1, 1.0, 3]}}}, "topk holds a choice twice"),
        ({"space": {"topk": {"int": [1, 2**70]}}}, "an end of topk must fit 64 bits"),
        ({"fixed": 3}, "fixed must be a dict of parameters, not 3"),
    ],
)
def test_ranges_that_no_backend_takes_are_refused(knn, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        knn(**options)
