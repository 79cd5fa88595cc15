"""The protocol "dense": small parts of train, at the density of use; the paper's is as it was."""

import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

import ganmf_fast as gf
from ganmf_fast.base.errors import ConflictError
from ganmf_fast.base.urm import as_csr
from ganmf_fast.evaluation.evaluate import evaluate_any_model
from ganmf_fast.tuning.journal import read_journal
from ganmf_fast.tuning.protocols import Fold, _dense

KNN = {"space": {"topk": {"int": [2, 30]}}, "backend": "random", "n_calls": 4}
WRMF = {"space": {"alpha": {"real": [0.5, 20.0]}}, "backend": "random", "n_calls": 2}


@pytest.fixture(scope="module")
def splits() -> gf.Splits:
    rng = np.random.default_rng(11)
    likes = rng.random((90, 3)) @ rng.random((3, 50))
    urm = (rng.random((90, 50)) < 0.35 * likes / likes.mean()).astype(np.float32)
    return replace(gf.split.paper_protocol(urm), name="toy")


def folds_of(X: object, most: int = 10, n: int = 1, seed: int = 1337) -> list[Fold]:
    return _dense(as_csr(X), most, n, seed)


def answers(result) -> list[dict]:
    """Trials without what depends on the clock."""
    clock = ("seconds", "fit_seconds", "finished")
    return [{k: v for k, v in t.to_dict().items() if k not in clock} for t in result.history]


@pytest.mark.parametrize("most", [2, 3, 7, 10, 127])
def test_a_fold_is_a_partition_of_train_and_takes_the_same_fraction_of_every_profile(most) -> None:
    rng = np.random.default_rng(0)
    X = sp.csr_array((rng.random((4000, 60)) < 0.2).astype(np.float32))
    lengths = np.diff(X.indptr)
    for fold in folds_of(X, most, 2):
        together = fold.fitted + fold.early_stop + fold.held_out
        assert (together != X).nnz == 0
        assert (fold.fitted + fold.early_stop != fold.whole).nnz == 0
        for part, wanted in ((fold.held_out, 1 / most), (fold.early_stop, 0.5 / most)):
            taken = np.diff(part.indptr)
            assert (np.abs(taken - wanted * lengths) <= 2).all()
            # Short and long profiles alike, on average.
            for few in (lengths <= 10, lengths > 10):
                expected = wanted * lengths[few].sum()
                assert abs(taken[few].sum() - expected) < 5 * math.sqrt(expected)
        assert fold.more_data == X.nnz / fold.fitted.nnz


def test_a_profile_of_four_keeps_two_and_the_folds_measure_everything_once() -> None:
    X = sp.csr_array(np.ones((500, 4), np.float32))
    folds = folds_of(X, 10, 10)
    assert all((np.diff(fold.fitted.indptr) >= 2).all() for fold in folds)
    measured = sum(fold.held_out.toarray() for fold in folds)
    assert (measured == 1).all()


def test_the_value_is_the_mean_over_folds_of_fits_on_all_that_is_not_held_out(splits) -> None:
    result = gf.tune("ItemKNN", splits, protocol="dense", folds=3, **KNN)
    values = []
    for fold in folds_of(splits.train, n=3):
        model = gf.ItemKNN(**result.best_params).fit(fold.whole)
        values.append(gf.evaluate(model, fold.whole, fold.held_out, cutoffs=(5,))["map", 5])
    assert result.best_value == pytest.approx(np.mean(values), abs=1e-15)
    assert len(set(values)) == 3
    final = gf.evaluate(
        gf.ItemKNN(**result.best_params).fit(splits.train), splits.train, splits.test
    )
    assert result.final.test.to_dict() == final.to_dict()
    assert result.refitted is result.final


