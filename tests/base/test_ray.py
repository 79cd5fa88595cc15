"""Searches and evaluations on a Ray cluster of two nodes, which share this machine."""

import os
import sys
import threading
import time
from concurrent.futures import CancelledError
from pathlib import Path

import pytest
from numpy.testing import assert_array_equal

ray = pytest.importorskip("ray", reason="Ray is not installed")
pytest.importorskip("skopt", reason="scikit-optimize is not installed")

from ray.cluster_utils import Cluster

import ganmf_fast as gf
from ganmf_fast.base.executors import Serial
from ganmf_fast.base.ray_executor import OnRay
from ganmf_fast.models import all_lists
from ganmf_fast.tuning import read_journal

pytestmark = pytest.mark.processes

# Nobody else works on these nodes; Ray would let everything else go first.
os.environ.setdefault("RAY_worker_niceness", "0")
NODE = {"num_cpus": 1, "object_store_memory": 100 * 2**20, "include_dashboard": False}


class SlowKNN:
    """ItemKNN that takes its time and leaves a note of where it began and that it ended."""

    def __init__(self, topk=5, shrink=0, notes=""):
        self.topk, self.shrink, self.notes = topk, shrink, notes

    def fit(self, X):
        import ray

        context = ray.get_runtime_context() if ray.is_initialized() else None
        node = "none" if context is None else context.get_node_id()
        name = f"{self.notes}/{self.topk}-{self.shrink}"
        with Path(f"{name}-begun").open("a") as file:
            file.write(f"{node}\n")
        if context is not None:
            self.take_time(node)
        self.model = gf.ItemKNN(topk=self.topk, shrink=self.shrink).fit(X)
        with Path(f"{name}-ended").open("a") as file:
            file.write(f"{node}\n")

    def take_time(self, node):
        notes = Path(self.notes)
        doomed = (notes / "doomed").read_text() if (notes / "doomed").exists() else None
        if doomed == node:
            # Long enough for the death of the node to come first.
            time.sleep(5.0)
        elif doomed is not None:
            # Until something has begun there, lest the other node do everything before it is ready.
            until = time.monotonic() + 60.0
            while time.monotonic() < until and not begun_on(doomed, notes):
                time.sleep(0.01)
        else:
            time.sleep(0.1)

    def recommend(self, users, n):
        return self.model.recommend(users, n=n)


def begun_on(node, notes):
    """Trials that have begun on a node, at first or again; those of the first search aside."""
    first = (notes / "first").read_text().split() if (notes / "first").exists() else []
    begun = (path for path in notes.glob("*-begun") if path.name not in first)
    return [path for path in begun if node in path.read_text()]


@pytest.fixture(scope="module")
def cluster():
    """A head, to which this process belongs, with one processor; more nodes are added by tests."""
    # Workers do not find this module by its name.
    ray.cloudpickle.register_pickle_by_value(sys.modules[__name__])
    found = Cluster(initialize_head=True, head_node_args=NODE)
    yield found
    found.shutdown()


@pytest.fixture
def connected(cluster):
    ray.init(address=cluster.address, logging_level="ERROR", log_to_driver=False)
    yield cluster
    ray.shutdown()


@pytest.fixture(scope="module")
def splits():
    return gf.split.paper_protocol(gf.datasets.load("demo"), seed=3)


def in_this_process(task, n_workers):
    """Whatever `n_workers` is: the questions depend on it, the answers do not."""
    return Serial(task)


SPACE = {"topk": {"int": [2, 60]}, "shrink": {"int": [0, 50]}}


def plain(trial):
    return trial.number, trial.params, trial.status, trial.value, trial.metrics, trial.seed


def test_a_node_that_dies_loses_only_its_trial_which_runs_again_elsewhere(
    connected, splits, tmp_path
):
    doomed = connected.add_node(**NODE)
    connected.wait_for_nodes()
    (tmp_path / "ray").mkdir()
    (tmp_path / "here").mkdir()
    settings = {"n_workers": 2, "n_initial": 4, "space": SPACE, "seed": 5}

    def fixed(folder):
        return {"notes": str(tmp_path / folder)}

    journal = tmp_path / "journal.jsonl"
    # The driver ends after some trials, and another one goes on.
    gf.tune(
        SlowKNN, splits, n_calls=3, executor="ray", journal=journal, fixed=fixed("ray"), **settings
    )

    notes = tmp_path / "ray"
    (notes / "first").write_text("\n".join(path.name for path in notes.glob("*-begun")))
    (notes / "doomed").write_text(doomed.node_id)

    def lost():
        """Trials that began on the node and have not ended."""
        return [
            path.name.removesuffix("-begun")
            for path in begun_on(doomed.node_id, notes)
            if not path.with_name(path.name.replace("begun", "ended")).exists()
        ]

    died_with = []
    over = threading.Event()

    def kill_amid_a_trial():
        while not (found := lost()):
            if over.wait(0.01):
                return
        died_with.extend(found)
        connected.remove_node(doomed, allow_graceful=False)

    killer = threading.Thread(target=kill_amid_a_trial)
    killer.start()
    result = gf.tune(
        SlowKNN, splits, n_calls=8, executor="ray", journal=journal, fixed=fixed("ray"), **settings
    )
    over.set()
    killer.join()
    assert len(died_with) == 1
    again = (tmp_path / "ray" / f"{died_with[0]}-begun").read_text().split()
    assert again[0] == doomed.node_id
    assert again[-1] != doomed.node_id

    _, trials = read_journal(journal)
    assert [trial.number for trial in trials] == list(range(8))
    assert len(journal.read_text().splitlines()) == 9
    assert [trial.status for trial in trials] == ["done"] * 8
    here = gf.tune(
        SlowKNN, splits, n_calls=8, executor=in_this_process, fixed=fixed("here"), **settings
    )
    for ours, theirs in zip(result.history, here.history, strict=True):
        assert ours.value == theirs.value
        assert ours.metrics == theirs.metrics
        names = ("topk", "shrink")
        assert [ours.params[n] for n in names] == [theirs.params[n] for n in names]


