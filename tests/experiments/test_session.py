"""`ganmf_fast.reproduce`: the experiments from Python, as from the command line."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast import reference
from ganmf_fast.experiments.session import EXPERIMENTS, NAMES, options_of
from ganmf_fast.experiments.variants import VARIANTS, select

FILES = ("results.csv", "summary.csv", "table.tex")


@pytest.fixture(scope="module")
def splits(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five splits of 60 users and 40 items."""
    urm = (np.random.default_rng(4).random((60, 40)) < 0.3).astype(np.float32)
    folder = tmp_path_factory.mktemp("data") / "tiny"
    gf.split.paper_protocol(urm).save(folder)
    return folder


def test_python_and_the_command_write_the_same_tables(ganmf, splits: Path, tmp_path: Path) -> None:
    said: list[str] = []
    table = gf.reproduce(
        "table2",
        str(splits),
        output=tmp_path / "python",
        models=["TopPopular", "ItemKNN-cosine"],
        params={"ItemKNN-cosine": {"topk": 7}},
        cutoffs=(3,),
        log=said.append,
    )
    (tmp_path / "params.json").write_text('{"ItemKNN-cosine": {"topk": 7}}')
    done = ganmf(
        "reproduce", "table2", "--data", splits, "--output", tmp_path / "shell", "--cutoffs", "3",
        "--models", "TopPopular, ItemKNN-cosine", "--params", tmp_path / "params.json",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for name in FILES:
        assert (tmp_path / "python" / name).read_bytes() == (tmp_path / "shell" / name).read_bytes()
    assert [entry.model for entry in table.entries] == ["TopPopular", "ItemKNN-cosine"]
    assert [entry.source for entry in table.entries] == ["defaults", "given"]
    assert table.complete
    assert any(line.startswith("[2/2] ItemKNN-cosine: MAP@3") for line in said)


def test_data_in_memory_are_taken(splits: Path, tmp_path: Path) -> None:
    five = gf.Splits.load(splits)
    one = gf.reproduce("figure6", five, output=tmp_path / "a", models=["PureSVD"], points=[2, 4])
    assert [entry.point for entry in one.entries] == [2.0, 4.0]
    assert one.splits == "the splits that were given"
    two = gf.reproduce("table2", five.urm, output=tmp_path / "b", models=["TopPopular"], seed=9)
    assert two.splits == "split here by the paper's protocol with seed 9"
    sizes = gf.reproduce("table1", [five, "demo"], output=tmp_path / "c")
    assert len(sizes.entries) == 2


@pytest.mark.parametrize("experiment", ["table2", "figure4", "figure5", "figure6"])
def test_on_another_split_published_figures_are_context_only(
    ganmf, splits: Path, tmp_path: Path, experiment: str
) -> None:
    """Of the same data set by its name, but split otherwise."""
    five = replace(gf.Splits.load(splits), name="lastfm")
    row = {"table2": "ItemKNN-cosine", "figure6": "PureSVD"}.get(experiment, "GANMF-u")
    if row == "GANMF-u":
        pytest.importorskip("torch")
    said: list[str] = []
    table = gf.reproduce(
        experiment, five, output=tmp_path, models=[row], quick=row == "GANMF-u", seeds=1,
        log=said.append, **({"points": [10.0]} if experiment == "figure6" else {}),
    )  # fmt: skip
    assert any("ganmf data fetch lastfm --published-splits" in line for line in said)
    published = [(entry, key) for entry in table.entries for key in entry.published]
    assert published
    for entry, key in published:
        if entry.mean(*key) is not None:
            assert entry.verdict(*key).word == "another split"
            assert entry.delta(*key) is None
    for name in ("summary.csv", "table.md"):
        text = (tmp_path / name).read_text()
        assert "random:" not in text
        assert "within tolerance" not in text
    assert ganmf("report", tmp_path).returncode == 0
    assert "published figures are reproduced" not in (tmp_path / "report.html").read_text()


def test_all_gives_a_table_for_each_experiment(splits: Path, tmp_path: Path) -> None:
    found = gf.reproduce("all", splits, output=tmp_path, models=["TopPopular"], quick=True)
    assert list(found) == ["table1", "table2", "figure7"]
    assert json.loads((tmp_path / "config.json").read_text())["experiments"][0] == "table1"


def test_parameters_chosen_at_the_density_of_use(splits: Path, tmp_path: Path) -> None:
    named = replace(gf.Splits.load(splits), name="lastfm")
    table = gf.reproduce(
        "table2", named, output=tmp_path / "run", models=["EASE", "PureSVD"], params="dense"
    )
    assert [entry.source for entry in table.entries] == ["chosen at the density of use"] * 2
    assert [entry.params for entry in table.entries] == [
        reference.dense_params("lastfm")[row] for row in ("PureSVD", "EASE-R")
    ]
    with pytest.raises(ValueError, match="models has CAAE, of which params='dense' has no param"):
        gf.reproduce("table2", named, output=tmp_path / "no", models=["CAAE"], params="dense")
    assert not (tmp_path / "no").exists()


@pytest.mark.slow
def test_the_adversarial_table_is_beside_the_paper_and_whole(splits: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="some of its models are fitted with torch")
    found = gf.reproduce("adversarial", splits, output=tmp_path, quick=True, device="cpu")
    assert found.complete
    names = {entry.model for entry in found.entries}
    assert names == {"EASE-R", *(row.name for row in VARIANTS if row.beyond)}
    assert {"AugCF", "GraphGAN", "RAGANBT", "EDLAE"} <= names
    # No row of it stands in the paper's tables, or comes with another model's name.
    assert not any(row.beyond for row in select(None))
    assert [row.name for row in select(["EASE"])] == ["EASE-R"]


@pytest.mark.parametrize(
    ("experiment", "options", "message"),
    [
        ("table4", {}, "experiment must be one of table1, .* not 'table4'"),
        ("table1", {"models": ["TopPopular"]}, "table1 has no option models"),
        ("figure5", {"points": [0.0]}, "figure5 has no option points"),
        ("figure4", {"cutoffs": (3,)}, "figure4 has no option cutoffs"),
        ("all", {"params": "tuned"}, "all has no option params"),
        ("table2", {"seeds": 0}, "seeds must be at least 1, not 0"),
        ("table2", {"cutoffs": (5, 5)}, "cutoffs holds a number twice: 5,5"),
        ("table2", {"models": ["EASE"], "reuse": ["absent"]}, "reuse must be folders of runs"),
        ("table2", {"params": "dense"}, "params='dense' is for the data sets of the paper"),
    ],
)
def test_wrong_arguments_are_named_before_anything_is_written(
    tmp_path: Path, experiment: str, options: dict, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        gf.reproduce(experiment, "demo", output=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_every_experiment_has_a_command_with_its_options(ganmf) -> None:
    assert {*EXPERIMENTS, "table1", "all"} == set(NAMES)
    for name in NAMES:
        done = ganmf("reproduce", name, "--help")
        assert done.returncode == 0, done.stderr
        for option in ("models", "params", "cutoffs", "points", "seeds"):
            assert (f"--{option} " in done.stdout) == (option in options_of(name)), (name, option)


@pytest.mark.parametrize(
    ("experiment", "options", "words"),
    [
        ("figure6", {"points": [2.5, 2.9]}, "points must be whole numbers from 1 on, not 2.5"),
        ("figure6", {"points": [float("nan")]}, "points"),
        ("figure6", {"points": [None]}, "points"),
        ("figure4", {"points": []}, "points holds no number"),
        ("table2", {"cutoffs": []}, "cutoffs holds no number"),
        ("table2", {"cutoffs": 5}, "cutoffs must be a sequence of numbers, not 5"),
        ("table2", {"cutoffs": [0]}, "cutoffs must be whole numbers from 1 on, not 0"),
        ("table2", {"quick": "no"}, "quick must be"),
        ("table2", {"device": "gpu"}, "device must be"),
        ("table2", {"seed": 1.5}, "seed must be an integer, not 1.5"),
        ("table2", {"params": None}, "params must be"),
        ("table2", {"params": {"EASE-R": 5}}, "params of 'EASE-R' must be a dict, not 5"),
    ],
)
def test_options_are_refused_before_anything_is_written(
    splits: Path, tmp_path: Path, experiment: str, options: dict, words: str
) -> None:
    with pytest.raises((TypeError, ValueError), match=words):
        gf.reproduce(experiment, splits, output=tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_options_may_be_numbers_of_numpy(splits: Path, tmp_path: Path) -> None:
    options = {"models": ["EASE-R", "ItemKNN-cosine"], "cutoffs": np.array([5, 10])}
    params = {"ItemKNN-cosine": {"topk": np.int64(10)}, "EASE-R": {"l2": np.float32(100)}}
    table = gf.reproduce("table2", splits, output=tmp_path / "run", params=params, **options)
    assert table.complete
    assert {entry.params.get("topk") for entry in table.entries} == {10, None}


def test_points_that_are_near_are_two(splits: Path, tmp_path: Path) -> None:
    near = [0.1234567, 0.1234568]
    table = gf.reproduce(
        "figure4", splits, output=tmp_path, models=["GANMF-u"], points=near, quick=True
    )
    assert [(entry.point, len(entry.runs)) for entry in table.entries] == [(p, 1) for p in near]
