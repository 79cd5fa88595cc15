"""What trackers leave behind, read back by the packages they write for."""

import warnings
from dataclasses import replace

import pytest

import ganmf_fast as gf
from ganmf_fast.tuning import MLflow, TensorBoard


class Scaled:
    """A model whose value is a parameter, and which fails on request."""

    iterative = True
    best_epoch_ = 4

    def __init__(self, x=0.0, flag=False, name=""):
        self.x = x

    def fit(self, X, validation=None):
        if self.x > 0.9:
            raise ValueError("x is too large")


def value(model, masked, held_out):
    return model.x


XS = (0.5, 0.25, 0.95, 0.75)


class Listed:
    """Asks for the values of `XS`."""

    packages, prunes = (), False

    def __init__(self, *args):
        self.asked = 0

    def ask(self):
        self.asked += 1
        return {"x": XS[self.asked - 1], "flag": self.asked % 2 == 0}

    def tell(self, trial):
        """Nothing is learnt."""


@pytest.fixture
def search(toy_urm, tmp_path):
    split = gf.split.paper_protocol(toy_urm, seed=1)

    def run(n_calls, trackers, model=Scaled, splits=split, **more):
        settings = {"metric": value, "space": {"x": {"real": [0, 1]}, "flag": {"choice": [0, 1]}}}
        settings |= {"backend": Listed, "journal": tmp_path / "journal.jsonl", **more}
        with warnings.catch_warnings():
            # A tracker that fails is a warning, which would go unnoticed here.
            warnings.filterwarnings("error", message="the tracker")
            return gf.tune(model, splits, n_calls, trackers=trackers, **settings)

    return run


KNN = {"metric": "map", "backend": "random", "space": {"topk": {"int": [5, 30]}}, "journal": None}
WRMF = {**KNN, "space": {"num_factors": {"int": [2, 9]}}, "fixed": {"epochs": 6}}


