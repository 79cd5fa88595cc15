import json

import polars as pl
import pytest


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "log.csv"
    lines = [f"u{u},i{(u * 7 + k * k) % 83}" for u in range(120) for k in range(9)]
    path.write_text("user,item\n" + "\n".join(dict.fromkeys(lines)) + "\n", encoding="utf-8")
    return path


def test_models_of_a_log_are_measured(ganmf, log, tmp_path):
    output = tmp_path / "speed.csv"
    done = ganmf("bench", "EASE", "itemknn", "--data", log, "--rounds", 1, "--output", output)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("log, ")
    assert "EASE" in done.stdout
    assert pl.read_csv(output)["model"].to_list() == ["EASE", "ItemKNN"]


def test_one_json_document(ganmf, log):
    done = ganmf("bench", "--data", log, "--rounds", 1, "--json", "--quiet", "--threads", 1)
    assert (done.returncode, done.stderr) == (0, "")
    found = json.loads(done.stdout)
    assert found["machine"].startswith("1 thread")
    assert len(found["models"]) == 7
    assert all(row["lists_per_second"] > 0 for row in found["models"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["EASE", "ease"], "models names EASE twice"),
        (["NoSuch"], "NoSuch"),
        (["EASE", "--rounds", "0"], "rounds"),
        (["EASE", "--n", "0"], "n must be"),
        (["EASE", "--output", "x.txt"], "output must end in"),
    ],
)
def test_what_cannot_be_measured_ends_with_2(ganmf, log, options, words):
    done = ganmf("bench", *options, "--data", log)
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