def test_a_study_has_the_same_numbers_on_ray_and_on_local_processes(connected, splits):
    pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
    settings = {"n_calls": 6, "n_initial": 3, "n_workers": 2, "seed": 1}
    on_ray = gf.tune("ItemKNN", splits, executor="ray", **settings)
    local = gf.tune("ItemKNN", splits, executor="local", **settings)
    assert [plain(trial) for trial in on_ray.history] == [plain(trial) for trial in local.history]
    assert on_ray.best_params == local.best_params


def test_a_trial_that_fails_on_ray_is_a_trial_with_its_reason(connected, splits):
    space = {"topk": {"choice": [0, 7]}}
    result = gf.tune("ItemKNN", splits, 4, backend="random", executor="ray", space=space)
    statuses = {trial.params["topk"]: trial.status for trial in result.history}
    assert statuses == {0: "failed", 7: "done"}
    assert any("topk must be at least 1" in trial.reason for trial in result.history)


def test_an_evaluation_in_shards_has_the_bits_of_one_process(connected, splits):
    model = gf.PureSVD(num_factors=8).fit(splits.train)
    whole = gf.evaluate(model, splits.train, splits.test)
    parts = gf.evaluate(model, splits.train, splits.test, n_workers=3, executor=OnRay(num_cpus=1))
    assert parts.to_dict() == whole.to_dict()
    assert_array_equal(parts.users, whole.users)
    for key in whole.kept:
        assert_array_equal(parts.per_user(*key), whole.per_user(*key))


def test_lists_of_all_users_in_shards_are_the_files_of_one_process(
    connected, splits, tmp_path, monkeypatch
):
    monkeypatch.setattr(all_lists, "_PART_ENTRIES", 5000)
    model = gf.ItemKNN(topk=9).fit(splits.train)
    for name, options in {"one": {}, "ray": {"n_workers": 3, "executor": "ray"}}.items():
        model.recommend_all(tmp_path / name, n=10, **options)
    files = {path.name: path.read_bytes() for path in (tmp_path / "one").iterdir()}
    assert len(files) > 3
    assert {path.name: path.read_bytes() for path in (tmp_path / "ray").iterdir()} == files


def test_the_task_is_stored_once_and_kept_by_its_worker(connected, monkeypatch):
    puts = []
    put = ray.put
    monkeypatch.setattr(ray, "put", lambda value: puts.append(value) or put(value))

    class Count:
        calls = 0

        def __call__(self, question):
            self.calls += 1
            return os.getpid(), self.calls

    task = Count()
    with OnRay()(task, 1) as executor:
        answers = [executor.submit(number).result() for number in range(5)]
    assert puts == [task]
    assert len(answers) == 5
    last = dict(answers)
    assert sum(last.values()) == 5  # each worker has one object, which counts on
    assert len(last) < 5


def test_leaving_cancels_what_runs_and_leaves_a_cluster_of_the_users_own(connected, tmp_path):
    def slow(question):
        (tmp_path / "begun").touch()
        time.sleep(60)

    started = time.monotonic()
    with OnRay()(slow, 1) as executor:
        future = executor.submit(0)
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
    with pytest.raises((ray.exceptions.TaskCancelledError, CancelledError)):
        future.result(timeout=30)
    assert time.monotonic() - started < 40
    assert ray.is_initialized()


def test_bad_shares_and_absent_packages_are_named(splits, monkeypatch):
    with pytest.raises(ValueError, match="num_cpus must be at least 1, not 0"):
        OnRay(num_cpus=0)
    with pytest.raises(ValueError, match="num_gpus"):
        OnRay(num_gpus=-1)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"ganmf-fast\[ray\]"):
        gf.tune("ItemKNN", splits, 2, executor="ray")
