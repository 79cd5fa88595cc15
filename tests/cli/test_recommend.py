"""`ganmf recommend` and `ganmf similar`."""

import csv
import io
import json

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model with text ids, one with numbers as ids, and one without ids."""
    folder = tmp_path_factory.mktemp("models")
    A = (np.random.default_rng(2).random((12, 9)) < 0.4) | np.eye(12, 9, dtype=bool)
    for name, ids in {
        "text": ([f"u{u}" for u in range(12)], [f"i{i}" for i in range(9)]),
        "whole": (np.arange(100, 112), np.arange(50, 59)),
    }.items():
        data = gf.Interactions.from_matrix(A, *ids)
        gf.ItemKNN(topk=4).fit(data).save(folder / f"{name}.safetensors")
    gf.ItemKNN(topk=4).fit(A).save(folder / "plain.safetensors")
    return folder


def lines(done):
    assert done.returncode == 0, done.stderr
    return [tuple(row.values()) for row in csv.DictReader(io.StringIO(done.stdout))]


def test_all_users_go_to_a_file_and_the_same_command_goes_on(ganmf, folder, tmp_path):
    model, output = folder / "text.safetensors", tmp_path / "lists.parquet"
    for _ in range(2):
        done = ganmf("recommend", model, "--all", "-n", "3", "--output", output, "--json")
        assert done.returncode == 0, done.stderr
        found = pl.read_parquet(output)
        assert json.loads(done.stdout) == {
            "path": str(output), "n_users": 12, "n_rows": len(found), "skipped": 0,
        }  # fmt: skip
    fitted = gf.load(model)
    expected = pl.DataFrame(fitted.recommend(fitted.user_ids_, n=3))
    assert found["item"].to_list() == expected["item"].to_list()
    done = ganmf("recommend", model, "--all", "-n", "4", "--output", output)
    assert done.returncode == 2
    assert "holds something else" in done.stderr
    assert ganmf("recommend", model, "--all").returncode == 2


@pytest.mark.parametrize(
    ("name", "u", "i"), [("text", "u", "i"), ("whole", "10", "5"), ("plain", "", "")]
)
@pytest.mark.parametrize("form", ["text", "parquet"])
def test_files_name_users_and_items(ganmf, folder, tmp_path, name, u, i, form):
    """Users 3 and 1; items 2 and 4 for all, or 5 for user 3 and 6 for user 1."""
    kind = str if name == "text" else int
    model = folder / f"{name}.safetensors"

    def file(stem, **columns):
        table = pl.DataFrame({c: [kind(v) for v in values] for c, values in columns.items()})
        path = tmp_path / f"{stem}.{'parquet' if form == 'parquet' else 'txt'}"
        if form == "parquet":
            table.write_parquet(path)
        else:
            table.write_csv(path)
        return path

    users = file("users", user=[f"{u}3", f"{u}1"])
    few = file("few", item=[f"{i}2", f"{i}4"])
    own = file("own", user=[f"{u}3", f"{u}1"], item=[f"{i}5", f"{i}6"])
    ask = ("recommend", model, "--users", users, "--include-seen", "-n", "9")
    listed = lines(ganmf(*ask, "--candidates", few))
    assert [(user, item) for user, _, item, _ in sorted(listed, key=lambda row: row[::2])] == [
        (f"{u}1", f"{i}2"), (f"{u}1", f"{i}4"), (f"{u}3", f"{i}2"), (f"{u}3", f"{i}4"),
    ]  # fmt: skip
    listed = lines(ganmf(*ask, "--candidates", own))
    assert [(user, item) for user, _, item, _ in listed] == [(f"{u}3", f"{i}5"), (f"{u}1", f"{i}6")]
    listed = lines(ganmf(*ask, "--exclude-items", own))
    assert {(user, item) for user, _, item, _ in listed} == {
        (f"{u}{user}", f"{i}{item}")
        for user, left in ((3, 5), (1, 6))
        for item in range(9)
        if item != left
    }


def test_files_of_lines_need_no_header(ganmf, folder, tmp_path):
    (tmp_path / "users").write_text("u3\n\nu1\n")
    (tmp_path / "items").write_text("i2\ni4\n")
    ask = ("recommend", folder / "text.safetensors", "--include-seen", "-n", "1")
    listed = lines(ganmf(*ask, "--users", tmp_path / "users", "--candidates", tmp_path / "items"))
    assert [row[0] for row in listed] == ["u3", "u1"]


@pytest.mark.parametrize(
    ("content", "words", "code"),
    [
        ("u1,i1\nu2,i2\n", "must hold one item a line, or columns whose names", 2),
        ("i1\nnew\n", "'new' is unknown", 2),
        ("", "candidates is empty", 2),
        (None, "candidates: there is no file", 3),
    ],
)
def test_a_file_that_is_not_understood_is_refused(ganmf, folder, tmp_path, content, words, code):
    path = tmp_path / "candidates"
    if content is not None:
        path.write_text(content)
    ask = ("recommend", folder / "text.safetensors", "--users", "u3", "--candidates", path)
    done = ganmf(*ask)
    assert (done.returncode, words in done.stderr) == (code, True), done.stderr
    if content == "i1\nnew\n":
        assert lines(ganmf(*ask, "--unknown", "skip", "--include-seen"))[0][2] == "i1"


@pytest.mark.parametrize("what", ["items", "users"])
@pytest.mark.parametrize("name", ["text", "whole", "plain"])
def test_similar_lists_pairs(ganmf, folder, tmp_path, what, name):
    fitted = gf.load(folder / f"{name}.safetensors")
    ids = getattr(fitted, f"{what[:-1]}_ids_")
    ids = np.arange(9) if ids is None else ids
    asked = [ids[4], ids[2]]
    command = ("similar", folder / f"{name}.safetensors", f"--{what}", f"{asked[0]},{asked[1]}")
    found = lines(ganmf(*command, "-n", "3"))
    expected = getattr(fitted, f"similar_{what}")(asked, n=3)
    similar = expected.items.ravel() if name == "plain" else expected["similar"]
    assert [row[2] for row in found] == [str(i) for i in similar if str(i) != "-1"]
    assert [row[0] for row in found] == sorted(
        (row[0] for row in found), key=[*map(str, asked)].index
    )
    written = ganmf(*command, "-n", "3", "--output", tmp_path / "near.parquet")
    assert written.returncode == 0
    assert len(pl.read_parquet(tmp_path / "near.parquet")) == len(found)


def test_similar_needs_one_kind(ganmf, folder):
    model = folder / "text.safetensors"
    for options in ([], ["--items", "i1", "--users", "u1"]):
        done = ganmf("similar", model, *options)
        assert done.returncode == 2
        assert "needs --items or --users" in done.stderr
    assert "unknown" in ganmf("similar", model, "--items", "nothing").stderr