def test_an_iterative_model_stops_on_a_part_of_its_own_and_trains_longer_in_the_end(splits) -> None:
    model = gf.WRMF(num_factors=5, freq=1, epochs=40)
    result = gf.tune(model, splits, protocol="dense", folds=2, **WRMF)
    best = result.best_trial
    epochs, values = [], []
    for fold in folds_of(splits.train, n=2):
        again = gf.WRMF(num_factors=5, freq=1, epochs=40, alpha=best.params["alpha"])
        again.fit(fold.fitted, validation=fold.early_stop)
        epochs.append(round(again.best_epoch_ * (splits.train.nnz / fold.fitted.nnz) ** 0.25))
        values.append(gf.evaluate(again, fold.fitted, fold.held_out, cutoffs=(5,))["map", 5])
        if len(epochs) == 1:
            checks = [(row["epoch"], row["validation"]) for row in again.history_]
    assert best.epochs == result.best_params["epochs"] == max(1, round(np.mean(epochs)))
    assert best.value == pytest.approx(np.mean(values), abs=1e-15)
    assert best.curve == checks
    assert result.final.model.epochs == best.epochs


def test_the_final_fit_has_the_epochs_of_the_pre_training_that_was_tried(splits) -> None:
    model = gf.IRGAN(num_factors=3, epochs=2, freq=1, d_epochs=1, g_epochs=1, pretrain_epochs=30)
    space = {"d_reg": {"real": [0.01, 0.1]}}
    few = {"n_calls": 1, "n_initial": 1, "backend": "random", "space": space}
    result = gf.tune(model, splits, **few)
    best = result.best_trial
    again = gf.IRGAN(**{**model.get_params(), **best.params})
    again.fit(splits.train_small, validation=splits.early_stop)
    assert result.best_params["pretrain_epochs"] == best.pretrain_epochs
    assert best.pretrain_epochs == again.best_pretrain_epoch_ < 30
    assert result.final.model.pretrain_epochs == len(result.final.model.pretraining_)
    assert len(result.final.model.pretraining_) == best.pretrain_epochs
    sought = again.fit(splits.train_small + splits.validation, validation=splits.early_stop)
    assert result.refitted.model.pretrain_epochs == sought.best_pretrain_epoch_


def test_known_items_of_early_stopping_can_be_left_out_of_lists(splits) -> None:
    model = gf.WRMF(num_factors=5, freq=1, epochs=10)
    [fold] = folds_of(splits.train)
    for mask, seen in (("fitted", fold.fitted), ("known", fold.whole)):
        found = gf.tune(model, splits, protocol="dense", mask=mask, **WRMF)
        again = gf.WRMF(num_factors=5, freq=1, epochs=10, alpha=found.best_trial.params["alpha"])
        again.fit(fold.fitted, validation=fold.early_stop)
        value = evaluate_any_model(again, as_csr(seen), as_csr(fold.held_out), (5,), "index")
        assert found.best_value == value["map", 5]


def test_test_is_not_read(splits) -> None:
    """Other tests, the same search."""
    other = replace(splits, test=sp.csr_array(splits.test.shape, dtype=np.float32))
    known = gf.tune("ItemKNN", splits, protocol="dense", **KNN)
    unknown = gf.tune("ItemKNN", other, protocol="dense", **KNN)
    bare = gf.tune("ItemKNN", splits.train, protocol="dense", **KNN)
    assert answers(known) == answers(unknown) == answers(bare)
    assert known.study.header["data"] == bare.study.header["data"]
    assert answers(known) != answers(gf.tune("ItemKNN", splits, **KNN))


def test_data_without_a_test_are_fitted_whole_with_their_ids() -> None:
    rng = np.random.default_rng(5)
    cells = np.argwhere(rng.random((60, 30)) < 0.4)
    data = gf.Interactions.from_frame(
        {"user": [f"u{u}" for u, _ in cells], "item": [f"i{i}" for _, i in cells]},
        user="user",
        item="item",
    )
    result = gf.tune("ItemKNN", data, protocol="dense", **KNN)
    assert result.final.test is None
    model = result.final.model
    assert model.urm_.nnz == len(cells)
    assert set(model.recommend(["u3"], n=2)["item"]) < set(data.item_ids)
    as_matrix = gf.tune("ItemKNN", data.urm, protocol="dense", **KNN)
    assert answers(as_matrix) == answers(result)


