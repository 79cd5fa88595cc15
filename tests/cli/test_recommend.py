"""`ganmf recommend` and `ganmf similar`."""

import csv
import io
import json
from dataclasses import replace

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.cli.common import json_text


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


@pytest.fixture(scope="module")
def model_of(tmp_path_factory):
    """Save a model whose items, and users, have the given ids."""
    folder = tmp_path_factory.mktemp("of")

    def make(ids):
        path = folder / f"{len(list(folder.iterdir()))}.safetensors"
        A = np.tri(len(ids))
        gf.ItemKNN().fit(gf.Interactions.from_matrix(A, ids, ids)).save(path)
        return path

    return make


def refused(done, words):
    assert done.returncode == 2, done.stdout
    assert words in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("header", ["", '"id"\n', "id\n"])
@pytest.mark.parametrize(
    "ids", [["i1", "i2", "i3"], ["a,b", 'c "d"', "e\nf"], ["1", "02", "x;y"], [7, 8, 9]]
)
def test_quoted_columns_of_csv_are_read_as_what_they_quote(ganmf, model_of, tmp_path, header, ids):
    model, path = model_of(ids), tmp_path / "ids"
    first, second = ('"' + str(one).replace('"', '""') + '"' for one in ids[:2])
    path.write_text(f"{header.replace('id', 'user')}{first}\n{second}\n")
    ask = ("recommend", model, "--include-seen", "-n", "9")
    assert {row[0] for row in lines(ganmf(*ask, "--users", path))} == {str(one) for one in ids[:2]}
    path.write_text(f"{header.replace('id', 'item')}{first}\n{second}\n")
    for option, left in (("--candidates", ids[:2]), ("--exclude-items", ids[2:])):
        found = {row[2] for row in lines(ganmf(*ask, option, path))}
        assert found == {str(one) for one in left}


def test_quotes_that_are_part_of_ids_stay(ganmf, model_of, tmp_path):
    model, path = model_of(['"Heroes"', "b", '"Very" c']), tmp_path / "ids"
    path.write_text('"Heroes"\n"Very" c\n')
    found = lines(ganmf("recommend", model, "--include-seen", "--exclude-items", path))
    assert {row[2] for row in found} == {"b"}


@pytest.mark.parametrize("option", ["--users", "--candidates", "--exclude-items"])
@pytest.mark.parametrize(
    "first", ["show", "game", "user", "client", "item:1", "u\u2028v", "u\x85", "\x1c"]
)
def test_lines_end_at_line_feeds_and_a_known_id_is_no_header(
    ganmf, model_of, tmp_path, option, first
):
    model, path = model_of([first, "x", "y"]), tmp_path / "ids"
    path.write_bytes(f"{first}\r\nx\r\n".encode())
    done = ganmf("recommend", model, "--include-seen", option, path, "--json")
    found = {row["user" if option == "--users" else "item"] for row in json.loads(done.stdout)}
    assert found == ({"y"} if option == "--exclude-items" else {first, "x"})


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("text", "i1 \n", "none of 1 item ids, such as 'i1 ', is known to the model, which has"),
        ("text", '"i1\n', "none of 1 item ids"),
        ("text", "user,item\nnobody,i1\n", "none of 1 user ids, such as 'nobody', is known"),
        ("whole", "user,item\n100,1\n", "none of 1 item ids, such as 1, is known"),
        ("plain", "99\n", "none of 1 item ids, such as 99, is known to the model; with"),
        ("whole", "50 \n", "must hold whole numbers, written without leading zeros, as the"),
    ],
)
def test_a_file_of_items_to_leave_out_that_matches_nothing_is_refused(
    ganmf, folder, tmp_path, name, content, words
):
    (tmp_path / "ids").write_text(content)
    ask = ("recommend", folder / f"{name}.safetensors", "--exclude-items", tmp_path / "ids")
    refused(ganmf(*ask), words)
    if "none of" in words:
        with pytest.warns(UserWarning, match="exclude_items has no effect"):
            assert ganmf(*ask, "--unknown", "skip").returncode == 0


def test_items_to_leave_out_that_are_unknown_are_counted(ganmf, folder, tmp_path):
    (tmp_path / "ids").write_text("i1\ni2 \nnew\n")
    done = ganmf(
        "recommend", folder / "text.safetensors", "--exclude-items", tmp_path / "ids",
        "--include-seen",
    )  # fmt: skip
    assert "i1" not in {row[2] for row in lines(done)}
    said = "exclude_items: 2 of 3 item ids, such as 'i2 ', are unknown to the model and have no"
    assert done.stderr == f"{said} effect\n"


def test_items_of_another_type_in_parquet_are_refused(ganmf, folder, tmp_path):
    pl.DataFrame({"item": ["51", "50"]}).write_parquet(tmp_path / "ids.parquet")
    for option in ("--candidates", "--exclude-items"):
        for unknown in ("error", "skip"):
            done = ganmf("recommend", folder / "whole.safetensors", option,
                         tmp_path / "ids.parquet", "--unknown", unknown)  # fmt: skip
            assert done.returncode == 2
            assert "'51'" in done.stderr


