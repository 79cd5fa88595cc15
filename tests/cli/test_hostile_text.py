"""Names, ids and paths of strangers on the command line: shown as text, kept as they are."""

import contextlib
import csv
import io
import json
import logging
import warnings
from pathlib import Path
from xml.parsers import expat

import numpy as np
import polars as pl
import pytest

import ganmf_fast as gf
from ganmf_fast.base.console import TextConsole
from ganmf_fast.base.text import printable
from ganmf_fast.cli import _warnings_in_a_line, main
from ganmf_fast.cli.common import Common, begin
from ganmf_fast.results.document import read, to_json
from ganmf_fast.results.result_table import Entry, ResultTable, Run
from ganmf_fast.results.tables import summary_csv, terminal_table, to_csv, to_latex, to_markdown

NAMES = [
    "[/x]", "[red]a", ":warning:", "\x1b[31mred\x1b]0;title\x07", "\x9b31m", "a\nganmf: b", "a\rb",
    "\u202egnp.exe", "=1+1", "-1", "a|b", "<script>a</script>", "\\input{a}", "a\x7fb",
]  # fmt: skip
IDS = [
    *NAMES,
    "=a,b",
    '"',
    "a,b",
    "a\r\nb",
    "' ",
    " a",
    "01",
    "1.0",
    "-5",
    "\u2028",
    "東京",
    "true",
]
URM = (np.random.default_rng(5).random((len(IDS), 30)) < 0.4).astype(np.float32)


