"""How a file is read, as every command with ``--data`` and ganmf.toml may say it."""

import json
from pathlib import Path

import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.cli import data_options
from ganmf_fast.cli.app import build
from ganmf_fast.cli.config import _options
from ganmf_fast.cli.data_options import DataOptions
from ganmf_fast.split.open_data import FileReading, open_data

COLUMN_OPTIONS = {
    "user": "2", "item": "3", "rating": "off", "timestamp": "0", "separator": ",",
    "header": None, "no-header": None, "quote": "off", "encoding": "latin-1", "duplicates": "first",
}  # fmt: skip
EVENTS = (
    "event_time,event_type,user_id,item_id\n"
    "2026-01-01,view,u1,i1\n2026-01-02,buy,u1,i2\n2026-01-03,view,u2,i1\n2026-01-04,view,u1,i3\n"
)


@pytest.fixture
def events(tmp_path: Path) -> Path:
    """A log whose first columns are a time and a type."""
    path = tmp_path / "events.csv"
    path.write_text(EVENTS)
    return path


@pytest.fixture
def described(ganmf):
    def describe(path, *tokens, **more):
        done = ganmf("data", "describe", path, *tokens, "--json", **more)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return describe


@pytest.fixture
def users_of(ganmf, monkeypatch):
    """Ids of the users that a command reads, which is given as tokens."""
    found = []

    def kept(*args):
        found.append(open_data(*args))
        return found[-1]

    monkeypatch.setattr(data_options, "open_data", kept)

    def users(*tokens, **more):
        done = ganmf(*tokens, **more)
        assert done.returncode == 0, done.stderr
        return found[-1].user_ids.tolist()

    return users


def refused(done) -> str:
    assert done.returncode in {2, 3}, (done.returncode, done.stdout, done.stderr)
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def test_every_command_with_data_has_every_option() -> None:
    with_data = {path: names for path, names in _options(build()).items() if "data" in names}
    assert len(with_data) == 9 + 9
    for path, names in with_data.items():
        assert set(COLUMN_OPTIONS) <= names, path


def test_columns_are_found_by_name_and_shown(described, events: Path, ganmf) -> None:
    found = described(events)
    assert (found["users"], found["items"], found["interactions"]) == (2, 3, 4)
    reading = found["reading"]
    assert reading["columns"] == {"user": "user_id", "item": "item_id", "timestamp": "event_time"}
    assert (reading["separator"], reading["quote"], reading["header"]) == (",", '"', True)
    assert (reading["encoding"], reading["lines"], reading["records"]) == ("utf-8", 5, 4)
    assert reading["left_out"] == {}
    shown = ganmf("data", "describe", events).stdout
    for line in ("user column", "item column", "timestamp column", "separator", "quoting"):
        assert line in shown
    assert "event_type" in shown


def test_lines_that_are_left_out_are_counted_by_reason(described, tmp_path: Path, ganmf) -> None:
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,2\n\n1,2\n3,4\n")
    reading = described(path)["reading"]
    assert reading["lines"] == 5
    assert reading["records"] == 3
    assert reading["left_out"] == {"blank": 1, "repeated": 1}
    shown = ganmf("data", "describe", path).stdout
    assert "left out: blank" in shown
    assert "left out: repeated" in shown


@pytest.mark.parametrize(
    ("text", "tokens", "users"),
    [
        (EVENTS, ("--user", "user_id", "--item", "item_id"), ["u1", "u2"]),
        (EVENTS, ("--user", "2", "--item", "3"), ["u1", "u2"]),
        (EVENTS, ("--user", "2", "--item", "3", "--header"), ["u1", "u2"]),
        ("user1,item1\nuser1,item2\nuser2,item1\n", ("--no-header",), ["user1", "user2"]),
        ("ann,tea\nbob,tea\n", ("--header", "--user", "0", "--item", "1"), ["bob"]),
        ("a;b|x\nc;b|y\n", ("--separator", "|", "--no-header"), ["a;b", "c;b"]),
        ("a,x\tb\nc,y\tb\n", ("--separator", "tab", "--no-header"), ["a,x", "c,y"]),
        ("'a,1',x\n'b',y\n", ("--quote", "'", "--no-header"), ["a,1", "b"]),
        ('"a,x\n"b,y\n', ("--quote", "off", "--no-header"), ['"a', '"b']),
    ],
)
def test_options_reach_the_reader(users_of, tmp_path: Path, text, tokens, users) -> None:
    path = tmp_path / "some.csv"
    path.write_text(text)
    assert users_of("data", "describe", path, *tokens) == users


def test_an_encoding_can_be_named(ganmf, users_of, tmp_path: Path) -> None:
    path = tmp_path / "some.csv"
    path.write_bytes("user,item\nAm\xe9lie,1\nBob,1\n".encode("latin-1"))
    assert "encoding" in refused(ganmf("data", "describe", path))
    found = users_of("data", "describe", path, "--encoding", "latin-1")
    assert found == ["Am\xe9lie", "Bob"]


def test_ratings_and_times_are_read_or_left_out(described, tmp_path: Path) -> None:
    path = tmp_path / "ratings.csv"
    path.write_text("user,item,stars,when\n1,2,3,100\n1,3,5,101\n2,2,1,99\n")
    assert set(described(path, "--rating", "stars")["reading"]["columns"]) >= {"rating"}
    named = tmp_path / "named.csv"
    named.write_text("user,item,rating,timestamp\n1,2,3,100\n1,2,5,101\n2,2,1,99\n")
    off = described(named, "--rating", "off", "--timestamp", "off")["reading"]["columns"]
    assert set(off) == {"user", "item"}
    assert described(named, "--duplicates", "last")["interactions"] == 2


