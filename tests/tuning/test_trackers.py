"""What trackers leave behind, read back by the packages they write for."""

import importlib
import inspect
import json
import os
import struct
import warnings
from dataclasses import replace

import pytest
import run_packages

import ganmf_fast as gf
from ganmf_fast.tuning import MLflow, TensorBoard, Trackio, WandB


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


# Weights & Biases, trackio ------------------------------------------------------------------------

CLASSES = {"wandb": WandB, "trackio": Trackio}


@pytest.fixture(params=CLASSES)
def package(request, monkeypatch):
    """A stand-in for the package."""
    return run_packages.installed(request.param, monkeypatch)


def column(runs, name):
    """The points of each run."""
    return [run.points(name) for run in runs]


def test_a_group_of_runs_holds_a_search_with_a_run_for_each_trial(search, package, capsys):
    search(4, [package.name])
    runs = package.runs
    [group] = {run.given["group"] for run in runs}
    token = group.rpartition(" ")[2]
    assert [run.given["name"] for run in runs] == [f"trial {n} of {token}" for n in range(4)]
    assert "Scaled on " in group
    assert {run.given["project"] for run in runs} == {"ganmf-fast"}
    assert [run.config["x"] for run in runs] == list(XS)
    assert [run.config["flag"] for run in runs] == [False, True, False, True]
    assert runs[0].config["backend"].endswith("Listed")
    assert [run.config["trial"] for run in runs] == [0, 1, 2, 3]
    assert [run.config["status"] for run in runs] == ["done", "done", "failed", "done"]
    assert [run.config.get("reason") for run in runs] == [None, None, "x is too large", None]
    assert column(runs, "value") == [[(0, 0.5)], [(1, 0.25)], [], [(3, 0.75)]]
    assert column(runs, "best") == [[(0, 0.5)], [(1, 0.5)], [(2, 0.5)], [(3, 0.75)]]
    assert runs[0].points("epochs") == [(0, 4)]
    assert not any(run.open for run in runs)
    assert capsys.readouterr().out == ""
    if package.name == "trackio":
        assert package.current is None
    else:
        assert [run.code for run in runs] == [0, 0, 1, 0]
        assert [run.given["id"] for run in runs] == [f"{token}-{n}" for n in range(4)]


def test_a_run_of_a_trial_holds_metrics_and_the_curve_of_early_stopping(search, package):
    result = search(2, [CLASSES[package.name]("mine")], "WRMF", **WRMF)
    for number, (run, trial) in enumerate(zip(package.runs, result.history, strict=True)):
        assert run.points("map_at_5") == run.points("value") == [(number, trial.value)]
        assert run.points("ndcg_at_5") == [(number, trial.metrics["ndcg"])]
        assert run.points("early_stop") == trial.curve
        assert trial.curve
        assert run.given["project"] == "mine"


def test_a_search_goes_on_in_its_group_with_every_trial_once(search, package, tmp_path):
    journal, note = tmp_path / "journal.jsonl", tmp_path / f"journal.jsonl.{package.name}"
    search(1, [])  # a trial that was never told
    search(2, [package.name])
    search(4, [package.name])
    assert [run.config["x"] for run in package.runs] == list(XS)
    assert column(package.runs, "best")[-1] == [(3, 0.75)]
    [group] = {run.given["group"] for run in package.runs}
    search(4, [package.name])
    assert len(package.runs) == 4
    # Killed before what was written could be noted.
    noted = json.loads(note.read_text())
    del noted["ganmf-fast"]["trials"]["2"]
    note.write_text(json.dumps(noted))
    search(4, [package.name])
    assert [run.config["trial"] for run in package.runs[4:]] == [2]
    if package.name == "wandb":
        assert package.runs[4].given["id"] == package.runs[2].given["id"]
    # Another project has nothing of it yet.
    search(4, [package.name, CLASSES[package.name]("mine")])
    assert [run.given["project"] for run in package.runs[5:]] == ["mine"] * 4
    search(4, [package.name, CLASSES[package.name]("mine")])
    assert len(package.runs) == 9
    # Another search in the same place, which the note is not of.
    journal.unlink()
    search(2, [])
    times = iter(("a", "b"))
    lines = [json.loads(line) for line in journal.read_text().splitlines()]
    lines[1:] = [{**line, "finished": next(times)} for line in lines[1:]]
    journal.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    search(3, [package.name])
    assert [run.config["trial"] for run in package.runs[9:]] == [0, 1, 2]
    [other] = {run.given["group"] for run in package.runs[9:]}
    assert other != group
    search(4, [package.name], journal=None)
    assert len({run.given["group"] for run in package.runs}) == 4