@pytest.mark.parametrize("rule", ["holdout", "temporal"])
def test_the_train_of_a_split_is_divided(splits, rule) -> None:
    if rule == "holdout":
        split = gf.split.holdout(splits.urm, 0.2)
    else:
        times = np.arange(splits.urm.nnz)
        split = gf.split.temporal(gf.Interactions.from_matrix(splits.urm, timestamps=times), 0.2)
    found = gf.tune("ItemKNN", split, protocol="dense", **KNN)
    assert answers(found) == answers(gf.tune("ItemKNN", split.train, protocol="dense", **KNN))
    expected = gf.evaluate(found.final.model, split.train, split.test)
    assert found.final.test.to_dict() == expected.to_dict()


def test_the_parts_depend_on_the_seed_of_the_search(splits) -> None:
    model = gf.ItemKNN(topk=7)
    space = {"shrink": {"choice": [3, 4]}}
    given = {**KNN, "space": space, "n_calls": 1, "first": [{"shrink": 3}], "protocol": "dense"}
    values = {gf.tune(model, splits, seed=seed, **given).best_value for seed in (1, 1, 2, 3)}
    assert len(values) == 3


class CountsFromZero:
    """A class of somebody else's, whose first epoch is its best."""

    iterative, best_epoch_ = True, 0

    def __init__(self, x=0.0, epochs=10):
        self.x, self.epochs = x, epochs

    def fit(self, X, validation=None):
        return self


def test_a_class_that_counts_epochs_from_zero_is_trained_in_the_end(splits) -> None:
    result = gf.tune(
        CountsFromZero,
        splits,
        n_calls=1,
        n_initial=1,
        metric=lambda model, masked, held_out: model.x,
        space={"x": {"real": [0.1, 0.5]}},
    )
    assert result.best_params["epochs"] == 1


class StopsAfter:
    """A tracker that ends a search as a killed process would, after some trials."""

    def __init__(self, trials: int) -> None:
        self.left = trials

    def begin(self, study, earlier) -> None:
        pass

    def trial(self, trial) -> None:
        self.left -= 1
        if not self.left:
            raise KeyboardInterrupt

    def end(self, ending) -> None:
        pass


@pytest.mark.parametrize("backend", ["random", "skopt"])
def test_an_interrupted_search_goes_on_to_the_same_bits(splits, tmp_path, backend) -> None:
    if backend != "random":
        pytest.importorskip(backend, reason=f"the backend {backend} is an extra")
    options = {**KNN, "backend": backend, "n_initial": 3, "n_calls": 6}
    options |= {"protocol": "dense", "folds": 2, "holdout": 0.2}
    journal = tmp_path / "knn.jsonl"
    with pytest.raises(KeyboardInterrupt):
        gf.tune("ItemKNN", splits, journal=journal, trackers=[StopsAfter(4)], **options)
    header, trials = read_journal(journal)
    assert len(trials) == 4
    assert (header["protocol"], header["holdout"], header["folds"]) == ("dense", 0.2, 2)
    resumed = gf.tune("ItemKNN", splits, journal=journal, **options)
    assert answers(resumed) == answers(gf.tune("ItemKNN", splits, **options))


@pytest.mark.processes
def test_processes_make_the_same_folds(splits) -> None:
    pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
    options = {**KNN, "protocol": "dense", "folds": 2}
    two = gf.tune("ItemKNN", splits, n_workers=2, **options)
    assert answers(two) == answers(gf.tune("ItemKNN", splits, **options))