@pytest.mark.parametrize("option", COLUMN_OPTIONS)
@pytest.mark.parametrize("what", ["name", "folder"])
def test_options_for_files_are_refused_with_other_data(
    ganmf, tmp_path: Path, option: str, what: str
) -> None:
    gf.split.paper_protocol(gf.datasets.load("demo")).save(tmp_path / "five")
    data = "demo" if what == "name" else tmp_path / "five"
    value = COLUMN_OPTIONS[option]
    tokens = (f"--{option}",) if value is None else (f"--{option}", value)
    said = refused(ganmf("data", "describe", data, *tokens))
    assert ("is a data set" if what == "name" else "is a folder of splits") in said


def test_a_folder_of_parquet_is_a_file_and_no_splits(described, tmp_path: Path) -> None:
    folder = tmp_path / "log"
    folder.mkdir()
    for part in range(2):
        frame = pl.DataFrame({"who": [f"u{part}", "u9"], "item": [1, part + 2]})
        frame.write_parquet(folder / f"part-{part}.parquet")
    found = described(folder, "--user", "who")
    assert (found["users"], found["interactions"]) == (3, 4)
    assert found["reading"]["format"] == "parquet"


def test_the_paper_is_reproduced_on_a_log_of_ones_own(ganmf, tmp_path: Path) -> None:
    rows = [f"x,{user},{item}" for user in range(12) for item in range(user % 3, 20, 2)]
    path = tmp_path / "log.csv"
    path.write_text("\n".join(["kind,who,what", *rows]) + "\n")
    tokens = ("--data", path, "--user", "who", "--item", "what")
    done = ganmf(
        "reproduce", "table2", *tokens, "--models", "TopPopular", "--output", tmp_path / "run"
    )
    assert done.returncode == 0, done.stderr
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert config["dataset"]["users"] == 12


@pytest.mark.parametrize("place", ["flag", "environment", "file"])
def test_options_come_from_any_source(described, events: Path, tmp_path: Path, place: str) -> None:
    config = tmp_path / "ganmf.toml"
    tokens, env = (), {}
    if place == "flag":
        config.write_text('[data]\nuser = "event_type"\nitem = "item_id"\n')
        tokens = ("--user", "user_id")
    elif place == "environment":
        config.write_text('[data]\nuser = "event_type"\nitem = "item_id"\n')
        env = {"GANMF_USER": "user_id"}
    else:
        config.write_text('[data]\nuser = 2\nitem = "item_id"\nheader = true\n')
    found = described(events, *tokens, env=env, cwd=tmp_path)
    assert found["reading"]["columns"] == {"user": "user_id", "item": "item_id"}


def test_a_table_of_one_command_is_stronger_than_data(described, events, tmp_path: Path) -> None:
    (tmp_path / "ganmf.toml").write_text(
        'user = "event_time"\nitem = "item_id"\n[data]\nuser = "event_type"\n'
        '[data.describe]\nuser = "user_id"\n'
    )
    found = described(events, cwd=tmp_path)
    assert found["reading"]["columns"]["user"] == "user_id"


def test_what_data_says_of_files_does_not_touch_other_data(described, tmp_path: Path) -> None:
    (tmp_path / "ganmf.toml").write_text('[data]\nuser = "uid"\nheader = true\n')
    assert described("demo", cwd=tmp_path)["name"] == "demo"
    gf.split.paper_protocol(gf.datasets.load("demo")).save(tmp_path / "five")
    assert described("five", cwd=tmp_path)["name"] == "demo"


def test_data_of_the_file_is_what_a_command_opens(users_of, events, tmp_path: Path) -> None:
    (tmp_path / "ganmf.toml").write_text('[data]\ndata = "events.csv"\nuser = "event_type"\n')
    assert users_of("data", "describe", cwd=tmp_path) == ["buy", "view"]


@pytest.mark.parametrize(
    ("content", "hint"),
    [
        ("[data]\nusr = 1\n", "user"),
        ("[data]\nthreads = 1\n", "threads"),
        ("[data]\nseed = 1\n", "seed"),
    ],
)
def test_a_key_that_data_does_not_have_is_refused(ganmf, tmp_path: Path, content, hint) -> None:
    (tmp_path / "ganmf.toml").write_text(content)
    assert hint in refused(ganmf("version", cwd=tmp_path))


def test_python_takes_the_same_reading(events: Path) -> None:
    reading = DataOptions(user="2", item="item_id", timestamp="off").reading
    assert reading.roles == gf.data.roles.Roles(2, "item_id", None, False)
    opened = open_data(str(events), reading=reading)
    assert opened.user_ids.tolist() == ["u1", "u2"]
    assert DataOptions().reading == FileReading()


def test_a_data_set_comes_before_a_folder_of_its_name_and_says_so(described, ganmf, tmp_path):
    (tmp_path / "demo").mkdir()
    pl.DataFrame({"user": ["a"], "item": ["x"]}).write_parquet(tmp_path / "demo" / "p.parquet")
    done = ganmf("data", "describe", "demo", "--json", cwd=tmp_path)
    assert done.stderr.splitlines() == [
        "demo is the data set of this name; what lies here is ./demo"
    ]
    assert json.loads(done.stdout)["users"] > 1
    done = ganmf("data", "describe", "./demo", "--json", cwd=tmp_path)
    assert (json.loads(done.stdout)["users"], done.stderr) == (1, "")


def test_text_that_is_too_long_for_a_name_names_no_file(ganmf) -> None:
    for tokens in (("data", "describe", "x" * 300), ("fit", "EASE", "--data", "x" * 300,
                   "--output", "m"), ("evaluate", "E" * 300, "--data", "demo")):  # fmt: skip
        assert "too long" not in refused(ganmf(*tokens))
