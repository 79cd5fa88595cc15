"""The comparison of table 2: resumable, honest about failures, never mixing configurations."""

import json
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.experiments import run_specs as run_specs_module
from ganmf_fast.experiments.run_specs import run_specs
from ganmf_fast.experiments.table2 import Table2
from ganmf_fast.experiments.variants import ModelVariant, select
from ganmf_fast.results.store import ConflictError, Store
from ganmf_fast.results.tables import to_csv

CHEAP = "TopPopular,PureSVD,ItemKNN-cosine,P3alpha"
COLUMNS = "dataset,model,metric,k,value,published,delta,seed"


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five splits of 80 users and 50 items."""
    rng = np.random.default_rng(3)
    urm = (rng.random((80, 50)) < 0.3).astype(np.float32)
    folder = tmp_path_factory.mktemp("data") / "tiny"
    replace(gf.split.paper_protocol(urm), name="tiny").save(folder)
    return folder


def cheap(splits: Path, folder: Path, names: str = CHEAP, **options) -> Table2:
    given = {"PureSVD": {"num_factors": 4}, "ItemKNN-cosine": {"topk": 10}, "P3alpha": {"topk": 10}}
    chosen = run_specs(select(names.split(",")), None, given | options.pop("given", {}))
    five = gf.Splits.load(splits)
    return Table2(five, chosen, Store(folder), **{"seeds": [1], **options})


def models_in(run: Path) -> set[str]:
    return {path.name for path in (run / "models").glob("[!.]*")}


def test_a_run_leaves_every_file_and_only_true_figures(ganmf, splits: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    params = tmp_path / "params.json"
    params.write_text('{"ItemKNN-cosine": {"topk": 10}}')
    done = ganmf(
        "reproduce", "table2", "--data", splits, "--output", run, "--models", CHEAP,
        "--params", params, "--cutoffs", "3,7", "--json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    five = gf.Splits.load(splits)
    expected = gf.evaluate(
        gf.ItemKNN(topk=10).fit(five.train), five.train, five.test, cutoffs=(3, 7)
    )
    knn = found["models"]["ItemKNN-cosine"]
    assert knn["metrics"]["ndcg@7"] == {
        "value": expected["ndcg", 7],
        "published": None,
        "delta": None,
    }
    assert knn["source"] == "file"
    assert found["models"]["P3alpha"]["source"] == "defaults"

    lines = (run / "results.csv").read_text().splitlines()
    assert lines[0] == COLUMNS
    assert f"tiny,ItemKNN-cosine,map,3,{expected['map', 3]!r},,," in lines
    with np.load(run / "models" / "ItemKNN-cosine" / "per_user.npz") as stored:
        np.testing.assert_array_equal(stored["users"], expected.users)
        np.testing.assert_array_equal(stored["map@3"], expected.per_user("map", 3))
    config = json.loads((run / "config.json").read_text())
    assert config["dataset"]["hash"] == five.data_hash
    assert config["models"]["ItemKNN-cosine"]["params"]["topk"] == 10
    assert config["environment"]["versions"]["numpy"] == np.__version__
    assert "MAP@3" in (run / "table.md").read_text()
    assert "\\underline{" in (run / "table.tex").read_text()
    assert (run / "chart.png").read_bytes().startswith(b"\x89PNG")


def test_simulated_data_are_labelled_in_every_file(ganmf, tmp_path: Path) -> None:
    run = tmp_path / "run"
    command = ("reproduce", "table2", "--data", "demo", "--output", run, "--models", "TopPopular")
    done = ganmf(*command)
    assert done.returncode == 0, done.stderr
    assert "simulated" in done.stdout
    assert "simulated" in done.stderr
    for name in ("results.csv", "table.md", "table.tex"):
        assert "simulated" in (run / name).read_text(), name
    assert json.loads((run / "config.json").read_text())["dataset"]["simulated"] is True
    assert json.loads(ganmf(*command, "--json").stdout)["simulated"] is True


def test_finished_models_are_not_run_again(splits: Path, tmp_path: Path) -> None:
    first = to_csv(cheap(splits, tmp_path / "run").run())
    before = {p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "models").rglob("*.json")}
    said: list[str] = []
    again = to_csv(cheap(splits, tmp_path / "run", log=said.append).run())
    assert again == first
    assert [text.partition(": ")[2] for text in said] == ["finished earlier"] * 4
    assert before == {
        p: p.stat().st_mtime_ns for p in (tmp_path / "run" / "models").rglob("*.json")
    }


def test_what_a_killed_process_had_begun_to_write_is_removed(
    ganmf, splits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    command = ("reproduce", "table2", "--data", splits, "--models", "TopPopular", "--output", run)
    assert ganmf(*command).returncode == 0
    left = [run / f".{name}.0123456789abcdef.part" for name in ("summary.csv", "chart.pdf")]
    mine = [run / ".notes.part", run / "summary.csv.0123456789abcdef.part"]
    for path in [*left, *mine]:
        path.write_text("half")
    assert ganmf(*command).returncode == 0
    assert not any(path.exists() for path in left)
    assert all(path.exists() for path in mine)


def test_a_model_of_ones_own_may_have_what_gans_call_their_module(
    splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "with_module").with_suffix(".py").write_text(
        "import ganmf_fast as gf\nclass Popular(gf.TopPopular):\n    module = 'nowhere:Nothing'\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    (entry,) = cheap(splits, tmp_path / "run", "with_module:Popular").run().entries
    assert not entry.problem
    assert entry.runs


def test_of_many_seeds_to_come_few_are_named(splits: Path, tmp_path: Path) -> None:
    (entry,) = cheap(splits, tmp_path, "PureSVD", seeds=list(range(2000))).comparison().entries
    first = ("PureSVD-0", "PureSVD-1", "PureSVD-2")
    assert entry.problem == "; ".join(
        [*(f"{name} has not been run" for name in first), "nor have 1,997 more"]
    )


def test_models_and_seeds_can_join_later(splits: Path, tmp_path: Path) -> None:
    cheap(splits, tmp_path / "run", "PureSVD").run()
    joined = cheap(splits, tmp_path / "run", "TopPopular", seeds=[2]).run()
    assert [entry.model for entry in joined.entries] == ["TopPopular", "PureSVD"]
    more = cheap(splits, tmp_path / "run", "PureSVD", seeds=[1, 2, 3]).run()
    svd = next(entry for entry in more.entries if entry.model == "PureSVD")
    assert [run.seed for run in svd.runs] == [1, 2, 3]


@pytest.mark.parametrize("name", ["result.json", "per_user.npz"])
@pytest.mark.parametrize("damage", ["cut", "altered", "gone"])
def test_a_damaged_model_is_done_again(
    splits: Path, tmp_path: Path, name: str, damage: str
) -> None:
    first = to_csv(cheap(splits, tmp_path / "run").run())
    path = tmp_path / "run" / "models" / "P3alpha" / name
    content = path.read_bytes()
    if damage == "cut":
        path.write_bytes(content[: len(content) // 2])
    elif damage == "gone":
        path.unlink()
    elif name == "result.json":
        path.write_bytes(content.replace(b'"map@5": 0.', b'"map@5": 1.'))
        assert path.read_bytes() != content
    else:
        path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    said: list[str] = []
    assert to_csv(cheap(splits, tmp_path / "run", log=said.append).run()) == first
    assert sum("finished earlier" in text for text in said) == 3
    assert path.is_file()


def test_a_changed_configuration_is_refused_with_the_difference(
    splits: Path, tmp_path: Path
) -> None:
    run = tmp_path / "run"
    cheap(splits, run, "ItemKNN-cosine").run()
    with pytest.raises(ConflictError, match="topk 10, not 11"):
        cheap(splits, run, "ItemKNN-cosine", given={"ItemKNN-cosine": {"topk": 11}})
    with pytest.raises(ConflictError, match=r"cutoffs \[5, 20\], not \[5, 10\]"):
        cheap(splits, run, "TopPopular", cutoffs=(5, 10))
    other = tmp_path / "other"
    gf.split.paper_protocol(gf.Splits.load(splits).urm, seed=8).save(other)
    with pytest.raises(ConflictError, match="data "):
        cheap(other, run, "TopPopular")


def test_a_changed_configuration_ends_the_command_with_2(
    ganmf, splits: Path, tmp_path: Path
) -> None:
    command = ("reproduce", "table2", "--data", splits, "--output", tmp_path / "run")
    assert ganmf(*command, "--models", "TopPopular").returncode == 0
    done = ganmf(*command, "--models", "TopPopular", "--cutoffs", "5")
    assert done.returncode == 2
    assert "cutoffs [5, 20], not [5]" in done.stderr


def test_a_failed_model_is_recorded_and_the_others_go_on(
    ganmf, splits: Path, tmp_path: Path
) -> None:
    params = tmp_path / "params.toml"
    params.write_text("[PureSVD]\nnum_factors = 0\n")
    command = ("reproduce", "table2", "--data", splits, "--output", tmp_path / "run")
    command += ("--models", "TopPopular,PureSVD,P3alpha", "--json")
    done = ganmf(*command, "--params", params)
    assert done.returncode == 4, done.stderr
    found = json.loads(done.stdout)
    assert found["complete"] is False
    assert "num_factors" in found["models"]["PureSVD"]["problem"]
    assert found["models"]["PureSVD"]["metrics"] == {}
    assert found["models"]["P3alpha"]["metrics"] != {}
    assert "num_factors" in (tmp_path / "run" / "table.md").read_text()

    # With a parameter that works, only the failed one is run.
    params.write_text("[PureSVD]\nnum_factors = 3\n")
    done = ganmf(*command, "--params", params)
    assert done.returncode == 0, done.stderr
    assert done.stderr.count("finished earlier") == 2


def test_without_torch_ganmf_is_listed_with_what_it_needs(
    ganmf, splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "torch", None)
    for name in [n for n in sys.modules if n.startswith("ganmf_fast.gan.")]:
        monkeypatch.delitem(sys.modules, name)
    done = ganmf(
        "reproduce", "table2", "--data", splits, "--output", tmp_path / "run", "--json",
        "--models", "TopPopular,GANMF-u",
    )  # fmt: skip
    assert done.returncode == 4, done.stderr
    found = json.loads(done.stdout)["models"]
    assert "ganmf-fast[gan]" in found["GANMF-u"]["problem"]
    assert found["TopPopular"]["problem"] is None


def test_without_vl_convert_the_chart_is_left_out_with_one_sentence(
    ganmf, splits: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "vl_convert", None)
    monkeypatch.delitem(sys.modules, "ganmf_fast.results.charts.files", raising=False)
    run = tmp_path / "run"
    done = ganmf("reproduce", "table2", "--data", splits, "--output", run, "--models", "TopPopular")
    assert done.returncode == 0, done.stderr
    assert "ganmf-fast[report]" in done.stderr
    assert (run / "table.md").is_file()
    assert not (run / "chart.png").exists()


def test_epochs_are_found_on_early_stop_and_the_final_fit_uses_all_of_train(
    splits: Path, tmp_path: Path
) -> None:
    fits: list[tuple[int, int, int, int | None]] = []

    class Iterative(gf.PureSVD):
        """Stands in for a GAN: has epochs, and finds the best one."""

        iterative = True

        def __init__(
            self,
            num_factors: int = 3,
            epochs: int = 50,
            pretrain_epochs: int = 30,
            seed: int = 0,
        ) -> None:
            super().__init__(num_factors, seed)
            self.epochs, self.pretrain_epochs = epochs, pretrain_epochs

        def fit(self, X: object, validation: object = None) -> "Iterative":
            super().fit(X)
            held_out = None if validation is None else validation.nnz
            fits.append((X.nnz, self.epochs, self.pretrain_epochs, held_out))
            self.best_epoch_ = 17
            self.best_pretrain_epoch_ = None if validation is None else 4
            return self

    row = ModelVariant("PureSVD", "PureSVD", cls=Iterative)
    five = gf.Splits.load(splits)

    def run(folder: str, given: dict) -> dict:
        spec = run_specs_module.RunSpec(row, {"num_factors": 3, **given}, "defaults")
        comparison = Table2(five, [spec], Store(tmp_path / folder), seeds=[1]).run()
        return comparison.entries[0].params

    found = {"num_factors": 3, "epochs": 17, "pretrain_epochs": 4}
    assert run("searched", {}) == found
    assert fits == [
        (five.train_small.nnz, 50, 30, five.early_stop.nnz),
        (five.train.nnz, 17, 4, None),
    ]
    fits.clear()
    assert run("searched", {}) == found  # from the record
    assert fits == []
    given = {"num_factors": 3, "epochs": 9}
    assert run("given", given) == given
    assert fits == [(five.train.nnz, 9, 30, None)]


def test_a_folder_in_use_is_not_touched(splits: Path, tmp_path: Path) -> None:
    with (
        Store(tmp_path / "run").locked("table2"),
        pytest.raises(RuntimeError, match="another process"),
    ):
        cheap(splits, tmp_path / "run").run()
    assert models_in(tmp_path / "run") == set()


def wait_for(path: Path, process: subprocess.Popen[str]) -> None:
    """Until `path` is there; by then the process works on the model after it."""
    end = time.monotonic() + 100
    while not path.exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < end, f"{path} did not appear"
        time.sleep(0.02)


def slow_run(splits: Path, run: Path) -> tuple[object, ...]:
    """TopPopular is done at once, GANMF never."""
    params = run.parent / "slow.json"
    params.write_text(
        '{"GANMF-u": {"epochs": 1000000, "num_factors": 64, "emb_dim": 64, "batch_size": 8}}'
    )
    return (
        "reproduce", "table2", "--data", splits, "--output", run, "--params", params,
        "--models", "TopPopular,GANMF-u", "--threads", "1",
    )  # fmt: skip


def test_ctrl_c_ends_with_130_within_a_second_and_keeps_finished_models(
    start, ganmf, splits: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="the slow model is a GAN")
    run = tmp_path / "run"
    process = start(*slow_run(splits, run))
    wait_for(run / "models" / "TopPopular" / "result.json", process)
    wait_for(run / "results.csv", process)
    time.sleep(2)
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    seconds = time.monotonic() - began
    assert process.returncode == 130, errors
    assert "interrupted" in errors.splitlines()[-1]
    assert "Traceback" not in errors
    # A second, doubled for a busy machine.
    assert seconds < 2
    assert models_in(run) == {"TopPopular"}
    done = ganmf("reproduce", "table2", "--data", splits, "--output", run, "--models", "TopPopular")
    assert "finished earlier" in done.stderr


def test_a_killed_run_goes_on_and_ends_as_if_nothing_had_happened(
    start, ganmf, splits: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="the slow model is a GAN")
    run, whole = tmp_path / "run", tmp_path / "whole"
    process = start(*slow_run(splits, run))
    wait_for(run / "models" / "TopPopular" / "result.json", process)
    process.kill()
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert models_in(run) == {"TopPopular"}
    command = ("reproduce", "table2", "--data", splits, "--models", CHEAP)
    resumed = ganmf(*command, "--output", run)
    assert resumed.returncode == 0, resumed.stderr
    assert resumed.stderr.count("finished earlier") == 1
    assert ganmf(*command, "--output", whole).returncode == 0
    assert (run / "results.csv").read_bytes() == (whole / "results.csv").read_bytes()


@pytest.mark.real_data
def test_deltas_are_ours_minus_the_published_figures(data_dir: Path, tmp_path: Path) -> None:
    five = gf.Splits.load(data_dir / "lastfm")
    chosen = run_specs(select(["TopPopular", "PureSVD"]), "lastfm")
    comparison = Table2(five, chosen, Store(tmp_path / "run"), seeds=[1]).run()
    for record in comparison.tidy():
        if record["published"] is not None:
            assert record["delta"] == record["value"] - record["published"]
    svd = comparison.entries[1]
    assert svd.source == "published"
    delta = svd.delta("map", 5)
    assert delta is not None
    assert abs(delta) < 1e-3
    assert (
        "the splits published by the authors" in (tmp_path / "run" / "table.md").read_text().lower()
    )