def test_the_journal_of_another_protocol_is_refused_in_one_sentence(splits, tmp_path) -> None:
    paper, dense = tmp_path / "paper.jsonl", tmp_path / "dense.jsonl"
    gf.tune("ItemKNN", splits, journal=paper, **KNN)
    gf.tune("ItemKNN", splits, journal=dense, protocol="dense", **KNN)
    assert "protocol" not in json.loads(paper.read_text().splitlines()[0])
    for path, options, said in (
        (paper, {"protocol": "dense"}, "protocol 'paper', not 'dense'"),
        (dense, {}, "protocol 'dense', not 'paper'"),
        (dense, {"protocol": "dense", "folds": 2}, "folds 1, not 2"),
        (dense, {"protocol": "dense", "holdout": 0.2}, r"holdout 0\.1, not 0\.2"),
    ):
        before = path.read_bytes()
        with pytest.raises(ConflictError, match=said) as caught:
            gf.tune("ItemKNN", splits, journal=path, **KNN, **options)
        assert "\n" not in str(caught.value)
        assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"protocol": "dens"}, "protocol"),
        ({"holdout": 0.1}, r'holdout is 0\.1, but the protocol "paper" has a validation set'),
        ({"folds": 3}, 'folds is 3, but the protocol "paper"'),
        ({"protocol": "dense", "holdout": 0.6}, "holdout must be"),
        ({"protocol": "dense", "holdout": 0.0}, "holdout must be"),
        ({"protocol": "dense", "folds": 0}, "folds must be at least 1"),
        ({"protocol": "dense", "folds": 11}, r"folds is 11, but a holdout of 0\.1 makes 10"),
        ({"protocol": "dense", "splits": np.eye(3)}, "train has 3 interactions, too few"),
        ({"protocol": "dense", "splits": "lastfm"}, "splits must be a scipy sparse matrix"),
        ({"splits": np.eye(3)}, 'splits must be Splits, .* which protocol="dense" takes'),
    ],
)
def test_a_wrong_argument_is_one_sentence(splits, options, said) -> None:
    with pytest.raises((TypeError, ValueError), match=said) as caught:
        gf.tune("ItemKNN", **{"splits": splits, **KNN, **options})
    assert "\n" not in str(caught.value)


def test_the_command_tunes_densely(ganmf, splits, tmp_path: Path) -> None:
    splits.save(tmp_path / "toy")
    (tmp_path / "space.toml").write_text("[ItemKNN]\ntopk = { int = [2, 30] }\n")
    command = (
        "tune", "ItemKNN", "--data", tmp_path / "toy", "--output", tmp_path / "run", "--space",
        tmp_path / "space.toml", "--backend", "random", "--calls", 4, "--protocol", "dense",
        "--folds", 2, "--index", tmp_path / "runs.sqlite", "--json",
    )  # fmt: skip
    done = ganmf(*command)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    expected = gf.tune("ItemKNN", splits, protocol="dense", folds=2, **KNN)
    assert found["best_value"] == expected.best_value
    assert found["test"]["5"]["map"] == expected.final.test["map", 5]
    assert found["search"]["protocol"] == "dense"


def test_the_command_takes_a_log_as_train(ganmf, tmp_path: Path) -> None:
    rng = np.random.default_rng(5)
    lines = [f"u{u},i{i}" for u, i in np.argwhere(rng.random((60, 30)) < 0.4)]
    (tmp_path / "log.csv").write_text("\n".join(["user,item", *lines]) + "\n")
    (tmp_path / "space.toml").write_text("[ItemKNN]\ntopk = { int = [2, 30] }\n")
    command = (
        "tune", "ItemKNN", "--data", tmp_path / "log.csv", "--output", tmp_path / "run", "--space",
        tmp_path / "space.toml", "--backend", "random", "--calls", 3, "--protocol", "dense",
        "--index", tmp_path / "runs.sqlite",
    )  # fmt: skip
    done = ganmf(*command)
    assert done.returncode == 0, done.stderr
    assert "topk" in done.stdout
    assert json.loads((tmp_path / "run" / "result.json").read_text())["test"] is None