def assert_plain(text: str) -> None:
    """Nothing that a terminal would obey."""
    assert all(line.isprintable() for line in text.split("\n"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose users and items have the ids of `IDS`."""
    urm = URM[:, : len(IDS)]
    rows, cols = np.nonzero(urm)
    users, items = ([IDS[at] for at in side] for side in (rows, cols))
    data = gf.Interactions.from_frame({"user": users, "item": items}, "user", "item")
    path = tmp_path_factory.mktemp("hostile") / "model.safetensors"
    gf.ItemKNN(topk=5).fit(data).save(path)
    return path


def save_splits(folder: Path, name: str) -> None:
    gf.split.paper_protocol(URM).save(folder)
    about = json.loads((folder / "splits.json").read_text())
    (folder / "splits.json").write_text(json.dumps({**about, "name": name}))


@pytest.mark.parametrize("name", NAMES)
def test_a_path_and_data_of_any_name_are_shown_as_text(name: str, tmp_path: Path, ganmf) -> None:
    folder = tmp_path / name.replace("/", "")
    save_splits(tmp_path / "splits", name)
    folder.mkdir()
    output = folder / "m.safetensors"
    done = ganmf("fit", "TopPopular", "--data", tmp_path / "splits", "--output", output)
    assert done.returncode == 0, done.stderr
    assert output.is_file()
    assert done.stdout == f"{printable(str(output))}\n"
    assert_plain(done.stdout + done.stderr)
    assert len(done.stderr.splitlines()) == 1
    facts = json.loads(ganmf("fit", "TopPopular", "--data", tmp_path / "splits", "--output",
                             output, "--json").stdout)  # fmt: skip
    assert (facts["output"], facts["data"]) == (str(output), name)
    for command in (("data", "describe"), ("evaluate", output, "--data")):
        done = ganmf(*command, tmp_path / "splits")
        assert done.returncode == 0, done.stderr
        assert printable(name) in done.stdout
        assert_plain(done.stdout + done.stderr)
        told = json.loads(ganmf(*command, tmp_path / "splits", "--json").stdout)
        assert name in told.values()


@pytest.mark.parametrize("name", [*NAMES, "x" * 10**6, "\udcff"])
def test_errors_are_one_plain_line(name: str, model: Path, tmp_path: Path, ganmf) -> None:
    commands = [
        ("recommend", tmp_path / name[:200].replace("/", "")),
        ("recommend", model, "--users", name.replace(",", "")),
        ("recommend", model, "--output", f"{name}.txt"),
        ("data", "describe", name),
        ("data", "fetch", name),
        ("fit", name, "--data", "demo", "--output", "m"),
        ("fit", "ItemKNN", "--data", "demo", "--output", "m", "--param", f"{name}=1"),
        ("runs", "show", name),
        ("reproduce", "table2", "--models", name, "--output", "out"),
        ("report", name),
        (f"--{name}",),
        (name,),
    ]
    for tokens in commands:
        done = ganmf(*tokens, cwd=tmp_path)
        if done.returncode == 0:
            # It is a user's id, or what looks like a flag.
            continue
        assert_plain(done.stderr)
        assert len(done.stderr.splitlines()) == 1, done.stderr
        assert len(done.stderr) < 6000
        assert done.stderr.startswith("ganmf: ")


@pytest.mark.parametrize("name", NAMES)
def test_a_hostile_journal_is_shown(name: str, tmp_path: Path, ganmf) -> None:
    header = {
        "format": 1, "model": name, "dataset": name, "metric": name, "backend": name, "seed": name,
        "space": {"topk": {"int": [1, 9]}, "similarity": {"choice": [name, "b"]}},
    }  # fmt: skip
    params = {"topk": 1, "similarity": name}
    lines = [
        header,
        {"number": 0, "params": params, "status": "done", "value": 0.5},
        {"number": 1, "params": params, "status": "failed", "reason": name},
    ]
    path = tmp_path / "journal.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    done = ganmf("runs", "show", path)
    assert done.returncode == 0, done.stderr
    assert_plain(done.stdout + done.stderr)
    assert done.stdout.count(printable(name)) >= 5
    assert json.loads(ganmf("runs", "show", path, "--json").stdout)["search"]["model"] == name


@pytest.mark.parametrize(
    "space", [{"\x1b[31m": {"int": 3}}, {"\x1b": {"int": "\x9b"}}, {"a": {"choice": ["\x1b"] * 2}}]
)
def test_a_hostile_space_is_refused(space: dict, tmp_path: Path, ganmf) -> None:
    header = dict.fromkeys(("model", "dataset", "metric", "backend", "seed"), "a")
    path = tmp_path / "journal.jsonl"
    path.write_text(json.dumps({"format": 1, **header, "space": space}) + "\n")
    done = ganmf("runs", "show", path)
    assert done.returncode == 3
    assert_plain(done.stderr)


def test_recommended_ids_are_read_back_as_they_are(model: Path, tmp_path: Path, ganmf) -> None:
    """What programs read is quoted, and never altered."""
    lists = gf.load(model).recommend(IDS, n=3)
    expected = list(zip(lists["user"], lists["item"], strict=True))
    assert {user for user, _ in expected} == set(IDS)
    done = ganmf("recommend", model, "-n", "3")
    # As users redirect it.
    redirected = tmp_path / "redirected.csv"
    redirected.write_text(done.stdout, newline="")
    for name in ("lists.csv", "lists.parquet", "lists.json"):
        assert ganmf("recommend", model, "-n", "3", "--output", tmp_path / name).returncode == 0
    found = {
        "csv": list(csv.DictReader(io.StringIO(done.stdout, newline=""))),
        "polars": pl.read_csv(redirected, schema_overrides={"user": pl.String, "item": pl.String}),
        "json": json.loads(ganmf("recommend", model, "-n", "3", "--json").stdout),
        "json file": json.loads((tmp_path / "lists.json").read_text()),
        "parquet": pl.read_parquet(tmp_path / "lists.parquet"),
    }
    for kind, table in found.items():
        rows = table.to_dicts() if isinstance(table, pl.DataFrame) else table
        pairs = [(row["user"], row["item"]) for row in rows]
        assert sorted(pairs) == sorted(expected), kind
    assert (tmp_path / "lists.csv").read_bytes() == done.stdout.encode()
    again = gf.Interactions.from_csv(tmp_path / "lists.csv", user="user", item="item")
    assert set(again.user_ids) == set(IDS)


def test_ids_do_not_reach_a_terminal_as_codes(model: Path, monkeypatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    out = Terminal()
    with contextlib.redirect_stdout(out):
        assert main(["recommend", str(model), "-n", "3"]) == 0
    assert_plain(out.getvalue())
    assert "\\x1b[31mred" in out.getvalue()


def test_json_is_ascii_without_control_characters(model: Path, ganmf) -> None:
    done = ganmf("recommend", model, "--json")
    assert done.stdout.isascii()
    assert_plain(done.stdout)


def test_logs_and_warnings_are_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("ganmf_fast")
    begin(Common())
    logger.warning("%s", "\x1b[31mred\nganmf: forged")
    logger.handlers = []
    logger.setLevel(logging.NOTSET)
    assert capsys.readouterr().err == "\\x1b[31mred\\nganmf: forged\n"
    with _warnings_in_a_line():
        line = warnings.formatwarning(
            UserWarning("\x1b[31mred\nforged"), UserWarning, "train.py", 1
        )
    assert line == "ganmf: warning: \\x1b[31mred forged\n"


# tables ------------------------------------------------------------------------------------------


def table(name: str) -> ResultTable:
    run = Run(1, {("map", 5): 0.25}, {"fit_seconds": 1.0, "evaluate_seconds": 1.0,
                                      "fit_peak_mib": 1.0, "evaluate_peak_mib": 1.0})  # fmt: skip
    entries = (
        Entry(name, (run,), {("map", 5): 0.5}, {"p": name, "q": -1.5}, name, point=1.0,
              known_difference=name),
        Entry("other", (), problem=name, point=1.0),
    )  # fmt: skip
    return ResultTable(
        name, False, name, (5,), entries, (("map", 5),), title=name, quick=name, note=name,
        subject=name, axis=name, point_names={1.0: name},
    )  # fmt: skip


@pytest.mark.parametrize("name", NAMES)
def test_tables_hold_names_as_text(name: str) -> None:
    made = table(name)
    out = io.StringIO()
    TextConsole(file=out, width=300).print(terminal_table(made))
    assert printable(name) in out.getvalue()
    texts = [out.getvalue(), to_markdown(made), to_latex(made), to_csv(made), summary_csv(made)]
    for text in texts:
        assert_plain(text)
    assert "<script" not in to_markdown(made)
    assert "\\input" not in to_latex(made)
    rows = [line for line in to_markdown(made).splitlines() if line.startswith("| ")]
    assert {line.count("|") for line in rows} == {4, 7, 9}
    for text in (to_csv(made), summary_csv(made)):
        [row] = csv.DictReader(io.StringIO(text))
        assert row["model"].removeprefix("'") == printable(name)
        assert not row["model"].startswith(tuple("=+-@\t\r"))
    [row] = csv.DictReader(io.StringIO(to_csv(made)))
    assert (float(row["value"]), float(row["delta"])) == (0.25, -0.25)


@pytest.mark.parametrize("name", NAMES)
def test_charts_of_any_name_are_drawn(name: str) -> None:
    pytest.importorskip("vl_convert", reason="the extra report is not installed")
    from ganmf_fast.results.charts.files import rendered, table_figure

    figure = table_figure(ResultTable(**{**vars(table(name)), "chart": "bars"}))
    svg = rendered(figure, "svg").decode()
    texts = []
    parser = expat.ParserCreate()
    parser.CharacterDataHandler = texts.append
    parser.Parse(svg, True)
    shown = "".join(texts)
    assert printable(name) in shown
    assert "<script" not in svg
    assert rendered(figure, "png").startswith(b"\x89PNG")


def test_a_document_read_back_holds_no_codes() -> None:
    for name in NAMES:
        assert read(to_json(table(name))).dataset == printable(name)
