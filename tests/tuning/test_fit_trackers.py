"""Trackers of a single fit and of an experiment."""

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.tuning import TensorBoard, fit_tracked


class Notes:
    """A tracker that remembers."""

    def __init__(self):
        self.study, self.earlier, self.trials, self.epochs, self.ending = None, [], [], [], None

    def begin(self, study, earlier):
        self.study, self.earlier = study, list(earlier)

    def trial(self, trial):
        self.trials.append(trial)

    def epoch(self, epoch, values):
        self.epochs.append((epoch, dict(values)))

    def end(self, ending):
        self.ending = ending


def validated(model):
    return [(row["epoch"], row["validation"]) for row in model.history_ if "validation" in row]


def test_a_fit_is_a_search_of_one_trial_with_its_epochs(toy_urm):
    notes, heard = Notes(), []
    split = gf.split.holdout(toy_urm, 0.3)
    model = fit_tracked(
        gf.WRMF(num_factors=3, epochs=11),
        split.train,
        [notes],
        validation=split.test,
        callback=lambda epoch, values: heard.append(epoch),
    )
    plain = gf.WRMF(num_factors=3, epochs=11).fit(split.train, validation=split.test)
    np.testing.assert_array_equal(model.item_factors_, plain.item_factors_)
    assert [epoch for epoch, _ in notes.epochs] == heard == [row["epoch"] for row in model.history_]
    [trial] = notes.trials
    assert trial.params == model.get_params()
    assert trial.curve == validated(model)
    assert len(trial.curve) == 3
    assert trial.value > 0
    assert trial.value == max(value for _, value in trial.curve)
    assert trial.epochs == model.best_epoch_
    assert (notes.study.header["model"], notes.ending) == ("WRMF", "done")


def test_a_fit_that_fails_or_is_interrupted_is_said_to_be(toy_urm):
    def stop(epoch, values):
        raise KeyboardInterrupt

    notes = Notes()
    with pytest.raises(KeyboardInterrupt):
        fit_tracked(gf.WRMF(epochs=3), toy_urm, [notes], callback=stop)
    assert (notes.ending, notes.trials) == ("interrupted", [])
    assert notes.study.header["params"] == gf.WRMF(epochs=3).get_params()
    with pytest.raises(ValueError, match="num_factors"):
        fit_tracked(gf.WRMF(num_factors=0), toy_urm, [notes])
    assert notes.ending == "failed"
    with pytest.raises(ValueError, match="there is no tracker 'mlfow'"):
        fit_tracked(gf.WRMF(), toy_urm, ["mlfow"])
    with pytest.raises(TypeError, match="model must be a model of this library"):
        fit_tracked("WRMF", toy_urm, [])


def test_a_tracker_that_fails_does_not_end_the_fit(toy_urm):
    class Broken(Notes):
        def epoch(self, epoch, values):
            raise RuntimeError("full")

    with pytest.warns(UserWarning, match="Broken failed, the work goes on: RuntimeError: full"):
        model = fit_tracked(gf.WRMF(epochs=2), toy_urm, [Broken()])
    assert model.n_users_ == 60


def test_tensorboard_holds_the_losses_of_a_fit(toy_urm, tmp_path):
    pytest.importorskip("tensorboardX")
    accumulate = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = fit_tracked(gf.WRMF(epochs=11), toy_urm, [TensorBoard()], tmp_path, validation=toy_urm)
    events = accumulate.EventAccumulator(str(tmp_path / "tensorboard" / "search"))
    events.Reload()
    found = [(e.step, e.value) for e in events.Scalars("validation")]
    expected = validated(model)
    assert [step for step, _ in found] == [epoch for epoch, _ in expected]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in expected], rtol=1e-6)


def test_an_experiment_is_a_search_whose_trials_are_its_runs(toy_urm, tmp_path):
    notes = Notes()
    options = {"output": tmp_path / "run", "models": ["TopPopular", "P3alpha"], "cutoffs": (5,)}
    table = gf.reproduce("table2", toy_urm, trackers=[notes], **options)
    assert (notes.study.header["model"], notes.study.n_calls, notes.ending) == ("table2", 2, "done")
    assert [trial.params["run"] for trial in notes.trials] == ["TopPopular", "P3alpha"]
    for trial, entry in zip(notes.trials, table.entries, strict=True):
        assert trial.status == "done"
        assert trial.value == trial.metrics["map_at_5"] == entry.mean("map", 5)
    again = Notes()
    gf.reproduce("table2", toy_urm, trackers=[again], **options)
    assert ([t.metrics for t in again.earlier], again.trials) == (
        [t.metrics for t in notes.trials],
        [],
    )