@pytest.mark.parametrize(
    "ids",
    [
        [7, 10, 1],
        [7.0, 10.5, 1e-7],
        [True, False],
        np.array(["2024-01-01", "2024-01-02"], "M8[D]"),
        np.array(["2024-01-01", "2024-01-02"], "M8[us]"),
    ],
)
def test_what_recommend_prints_names_the_same_ids(ganmf, model_of, tmp_path, ids):
    model = model_of(ids)
    every = lines(ganmf("recommend", model, "--include-seen"))
    users = list(dict.fromkeys(row[0] for row in every))
    assert len(users) == len(ids)
    assert lines(ganmf("recommend", model, "--include-seen", "--users", ",".join(users))) == every
    (tmp_path / "ids").write_text("\n".join(users))
    assert lines(ganmf("recommend", model, "--include-seen", "--users", tmp_path / "ids")) == every


@pytest.mark.parametrize("option", ["--users", "--items"])
@pytest.mark.parametrize(
    ("ids", "texts", "words"),
    [
        ([7, 10, 1, -1], ["007", "1_0", "\u0661", "+7", "7.0", "-0", "0x7", ""], "must hold whole"),
        ([0.1, 7.0], ["0.1000000000000000055", "1_0.0", "nan", "inf", " ", "x"], "must hold num"),
        (np.array(["2024-01-01"], "M8[D]"), ["2024", "2024-01", "2024-01-01T00:00:00", "1", "today",
                                             "2024-13-01"], "must hold dates such as 2024-01-01"),
        (np.array(["2024-01-01"], "M8[us]"), ["2024-01-01T00:00:00+05:00", "2024-01-01"], "dates"),
    ],
)  # fmt: skip
def test_only_the_text_of_an_id_names_it(ganmf, model_of, tmp_path, option, ids, texts, words):
    model = model_of(ids)
    command = "recommend" if option == "--users" else "similar"
    for text in texts:
        refused(ganmf(command, model, option, f"{ids[0]},{text}"), words)
        (tmp_path / "ids").write_text(f"{ids[0]}\n{text or ' '}\n")
        refused(ganmf(command, model, option, tmp_path / "ids"), words)


def test_a_list_may_be_longer_than_the_name_of_a_file(ganmf, folder):
    users = ",".join(map(str, [*range(100, 112)] * 30))
    found = lines(ganmf("recommend", folder / "whole.safetensors", "--users", users, "-n", "1"))
    assert {row[0] for row in found} == {str(user) for user in range(100, 112)}


def test_what_is_an_id_and_a_file_is_refused(ganmf, folder, tmp_path):
    (tmp_path / "100").write_text("101\n")
    (tmp_path / "u1,u2").write_text("u3\n")
    for name, text in (("whole", "100"), ("text", "u1,u2")):
        for command in ("recommend", "similar"):
            ask = (command, folder / f"{name}.safetensors", "--users")
            refused(ganmf(*ask, text, cwd=tmp_path), f"./{text} is the file")
            assert ganmf(*ask, f"./{text}", cwd=tmp_path).returncode == 0


def test_ids_with_commas_and_blanks_are_given_in_a_file(ganmf, model_of, tmp_path):
    model = model_of(["a,b", " a", "a", "b"])
    words = "give a file, --users FILE, with one user a line"
    for text, shown in (("a,b", "'a,b'"), (" a", "' a'"), ("b, a", "' a'"), ("x,b", "'x'")):
        refused(ganmf("recommend", model, "--users", text), words)
        refused(ganmf("recommend", model, "--users", text), shown)
    (tmp_path / "ids").write_text("a,b\n a\n")
    found = lines(ganmf("recommend", model, "--include-seen", "--users", tmp_path / "ids"))
    assert {row[0] for row in found} == {"a,b", " a"}
    found = lines(ganmf("recommend", model, "--users", "x,a", "--unknown", "skip"))
    assert {row[0] for row in found} == {"a"}


def test_no_lists_at_all_are_a_table_without_rows(ganmf, model_of, tmp_path):
    ask = ("recommend", model_of(["a", "b"]), "--users", "b")
    assert ganmf(*ask).stdout == '"user","rank","item","score"\n'
    assert ganmf(*ask, "--output", tmp_path / "none.parquet").returncode == 0
    assert pl.read_parquet(tmp_path / "none.parquet").schema["item"] == pl.String


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


def test_no_json_holds_infinite_numbers(ganmf, tmp_path_factory, tmp_path):
    # As earlier versions took.
    ids = {"user_ids": np.array([1.5, np.inf]), "item_ids": np.array([1.5, np.inf])}
    data = replace(gf.Interactions.from_matrix(np.tri(2)), **ids, numbered=False)
    model = tmp_path_factory.mktemp("infinite") / "m.safetensors"
    gf.ItemKNN().fit(data).save(model)
    assert "inf" in ganmf("recommend", model, "--include-seen").stdout
    said = "holds infinite numbers, which JSON has not: write CSV or parquet"
    refused(ganmf("recommend", model, "--include-seen", "--json"), f"column 'user' {said}")
    refused(ganmf("recommend", model, "--include-seen", "--output", tmp_path / "l.json"), said)
    assert list(tmp_path.iterdir()) == []
    content = {"t": float("inf"), "p": (float("nan"), [-float("inf"), 1.5]), "n": 1}
    assert json.loads(json_text(content)) == {"t": None, "p": [None, [None, 1.5]], "n": 1}