def test_a_server_out_of_reach_is_asked_once_and_told_by_the_next_search(
    search, package, toy_urm, tmp_path
):
    package.broken = OSError("no such host")
    settings = {**KNN, "journal": tmp_path / "knn.jsonl"}
    split = gf.split.paper_protocol(toy_urm, seed=1)
    with pytest.warns(UserWarning, match="failed, the work goes on: OSError: no such host") as seen:
        result = gf.tune("ItemKNN", split, 3, trackers=[package.name], **settings)
    assert (len(result.history), package.asked) == (3, 1)
    assert sum("the tracker" in str(warning.message) for warning in seen) == 1
    package.broken = None
    search(4, [package.name], "ItemKNN", **settings)
    assert [run.config["trial"] for run in package.runs] == [0, 1, 2, 3]


def test_a_run_of_ones_own_is_left_alone_by_wandb(search, monkeypatch):
    package = run_packages.installed("wandb", monkeypatch)
    own = package.init(project="own", config={})
    search(2, ["wandb"])
    assert own.open
    assert len(package.runs) == 3


def test_options_reach_init(search, package):
    options = {"wandb": {"entity": "us", "mode": "offline"}, "trackio": {"space_id": "us/it"}}
    search(1, [CLASSES[package.name]("mine", **options[package.name])])
    [run] = package.runs
    assert options[package.name].items() <= run.given.items()


def test_runs_are_given_text_without_codes(search, package, toy_urm):
    codes = "\x1b[31m\u202e\n"
    data = replace(gf.split.paper_protocol(toy_urm, seed=1), name=codes * 100)
    space = {"x": {"real": [0, 1]}, "name": {"choice": [codes, "b"]}}

    class Coded(Listed):
        def ask(self):
            return {**super().ask(), "name": codes, "flag": False}

    search(1, [package.name], splits=data, backend=Coded, space=space, fixed={})
    [run] = package.runs
    texts = [text for text in (*run.given.values(), *run.config.values()) if isinstance(text, str)]
    assert all(text.isprintable() for text in texts)
    assert run.config["name"] == "\\x1b[31m\\u202e\\n"
    assert len(run.given["group"]) <= 128


@pytest.fixture
def wandb(tmp_path, monkeypatch):
    """The real package, offline."""
    folder = tmp_path / "offline"
    folder.mkdir()
    monkeypatch.setenv("WANDB_MODE", "offline")
    for name in ("DIR", "CACHE_DIR", "CONFIG_DIR", "DATA_DIR"):
        monkeypatch.setenv(f"WANDB_{name}", str(folder))
    return pytest.importorskip("wandb", reason="wandb is not installed"), folder / "wandb"


@pytest.fixture(scope="module")
def trackio(tmp_path_factory):
    """The real package; it asks for its folder when it is imported."""
    folder = tmp_path_factory.mktemp("trackio")
    before = os.environ.get("TRACKIO_DIR")
    os.environ["TRACKIO_DIR"] = str(folder)
    yield pytest.importorskip("trackio", reason="trackio is not installed")
    if before is None:
        del os.environ["TRACKIO_DIR"]
    else:
        os.environ["TRACKIO_DIR"] = before


def records(path):
    """Records of a file of wandb: a log of LevelDB, whose records are cut at 32 KB."""
    from wandb.proto.wandb_internal_pb2 import Record

    content, at, whole = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left = -at % 32768
        if 0 < left < 7:
            at += left
            continue
        length, kind = struct.unpack_from("<HB", content, at + 4)
        whole += content[at + 7 : at + 7 + length]
        at += 7 + length
        if kind in {1, 4}:
            yield Record.FromString(whole)
            whole = b""