# MLflow ------------------------------------------------------------------------------------------


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A folder that MLflow writes to, and its client."""
    mlflow = pytest.importorskip("mlflow", reason="MLflow is not installed")
    # Folders work, but are no longer what MLflow recommends.
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    uri = (tmp_path / "mlruns").as_uri()
    return uri, mlflow.MlflowClient(tracking_uri=uri)


def runs_of(client, experiment):
    found = client.get_experiment_by_name(experiment)
    runs = client.search_runs([found.experiment_id])
    parents = [run for run in runs if "mlflow.parentRunId" not in run.data.tags]
    trials = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    return parents, sorted(trials, key=lambda run: int(run.data.tags["ganmf_fast.trial"]))


def test_mlflow_holds_a_run_for_the_search_and_one_beneath_it_for_each_trial(search, store):
    uri, client = store
    search(4, [MLflow(uri, "mine")])
    [parent], trials = runs_of(client, "mine")
    assert parent.info.status == "FINISHED"
    assert parent.data.params["backend"].endswith("Listed")
    history = client.get_metric_history(parent.info.run_id, "value")
    assert [(m.step, m.value) for m in history] == [(0, 0.5), (1, 0.25), (3, 0.75)]
    assert [run.info.run_name for run in trials] == [f"trial {n}" for n in range(4)]
    assert {run.data.tags["mlflow.parentRunId"] for run in trials} == {parent.info.run_id}
    assert [run.data.params["x"] for run in trials] == [str(x) for x in XS]
    assert trials[1].data.params["flag"] == "True"
    assert [run.data.metrics.get("value") for run in trials] == [0.5, 0.25, None, 0.75]
    assert [run.info.status for run in trials] == ["FINISHED", "FINISHED", "FAILED", "FINISHED"]
    assert trials[2].data.tags["reason"] == "x is too large"
    assert trials[0].data.metrics["epochs"] == 4


def test_mlflow_holds_metrics_and_the_curve_of_early_stopping(search, store):
    uri, client = store
    result = search(2, [MLflow(uri)], "WRMF", **WRMF)
    _, trials = runs_of(client, "ganmf-fast")
    for run, trial in zip(trials, result.history, strict=True):
        assert run.data.metrics["map_at_5"] == run.data.metrics["value"] == trial.value
        assert run.data.metrics["ndcg_at_5"] == trial.metrics["ndcg"]
        curve = client.get_metric_history(run.info.run_id, "early_stop")
        assert [(m.step, m.value) for m in curve] == trial.curve
        assert trial.curve


def test_a_search_goes_on_in_its_run_of_mlflow_with_every_trial_once(search, store):
    uri, client = store
    search(2, [MLflow(uri, "mine")])
    # Killed between the journal and the tracker, and while a trial was written.
    _, trials = runs_of(client, "mine")
    client.delete_run(trials[0].info.run_id)
    client.update_run(trials[1].info.run_id, status="RUNNING")
    search(4, [MLflow(uri, "mine")])
    [parent], trials = runs_of(client, "mine")
    assert [run.data.params["x"] for run in trials] == [str(x) for x in XS]
    assert {run.info.status for run in [*trials, parent]} == {"FINISHED", "FAILED"}
    search(4, [MLflow(uri, "mine")], journal=None)
    assert len(runs_of(client, "mine")[0]) == 2


@pytest.mark.parametrize("name", ['"a"', "'a'", "\"a' b\" = 'c", "a` = b", "\x1b[31m\na", "%"])
def test_a_journal_of_any_name_finds_its_run_of_mlflow(search, store, tmp_path, name):
    uri, client = store
    for n_calls in (2, 3):
        search(n_calls, [MLflow(uri)], journal=tmp_path / f"{name}.jsonl")
    [_], trials = runs_of(client, "ganmf-fast")
    assert len(trials) == 3


def test_trackers_are_given_text_without_codes(search, store, toy_urm, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    uri, client = store
    codes = "\x1b[31m\u202e\n"
    data = replace(gf.split.paper_protocol(toy_urm, seed=1), name=codes)
    space = {"x": {"real": [0, 1]}, "name": {"choice": [codes, "b"]}}

    class Coded(Listed):
        def ask(self):
            return {**super().ask(), "name": codes, "flag": False}

    search(3, [MLflow(uri), "tensorboard"], splits=data, backend=Coded, space=space, fixed={})
    parents, trials = runs_of(client, "ganmf-fast")
    for run in (*parents, *trials):
        texts = [run.info.run_name, *run.data.params.values(), run.data.tags.get("reason", "")]
        assert all(text.isprintable() for text in texts)
    assert trials[0].data.params["name"] == "\\x1b[31m\\u202e\\n"
    events = [path.read_bytes() for path in (tmp_path / "tensorboard" / "trial-0000").iterdir()]
    assert any(b"\\x1b[31m" in event for event in events)
    assert not any(b"\x1b[31m" in event for event in events)


def test_an_interrupted_search_is_marked_as_such(search, store):
    uri, client = store

    class Interrupts:
        def begin(self, study, earlier): ...

        def end(self, ending): ...

        def trial(self, trial):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        search(2, [MLflow(uri, "mine"), Interrupts()])
    [parent], [_] = runs_of(client, "mine")
    assert parent.info.status == "KILLED"


# TensorBoard -------------------------------------------------------------------------------------


def events(folder):
    accumulators = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator",
        reason="tensorboard, which reads the files, is not installed",
    )
    found = accumulators.EventAccumulator(str(folder))
    found.Reload()
    return found


def scalars(folder, tag):
    return [(event.step, event.value) for event in events(folder).Scalars(tag)]


def test_tensorboard_holds_events_of_the_search_and_of_each_trial(search, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    search(4, ["tensorboard"])
    folder = tmp_path / "tensorboard"
    assert sorted(p.name for p in folder.iterdir()) == [
        "search", "trial-0000", "trial-0001", "trial-0002", "trial-0003",
    ]  # fmt: skip
    assert scalars(folder / "search", "value") == [(0, 0.5), (1, 0.25), (3, 0.75)]
    assert scalars(folder / "search", "best") == [(0, 0.5), (1, 0.5), (2, 0.5), (3, 0.75)]
    trial = events(folder / "trial-0001")
    assert scalars(folder / "trial-0001", "value") == [(0, 0.25)]
    assert "value" not in events(folder / "trial-0002").Tags()["scalars"]
    from tensorboard.plugins.hparams import plugin_data_pb2

    content = trial.summary_metadata["_hparams_/session_start_info"].plugin_data.content
    session = plugin_data_pb2.HParamsPluginData.FromString(content).session_start_info
    assert session.hparams["x"].number_value == 0.25
    assert session.hparams["flag"].bool_value is True


def test_tensorboard_holds_metrics_and_the_curve_of_early_stopping(search, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    result = search(1, [TensorBoard(tmp_path / "tb")], "WRMF", **WRMF)
    [trial] = result.history
    folder = tmp_path / "tb" / "trial-0000"
    curve = scalars(folder, "early_stop")
    assert [epoch for epoch, _ in curve] == [epoch for epoch, _ in trial.curve]
    assert [v for _, v in curve] == pytest.approx([v for _, v in trial.curve], rel=1e-6)
    [(_, ndcg)] = scalars(folder, "ndcg")
    assert ndcg == pytest.approx(trial.metrics["ndcg"], rel=1e-6)


def test_a_search_goes_on_in_its_folder_of_tensorboard(search, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    search(1, [])  # a trial that was never told
    search(2, ["tensorboard"])
    search(4, ["tensorboard"])
    folder = tmp_path / "tensorboard"
    values = []
    for place in (folder / "search", *sorted(folder.glob("trial-*"))):
        values += scalars(place, "value") if "value" in events(place).Tags()["scalars"] else []
    assert values == [(0, 0.5), (1, 0.25), (3, 0.75), (0, 0.5), (0, 0.25), (0, 0.75)]
    assert scalars(folder / "search", "best")[-1] == (3, 0.75)


# choosing one ------------------------------------------------------------------------------------


def test_trackers_are_off_by_default_and_bad_ones_are_named(search, monkeypatch, tmp_path):
    search(1, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl"]
    with pytest.raises(ValueError, match="there is no tracker 'mlflo'; did you mean 'mlflow'"):
        search(1, ["mlflo"])
    with pytest.raises(TypeError, match="methods begin, trial and end"):
        search(1, [7])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name, extra in (("mlflow", "mlflow"), ("tensorboard", "tensorboard")):
        with pytest.raises(ImportError, match=rf"ganmf-fast\[{extra}\]"):
            search(1, [name])


def test_the_command_line_tells_a_tracker(ganmf, tmp_path):
    pytest.importorskip("tensorboardX", reason="tensorboardX is not installed")
    ran = ganmf(
        "tune", "ItemKNN", "--data=demo", "--output", tmp_path, "--calls=1", "--no-final",
        "--backend=random", f"--space={space_file(tmp_path)}", "--tracker=tensorboard",
        f"--index={tmp_path / 'runs.db'}",
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr
    assert (tmp_path / "tensorboard" / "trial-0000").is_dir()


def space_file(folder):
    path = folder / "space.toml"
    path.write_text("[ItemKNN]\ntopk = { int = [5, 9] }\n")
    return path
