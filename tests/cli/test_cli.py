"""The command line: exit codes, streams, one-sentence errors, configuration."""

import csv
import io
import json
import shlex
import subprocess
import sys
from pathlib import Path
from typing import get_args

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.cli.app import build
from ganmf_fast.cli.config import _commands


@pytest.fixture(scope="module")
def ratings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A CSV of 40 users and 30 items."""
    rng = np.random.default_rng(5)
    lines = ["user,item"]
    for user in range(40):
        picked = rng.choice(30, size=int(rng.integers(6, 14)), replace=False)
        lines += [f"u{user},i{item}" for item in picked]
    path = tmp_path_factory.mktemp("data") / "shop.csv"
    path.write_text("\n".join(lines) + "\n")
    return path


@pytest.fixture(scope="module")
def splits(ratings: Path, ganmf) -> Path:
    folder = ratings.parent / "splits"
    done = ganmf("split", "--data", ratings, "--output", folder, "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


@pytest.fixture(scope="module")
def fitted(splits: Path, ganmf) -> Path:
    path = splits.parent / "knn.safetensors"
    done = ganmf("fit", "ItemKNN", "--data", splits, "--output", path, "--param", "topk=7")
    assert done.returncode == 0, done.stderr
    return path


def one_sentence(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, text
    assert lines[0].startswith("ganmf: ")
    return lines[0]


def test_version_is_that_of_the_package(ganmf, ganmf_process) -> None:
    assert ganmf_process("version").stdout.strip() == f"ganmf-fast {gf.__version__}"
    assert ganmf("--version").stdout.strip() == f"ganmf-fast {gf.__version__}"
    assert json.loads(ganmf("version", "--json").stdout) == {"version": gf.__version__}


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["recommend"], "recommend needs --model ("),
        (["split", "log.csv"], "split needs --data, and 'log.csv' belongs to no option ("),
        (
            ["fit", "ItemKNN", "--dta", "x"],
            "fit needs --data, and '--dta' is none of its options (",
        ),
        (["split", "--output", "x", "--data"], "--data requires an argument"),
    ],
)
def test_what_is_missing_is_named_with_what_was_meant_as_it(ganmf, typed, said) -> None:
    done = ganmf(*typed)
    assert done.returncode == 2
    assert said in one_sentence(done.stderr)


def test_the_exit_code_is_that_of_the_process(ganmf_process, tmp_path: Path) -> None:
    done = ganmf_process("data", "fetch", "lastfm", "--offline", "--data-dir", tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    one_sentence(done.stderr)


def test_help_names_every_command(ganmf) -> None:
    done = ganmf("--help")
    assert done.returncode == 0
    for command in (
        "data",
        "split",
        "fit",
        "evaluate",
        "recommend",
        "reproduce",
        "doctor",
        "version",
    ):
        assert command in done.stdout


def test_doctor_reports_versions_as_json(ganmf_process) -> None:
    done = ganmf_process("doctor", "--json", "--threads", "1")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert facts["version of numpy"] == np.__version__
    assert facts["threads"] == 1


@pytest.mark.parametrize(
    ("tokens", "hint"),
    [
        (["fitt"], "fit"),
        (["fit", "ItemKNN", "--dta", "demo"], "--data"),
        (["fit", "ItemKN", "--data", "demo", "--output", "m"], "ItemKNN"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", "topkk=3"], "topk"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", "topk=many"], "topk"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", "topk=0"], "topk"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", "topk=1.5"], "topk"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", "topk"], "NAME=VALUE"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "m", "--seed", "1"], "seed"),
        (["fit", "ItemKNN", "--data", "demo", "--output", "no/such/folder/m"], "no/such/folder"),
        (["reproduce", "table2", "--output", "r", "--models", "GANMF-x"], "GANMF-"),
        (["reproduce", "table2", "--output", "r", "--cutoffs", "5,x"], "cutoffs"),
        (["reproduce", "table2", "--output", "r", "--cutoffs", "0"], "cutoffs"),
        (["reproduce", "table2", "--output", "r", "--seeds", "0"], "seeds"),
        (["reproduce", "table2", "--output", "r", "--params", "absent.json"], "absent.json"),
        (["version", "--threads", "0"], "threads"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_sentence_that_helps(
    ganmf, tmp_path: Path, tokens: list[str], hint: str
) -> None:
    done = ganmf(*tokens, cwd=tmp_path)
    assert done.returncode == 2, done.stderr
    assert hint in one_sentence(done.stderr)
    assert done.stdout == ""
    assert list(tmp_path.iterdir()) == []


def test_missing_or_damaged_data_end_with_3(ganmf, tmp_path: Path, splits: Path) -> None:
    done = ganmf("data", "describe", "lastfn")
    assert done.returncode == 3
    assert "lastfm" in one_sentence(done.stderr)

    done = ganmf("data", "fetch", "lastfm", "--offline", "--data-dir", tmp_path)
    assert done.returncode == 3
    one_sentence(done.stderr)

    broken = tmp_path / "broken.csv"
    broken.write_text("user,item\n1,2\n1\n")
    done = ganmf("data", "describe", broken)
    assert done.returncode == 3
    assert "line 3" in one_sentence(done.stderr)

    lacking = tmp_path / "splits"
    lacking.mkdir()
    (lacking / "train.npz").write_bytes((splits / "train.npz").read_bytes()[:100])
    done = ganmf("reproduce", "table2", "--data", lacking, "--output", tmp_path / "run")
    assert done.returncode == 3
    assert "test.npz" in one_sentence(done.stderr)
    assert not (tmp_path / "run").exists()


def test_a_model_file_cut_short_ends_with_3(ganmf, tmp_path: Path, fitted: Path) -> None:
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(fitted.read_bytes()[:-50])
    done = ganmf("recommend", cut)
    assert done.returncode == 3
    assert "cut.safetensors" in one_sentence(done.stderr)


def test_a_traceback_is_only_shown_on_request(ganmf) -> None:
    assert "Traceback" not in ganmf("data", "describe", "lastfn").stderr
    assert "Traceback" not in ganmf("data", "describe", "lastfn", env={"GANMF_DEBUG": "0"}).stderr
    assert "Traceback" in ganmf("data", "describe", "lastfn", env={"GANMF_DEBUG": "1"}).stderr


def test_data_describe_reads_a_csv(ganmf, ratings: Path) -> None:
    done = ganmf("data", "describe", ratings, "--json")
    assert done.returncode == 0, done.stderr
    facts = json.loads(done.stdout)
    assert (facts["users"], facts["items"]) == (40, 30)
    assert facts["interactions"] == len(ratings.read_text().splitlines()) - 1
    assert facts["simulated"] is False


def test_data_list_names_every_data_set_and_marks_the_simulated_one(ganmf) -> None:
    listed = {
        entry["name"]: entry["kind"] for entry in json.loads(ganmf("data", "list", "--json").stdout)
    }
    assert set(listed) == set(gf.datasets.names())
    assert [name for name, kind in listed.items() if kind == "simulated"] == ["demo"]


def test_split_fit_evaluate_recommend_work_on_a_file_of_ones_own(
    ganmf, splits: Path, fitted: Path, tmp_path: Path
) -> None:
    model = gf.load(fitted)
    assert model.get_params()["topk"] == 7

    done = ganmf("evaluate", fitted, "--data", splits, "--json", "--cutoffs", "3")
    assert done.returncode == 0, done.stderr
    figures = json.loads(done.stdout)["metrics"]["3"]
    five = gf.Splits.load(splits)
    expected = gf.evaluate(gf.ItemKNN(topk=7).fit(five.train), five.train, five.test, cutoffs=(3,))
    assert figures["map"] == expected["map", 3]

    done = ganmf("recommend", fitted, "--users", "u3,u1", "-n", "4")
    assert done.returncode == 0, done.stderr
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["user"] for row in rows] == ["u3"] * 4 + ["u1"] * 4
    assert [row["rank"] for row in rows] == ["1", "2", "3", "4"] * 2
    assert all(row["item"].startswith("i") for row in rows)

    written = tmp_path / "lists.parquet"
    done = ganmf("recommend", fitted, "-n", "4", "--output", written)
    assert done.returncode == 0, done.stderr
    assert done.stdout == ""
    assert pl.read_parquet(written)["user"].n_unique() == 40

    done = ganmf("recommend", fitted, "--users", "nobody")
    assert done.returncode == 2
    assert "nobody" in one_sentence(done.stderr)


def test_people_who_were_not_fitted_have_lists_and_figures(
    ganmf, fitted: Path, splits: Path, tmp_path: Path
) -> None:
    profiles, held_out = tmp_path / "profiles.csv", tmp_path / "held_out.csv"
    profiles.write_text("user,item\nnew,i1\nnew,i2\nother,i3\n")
    held_out.write_text("user,item\nnew,i4\nother,i5\n")
    done = ganmf("recommend", fitted, "--profiles", profiles, "-n", "3")
    assert done.returncode == 0, done.stderr
    model = gf.load(fitted)
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert [row["user"] for row in rows] == ["new"] * 3 + ["other"] * 3
    assert [row["item"] for row in rows[3:]] == list(model.recommend(profiles=["i3"], n=3)["item"])
    done = ganmf("evaluate", fitted, "--test", held_out, "--profiles", profiles, "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    data = [gf.Interactions.from_csv(path) for path in (held_out, profiles)]
    ev = gf.evaluate(model, None, data[0], profiles=data[1])
    assert (found["users"], found["metrics"]["5"]["map"]) == (2, ev["map", 5])
    profiles.write_text("user,item\nnew,i1\nnew,elsewhere\n")
    for command in (["recommend", fitted], ["evaluate", fitted, "--test", held_out]):
        done = ganmf(*command, "--profiles", profiles)
        assert done.returncode == 2
        assert "elsewhere" in one_sentence(done.stderr)
        assert ganmf(*command, "--profiles", profiles, "--unknown", "skip").returncode == 0
    for other in (["--users", "u1"], ["--all", "--output", tmp_path / "lists.parquet"]):
        done = ganmf("recommend", fitted, "--profiles", profiles, *other)
        assert "both given" in one_sentence(done.stderr)
    done = ganmf("recommend", fitted, "--profiles", splits)
    assert "five splits" in one_sentence(done.stderr)
    done = ganmf("evaluate", fitted, "--data", splits, "--profiles", profiles)
    assert "profiles go with --test" in one_sentence(done.stderr)


def test_a_model_is_not_measured_on_what_it_was_fitted_on(
    ganmf, ratings: Path, splits: Path, tmp_path: Path
) -> None:
    everything = tmp_path / "all.safetensors"
    assert ganmf("fit", "TopPopular", "--data", ratings, "--output", everything).returncode == 0
    done = ganmf("evaluate", everything, "--data", splits)
    assert done.returncode == 2
    assert "fitted on" in one_sentence(done.stderr)
    done = ganmf("evaluate", everything, "--data", ratings)
    assert done.returncode == 2
    assert "ganmf split" in one_sentence(done.stderr)


def test_results_go_to_stdout_and_messages_to_stderr_unless_quiet(
    ganmf, ratings: Path, tmp_path: Path
) -> None:
    loud = ganmf("split", "--data", ratings, "--output", tmp_path / "a", "--json")
    quiet = ganmf("split", "--data", ratings, "--output", tmp_path / "b", "--json", "--quiet")
    assert json.loads(loud.stdout)["hash"] == json.loads(quiet.stdout)["hash"]
    assert loud.stderr != ""
    assert quiet.stderr == ""


def test_no_color_is_honoured_and_color_can_be_forced(ganmf_process) -> None:
    plain = ganmf_process("data", "list", env={"NO_COLOR": "1", "FORCE_COLOR": "1"})
    styled = ganmf_process("data", "list", env={"FORCE_COLOR": "1"})
    assert "\x1b[3" not in plain.stdout.replace("\x1b[3m", "")
    assert "\x1b[" in styled.stdout
    assert "\x1b[" not in ganmf_process("data", "list").stdout


def test_flag_beats_environment_beats_project_beats_user(
    ganmf, ratings: Path, tmp_path: Path
) -> None:
    project, home = tmp_path / "project", tmp_path / "home"
    project.mkdir()
    (home / "ganmf").mkdir(parents=True)
    env = {"XDG_CONFIG_HOME": str(home)}

    def seed(*tokens: str, **extra: str) -> int:
        done = ganmf(
            "split", "--data", ratings, "--output", tmp_path / "s", "--json", *tokens,
            env=env | extra, cwd=project,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        return int(json.loads(done.stdout)["seed"])

    assert seed() == 1337
    (home / "ganmf" / "ganmf.toml").write_text("seed = 1\n")
    assert seed() == 1
    (project / "ganmf.toml").write_text("[split]\nseed = 2\n")
    assert seed() == 2
    assert seed(GANMF_SEED="3") == 3
    assert seed("--seed", "4", GANMF_SEED="3") == 4


def test_a_table_of_parameters_in_the_configuration_reaches_the_model(
    ganmf, splits: Path, tmp_path: Path
) -> None:
    (tmp_path / "ganmf.toml").write_text(
        f"quiet = true\n[fit]\ndata = '{splits}'\n[fit.param]\ntopk = 5\nnormalize = false\n"
    )
    done = ganmf("fit", "ItemKNN", "--output", "m.safetensors", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    params = json.loads(done.stdout)["params"]
    assert (params["topk"], params["normalize"]) == (5, False)


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("thread = 2\n", "threads"),
        ("[split]\nsed = 1\n", "seed"),
        ("[splitt]\nseed = 1\n", "split"),
        ("[reproduce.tabel2]\nseed = 1\n", "table2"),
        ("seed = \n", "ganmf.toml"),
    ],
)
def test_an_unknown_key_in_a_file_is_refused_with_a_suggestion(
    ganmf, tmp_path: Path, content: str, hint: str
) -> None:
    (tmp_path / "ganmf.toml").write_text(content)
    done = ganmf("version", cwd=tmp_path)
    assert done.returncode == 2
    assert hint in one_sentence(done.stderr)


def test_an_unknown_variable_is_refused_with_a_suggestion(ganmf) -> None:
    done = ganmf("version", env={"GANMF_THREDS": "2"})
    assert done.returncode == 2
    assert "GANMF_THREADS" in one_sentence(done.stderr)
    assert ganmf("version", env={"GANMF_SEED": "1"}).returncode == 0


def test_a_reader_that_stops_early_causes_no_traceback(start, fitted: Path) -> None:
    process = start("recommend", fitted, "-n", "29")
    process.stdout.close()
    _, errors = process.communicate(timeout=60)
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


@pytest.mark.processes
def test_the_package_runs_as_a_module() -> None:
    command = [sys.executable, "-m", "ganmf_fast", "version"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout.strip() == f"ganmf-fast {gf.__version__}"


def whole_options() -> list[tuple[tuple[str, ...], str]]:
    """Every option of every command that is a whole number."""
    return [
        (path, name)
        for path, command in _commands(build(), ())
        for argument in command.assemble_argument_collection(parse_docstring=False)
        for name in argument.names
        if int in (argument.hint, *get_args(argument.hint))
    ]


def test_no_whole_number_is_rounded_wherever_it_comes_from(ganmf, tmp_path: Path) -> None:
    options = whole_options()
    assert {name for _, name in options} >= {"-n", "--k", "--seed", "--folds", "--seeds", "--calls"}
    for path, name in options:
        texts = ["1.9", "1.0", "0x7", "1_0", "007", "\u0661", "+1", "1e1"]
        for text in texts if path == ("recommend",) else texts[:1]:
            done = ganmf(*path, name, text)
            said = f"{name.lstrip('-')} must be a whole number, written without leading zeros, not "
            assert (done.returncode, said in done.stderr) == (2, True), (path, name, done.stderr)
            assert repr(text) in one_sentence(done.stderr)
    done = ganmf("recommend", "m", env={"GANMF_N": "1.5"})
    assert "n must be a whole number, written without leading zeros, not '1.5' in GANMF_N" in (
        one_sentence(done.stderr)
    )
    (tmp_path / "ganmf.toml").write_text("n = 1.5\n")
    done = ganmf("recommend", "m", cwd=tmp_path)
    assert "not '1.5' in " in one_sentence(done.stderr)
    (tmp_path / "ganmf.toml").write_text("n = 2\n")
    assert "no model file" in ganmf("recommend", "m", cwd=tmp_path).stderr


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (["split", "--data", "", "--output", "o"], "data"),
        (["split", "--data", "demo", "--output", ""], "output"),
        (["fit", "EASE", "--data", "demo", "--output="], "output"),
        (["reproduce", "table2", "--output", "o", "--models", ""], "models"),
        (["data", "describe", ""], "data"),
        (["recommend", ""], "model"),
    ],
)
def test_empty_text_is_no_value(ganmf, tmp_path: Path, tokens: list[str], name: str) -> None:
    done = ganmf(*tokens, cwd=tmp_path)
    assert (done.returncode, list(tmp_path.iterdir())) == (2, [])
    assert one_sentence(done.stderr) == f"ganmf: {name} is empty: give a value, or leave it out"
    done = ganmf("data", "describe", "demo", env={"GANMF_DATA_DIR": ""})
    assert "data-dir is empty in GANMF_DATA_DIR" in one_sentence(done.stderr)


@pytest.mark.parametrize(
    ("tokens", "said"),
    [
        (["--method", "holdout", "--test-size", "1_0"], "test-size must be a fraction or a count"),
        (["--method", "holdout", "--test-size", "inf"], "test-size must be a fraction or a count"),
        (["--method", "holdout", "--test-size", "1e999"], "must lie between 0 and 1"),
        (["--method", "holdout", "--k-core", "\u0662,2"], "k-core must be two whole numbers"),
        (["--method", "holdout", "--k-core", "02,2"], "k-core must be two whole numbers"),
    ],
)
def test_numbers_in_text_are_written_the_plain_way(ganmf, ratings, tmp_path, tokens, said) -> None:
    done = ganmf("split", "--data", ratings, "--output", tmp_path / "s", *tokens)
    assert (done.returncode, said in one_sentence(done.stderr)) == (2, True), done.stderr
    done = ganmf("reproduce", "table2", "--output", tmp_path / "r", "--cutoffs", "5,1_0")
    assert "cutoffs must be whole numbers" in one_sentence(done.stderr)


@pytest.mark.processes
@pytest.mark.skipif(sys.platform == "win32", reason="descriptors are closed by a POSIX shell")
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&- <&-"])
def test_closed_streams_take_what_is_written(closed):
    for command, code in (("version", 0), ("fit NoSuch --data no", 2)):
        line = f"{shlex.quote(sys.executable)} -m ganmf_fast {command} {closed}"
        done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
        assert done.returncode == code
        assert "Error" not in done.stdout + done.stderr


@pytest.mark.processes
def test_ids_that_the_output_cannot_hold_are_an_error_with_the_way_out(ganmf_process, tmp_path):
    log = tmp_path / "log.csv"
    log.write_text("user,item\nü1,a\nü1,b\nv,b\nv,c\n", encoding="utf-8")
    model = tmp_path / "m.safetensors"
    assert ganmf_process("fit", "ItemKNN", "--data", log, "--output", model).returncode == 0
    done = ganmf_process("recommend", model, "--users", "v,ü1", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 1
    assert "cannot be written in ascii" in done.stderr
    assert "PYTHONIOENCODING=utf-8" in done.stderr
    assert not done.stdout


def test_a_settings_file_of_an_editor_of_windows_is_read(ganmf, tmp_path):
    (tmp_path / "ganmf.toml").write_bytes(b"\xef\xbb\xbfquiet = true\n")
    done = ganmf("version", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("tokens", "name"),
    [
        (("fit", "TopPopular", "--data", "log.csv", "--output", "log.csv"), "data"),
        (("recommend", "model", "--candidates", "log.csv", "--output", "other.csv"), "candidates"),
        (("recommend", "log.csv", "--output", "other.csv"), "model"),
        (("evaluate-lists", "log.csv", "--data", "none", "--output", "other.csv"), "files"),
    ],
)
def test_an_output_does_not_take_the_place_of_what_is_read(ganmf, tmp_path, tokens, name):
    (tmp_path / "log.csv").write_text("user,item\n1,2\n")
    (tmp_path / "other.csv").symlink_to(tmp_path / "log.csv")
    done = ganmf(*tokens, cwd=tmp_path)
    assert done.returncode == 2
    assert f"which {name} reads" in one_sentence(done.stderr)
    assert (tmp_path / "log.csv").read_text() == "user,item\n1,2\n"


def test_what_is_given_twice_is_refused(ganmf, tmp_path, ratings):
    fit = ("fit", "EASE", "--data", ratings, "--output", tmp_path / "model")
    done = ganmf(*fit, "--param", "l2=1", "--param", "l2=2")
    assert "param gives l2 twice" in one_sentence(done.stderr)
    (tmp_path / "ganmf.toml").write_text("[split]\ntest_size = 0.2\ntest-size = 0.3\n")
    done = ganmf("split", "--data", ratings, "--output", tmp_path / "out", cwd=tmp_path)
    assert "'test_size' and 'test-size'" in one_sentence(done.stderr)