def test_wandb_offline_holds_a_run_for_each_trial(search, wandb, capfd):
    _, folder = wandb
    search(2, ["wandb"])
    search(4, ["wandb"])
    paths = sorted(folder.glob("offline-run-*/*.wandb"), key=lambda path: path.stem[-1])
    assert len(paths) == 4
    groups, found = set(), []
    for path in paths:
        read = list(records(path))
        [run, *_] = [record.run for record in read if record.HasField("run")]
        groups.add(run.run_group)
        config = {item.key: json.loads(item.value_json) for item in run.config.update}
        rows = [
            {"".join(item.nested_key) or item.key: json.loads(item.value_json) for item in row.item}
            for row in (record.history for record in read if record.HasField("history"))
        ]
        [code] = [record.exit.exit_code for record in read if record.HasField("exit")]
        metrics = [record.metric for record in read if record.HasField("metric")]
        assert ("*", "trial") in [(metric.glob_name, metric.step_metric) for metric in metrics]
        [row] = rows
        found.append((config["x"], row["trial"], row.get("value"), row["best"], code))
    assert len(groups) == 1
    assert found == [
        (0.5, 0, 0.5, 0.5, 0), (0.25, 1, 0.25, 0.5, 0), (0.95, 2, None, 0.5, 1),
        (0.75, 3, 0.75, 0.75, 0),
    ]  # fmt: skip
    output = capfd.readouterr()
    assert "wandb" not in output.out + output.err


def test_trackio_holds_a_run_for_each_trial(search, trackio, capfd):
    from trackio.sqlite_storage import SQLiteStorage

    search(2, ["trackio"])
    search(4, ["trackio"])
    runs = sorted(trackio.Api().runs("ganmf-fast"), key=lambda run: run.config["trial"])
    assert [run.config["x"] for run in runs] == list(XS)
    assert len({run.config["_Group"] for run in runs}) == 1
    rows = [SQLiteStorage.get_logs("ganmf-fast", run.name, run_id=run.id) for run in runs]
    found = [(row["step"], row.get("value"), row["best"]) for [row] in rows]
    assert found == [(0, 0.5, 0.5), (1, 0.25, 0.5), (2, None, 0.5), (3, 0.75, 0.75)]
    with pytest.raises(RuntimeError):  # otherwise it speaks on stdout when the process ends
        trackio.finish()
    assert capfd.readouterr().out == ""


RUNS = {
    "wandb": ("wandb.sdk.wandb_run", run_packages.WandbRun, ("log", "finish", "define_metric")),
    "trackio": ("trackio.run", run_packages.TrackioRun, ("log", "finish")),
}


@pytest.mark.parametrize("name", CLASSES)
def test_the_stand_ins_take_what_the_real_packages_take(request, name):
    real = request.getfixturevalue(name)
    real = real[0] if name == "wandb" else real
    module, run, methods = RUNS[name]
    real_run = importlib.import_module(module).Run
    pairs = [(run_packages.PACKAGES[name].init, real.init)]
    pairs += [(getattr(run, method), getattr(real_run, method)) for method in methods]
    for stand_in, called in pairs:
        theirs = inspect.signature(called).parameters
        for parameter in list(inspect.signature(stand_in).parameters.values())[1:]:
            assert parameter.default == theirs[parameter.name].default


# choosing one ------------------------------------------------------------------------------------


def test_trackers_are_off_by_default_and_bad_ones_are_named(search, monkeypatch, tmp_path):
    search(1, [])
    assert sorted(path.name for path in tmp_path.iterdir()) == ["journal.jsonl"]
    with pytest.raises(ValueError, match="there is no tracker 'mlflo'; did you mean 'mlflow'"):
        search(1, ["mlflo"])
    with pytest.raises(TypeError, match="methods begin, trial and end"):
        search(1, [7])
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    for name in ("mlflow", "tensorboard", "wandb", "trackio"):
        with pytest.raises(ImportError, match=rf"ganmf-fast\[{name}\]"):
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
