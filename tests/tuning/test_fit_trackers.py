"""Trackers of a single fit and of an experiment."""

import numpy as np
import pytest
import run_packages

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


def test_tensorboard_holds_the_losses_of_a_fit(toy_urm, toy_held_out, tmp_path):
    pytest.importorskip("tensorboardX")
    accumulate = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    model = fit_tracked(
        gf.WRMF(epochs=11), toy_urm, [TensorBoard()], tmp_path, validation=toy_held_out
    )
    events = accumulate.EventAccumulator(str(tmp_path / "tensorboard" / "search"))
    events.Reload()
    found = [(e.step, e.value) for e in events.Scalars("validation")]
    expected = validated(model)
    assert [step for step, _ in found] == [epoch for epoch, _ in expected]
    np.testing.assert_allclose([v for _, v in found], [v for _, v in expected], rtol=1e-6)


@pytest.fixture(params=run_packages.PACKAGES)
def package(request, monkeypatch):
    """A stand-in for the package."""
    return run_packages.installed(request.param, monkeypatch)


def test_a_fit_is_one_run_with_its_losses_and_its_best_value(
    toy_urm, toy_held_out, tmp_path, package
):
    model = fit_tracked(
        gf.WRMF(num_factors=3, epochs=11),
        toy_urm,
        [package.name],
        tmp_path,
        validation=toy_held_out,
    )
    [run] = package.runs
    assert not run.open
    assert run.config.items() >= {"model": "WRMF", "num_factors": 3, "epochs": 11}.items()
    assert run.points("validation") == validated(model)
    assert [epoch for epoch, _ in run.points("seconds")] == [r["epoch"] for r in model.history_]
    best = max(value for _, value in validated(model))
    assert run.points("value") == [(model.best_epoch_, best)]
    assert run.points("early_stop") == []
    assert list(tmp_path.iterdir()) == []
    fit_tracked(gf.TopPopular(), toy_urm, [package.name])
    assert package.runs[1].config["model"] == "TopPopular"
    assert not package.runs[1].open


def test_a_run_of_a_fit_says_how_it_ended(toy_urm, monkeypatch):
    def stop(epoch, values):
        raise KeyboardInterrupt

    package = run_packages.installed("wandb", monkeypatch)
    fit_tracked(gf.TopPopular(), toy_urm, ["wandb"])
    with pytest.raises(KeyboardInterrupt):
        fit_tracked(gf.WRMF(epochs=3), toy_urm, ["wandb"], callback=stop)
    with pytest.raises(ValueError, match="num_factors"):
        fit_tracked(gf.WRMF(num_factors=0), toy_urm, ["wandb"])
    assert [run.code for run in package.runs] == [0, 255, 1]


def test_a_fit_goes_on_without_the_server_of_its_run(toy_urm, toy_held_out, package):
    package.broken = OSError("no such host")
    with pytest.warns(UserWarning, match="failed, the work goes on: OSError: no such host") as seen:
        model = fit_tracked(gf.WRMF(epochs=6), toy_urm, [package.name], validation=toy_held_out)
    assert model.n_users_ == 60
    assert (len(seen), package.asked) == (1, 1)


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


def test_an_experiment_is_a_group_of_runs_which_each_are_written_once(toy_urm, tmp_path, package):
    options = {"output": tmp_path / "run", "models": ["TopPopular", "P3alpha"], "cutoffs": (5,)}
    for _ in range(2):
        gf.reproduce("table2", toy_urm, trackers=[package.name], **options)
    assert [run.config["run"] for run in package.runs] == ["TopPopular", "P3alpha"]
    assert len({run.given["group"] for run in package.runs}) == 1
    assert package.runs[1].points("map_at_5") == package.runs[1].points("value") != []
