"""Whatever a file holds, a command ends with one sentence and an exit code."""

import gzip
import json

import numpy as np
import pytest
import scipy.sparse as sp

from ganmf_fast.split import paper_protocol

HOSTILE = {
    "deep": ("a = " + "[" * 50_000, "[" * 50_000),
    "dotted": ("a." * 20_000 + "a = 1", '{"a": ' * 3000),
    "digits": ("threads = " + "9" * 5000, '{"ItemKNN-cosine": {"topk": ' + "9" * 5000 + "}}"),
    "twice": ("threads = 1\nthreads = 2", '{"a": {}, "a": {}}'),
    "nothing": ("\0", ""),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_configuration_and_parameters_are_refused(ganmf, tmp_path, name):
    toml, text = HOSTILE[name]
    (tmp_path / "ganmf.toml").write_text(toml)
    done = ganmf("data", "list", cwd=tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "ganmf.toml" in done.stderr
    (tmp_path / "ganmf.toml").unlink()
    for path, content in ((tmp_path / "p.toml", toml), (tmp_path / "p.json", text)):
        path.write_text(content)
        done = ganmf(
            "reproduce", "table2", "--data", "demo", "--params", path, "--output", tmp_path / "o"
        )
        assert (done.returncode, done.stderr.count("\n")) == (2, 1), done.stderr
        assert path.name in done.stderr


@pytest.mark.parametrize("value", ["[" * 50_000, "9" * 5000, "9" * 400, "1e999", "\ud800"])
def test_parameters_on_the_command_line_are_refused(ganmf, value):
    done = ganmf("fit", "EASE", "--data", "demo", "--output", "m", "--param", f"l2={value}")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)


@pytest.mark.parametrize("kind", ["csc", "bsr", "dia", "coo"])
def test_a_split_that_points_outside_itself_is_refused(ganmf, tmp_path, toy_urm, kind):
    paper_protocol(toy_urm).save(tmp_path)
    matrix = sp.load_npz(tmp_path / "train.npz").asformat(kind)
    sp.save_npz(tmp_path / "train.npz", matrix)
    assert ganmf("data", "describe", "--data", tmp_path).returncode == 0
    with np.load(tmp_path / "train.npz") as stored:
        parts = dict(stored)
    name = {"coo": "row", "dia": "offsets"}.get(kind, "indptr")
    parts[name] = parts[name] + np.int32(10**6) * (np.arange(len(parts[name])) == 1)
    parts["shape"] = np.array([2**40, 40]) if kind == "dia" else parts["shape"]
    np.savez(tmp_path / "train.npz", **parts)
    done = ganmf("data", "describe", "--data", tmp_path)
    assert (done.returncode, done.stderr.count("\n")) == (3, 1)
    assert "train.npz is damaged" in done.stderr


def test_brackets_and_escapes_of_strangers_are_shown_as_text(ganmf, tmp_path, toy_urm):
    paper_protocol(toy_urm).save(tmp_path / "s")
    info = {"format": 1, "name": "[/x] [bold red] :smile: \x1b[2J", "simulated": False}
    (tmp_path / "s" / "splits.json").write_text(json.dumps(info))
    done = ganmf("data", "describe", "--data", tmp_path / "s")
    assert done.returncode == 0, done.stderr
    assert r"[/x] [bold red] :smile: \x1b[2J" in done.stdout
    journal = tmp_path / "[bold].jsonl"
    header = {
        "format": 1, "model": "[/x]", "space": {"[/y]": {"int": [1, 9]}}, "dataset": "\x1b]0;a\x07",
        "metric": "map", "backend": "random", "seed": 1,
    }  # fmt: skip
    trial = {"number": 0, "params": {"[/y]": 3}, "status": "failed", "reason": "[/z]\n\x1b[1m"}
    journal.write_text("".join(json.dumps(line) + "\n" for line in (header, trial)))
    done = ganmf("runs", "show", journal)
    assert done.returncode == 0, done.stderr
    assert all(text in done.stdout for text in ("[/x] on", "[/y]", "[/z]"))
    assert "\x1b" not in done.stdout + done.stderr


@pytest.mark.parametrize(("value", "code"), [("20G", 0), ("", 0), ("5", 3), ("much", 2)])
def test_the_environment_bounds_what_a_file_becomes(ganmf, tmp_path, value, code):
    path = tmp_path / "log.csv.gz"
    path.write_bytes(gzip.compress(b"user,item\n1,2\n"))
    done = ganmf("data", "describe", "--data", path, env={"GANMF_MAX_UNPACKED": value})
    assert done.returncode == code, done.stderr
    assert code == 0 or "GANMF_MAX_UNPACKED" in done.stderr
