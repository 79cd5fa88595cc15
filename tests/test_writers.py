"""Whatever is written is there as a whole, or as it was before, and one error says why not."""

import errno
import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from file_limit import files_of_at_most

import ganmf_fast as gf
from ganmf_fast.base.errors import WriteError
from ganmf_fast.base.files import write_tensors, write_whole
from ganmf_fast.cli.frame_files import write_frame
from ganmf_fast.results.store import Store, npz
from ganmf_fast.tuning.journal import Journal
from ganmf_fast.tuning.trial import Trial

pytest.importorskip("resource", reason="the size of files cannot be limited here")

LIMIT = 1000
NOISE = np.random.default_rng(0).random(10_000)
full_disk = partial(files_of_at_most, LIMIT)


@pytest.fixture(scope="module")
def model() -> gf.ItemKNN:
    return gf.ItemKNN(topk=5).fit((np.random.default_rng(1).random((60, 40)) < 0.3).astype("f4"))


@pytest.fixture(scope="module")
def splits() -> gf.Splits:
    return gf.split.paper_protocol((np.random.default_rng(1).random((99, 60)) < 0.4).astype("f4"))


def frame(path: Path) -> None:
    write_frame(pl.DataFrame({"user": np.arange(10_000), "score": NOISE}), path)


def journal(path: Path) -> None:
    Journal(path, {"format": 1, "noise": NOISE[:200].tolist()}).close()


# What writes one file, by the ending of its name.
WRITERS: dict[str, Callable[[Path, gf.ItemKNN], None]] = {
    "model.safetensors": lambda path, model: model.save(path),
    "checkpoint.safetensors": lambda path, _: write_tensors(path, "kind", "text", {"a": NOISE}),
    "table.csv": lambda path, _: frame(path),
    "table.parquet": lambda path, _: frame(path),
    "table.json": lambda path, _: frame(path),
    "report.html": lambda path, _: write_whole(path, "x" * 10_000),
}


@pytest.mark.parametrize("name", WRITERS)
def test_a_file_that_does_not_fit_is_an_error_and_the_old_one_stays(
    name: str, tmp_path: Path, model: gf.ItemKNN
) -> None:
    path = tmp_path / name
    path.write_bytes(b"old")
    with full_disk(), pytest.raises(WriteError) as caught:
        WRITERS[name](path, model)
    assert isinstance(caught.value, OSError)
    assert str(caught.value) == f"{path} cannot be written: File too large"
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]
    WRITERS[name](path, model)
    assert path.stat().st_size > LIMIT
    assert list(tmp_path.iterdir()) == [path]


def gone(folder: Path, name: str) -> Path:
    return folder / "gone" / name


def below_a_file(folder: Path, name: str) -> Path:
    (folder / "file").write_bytes(b"old")
    return folder / "file" / name


def a_folder(folder: Path, name: str) -> Path:
    (folder / name).mkdir()
    return folder / name


def too_long(folder: Path, name: str) -> Path:
    return folder / ("x" * 300 + name)


PLACES = [gone, below_a_file, a_folder, too_long]


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("name", WRITERS)
def test_a_place_that_takes_no_file_is_an_error(
    name: str, place: Callable[[Path, str], Path], tmp_path: Path, model: gf.ItemKNN
) -> None:
    path = place(tmp_path, name)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(WriteError) as caught:
        WRITERS[name](path, model)
    assert str(path) in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("path", ["", ".", "/", "/dev/full", "/dev/null"])
def test_a_device_or_a_folder_is_never_replaced(path: str, model: gf.ItemKNN) -> None:
    if path and not Path(path).exists():
        pytest.skip(f"there is no {path}")
    before = Path(path).stat().st_mode
    with pytest.raises(WriteError, match=r"cannot be written: (Is a directory|It is a device)"):
        model.save(path)
    assert Path(path).stat().st_mode == before


def test_a_name_can_be_as_long_as_names_can(tmp_path: Path) -> None:
    path = tmp_path / ("é" * 127)
    write_whole(path, "content")
    assert list(tmp_path.iterdir()) == [path]


def test_splits_are_replaced_together_or_not_at_all(tmp_path: Path, splits: gf.Splits) -> None:
    folder = tmp_path / "splits"
    other = gf.split.paper_protocol(np.ones((4, 5), dtype=np.float32))
    other.save(folder)
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    # Some of the five fit, others do not.
    with (
        full_disk(),
        pytest.raises(WriteError, match="splits cannot be written: File too large"),
    ):
        splits.save(folder)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    splits.save(folder)
    assert gf.Splits.load(folder).data_hash == splits.data_hash


@pytest.mark.parametrize("place", [below_a_file, too_long])
def test_splits_need_a_folder(
    place: Callable[[Path, str], Path], tmp_path: Path, splits: gf.Splits
) -> None:
    with pytest.raises(WriteError, match="cannot be written"):
        splits.save(place(tmp_path, "splits"))
    (tmp_path / "plain").write_bytes(b"old")
    with pytest.raises(WriteError, match="plain cannot be written: File exists"):
        splits.save(tmp_path / "plain")


def test_a_cell_that_does_not_fit_leaves_the_one_before(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.folder.joinpath("models").mkdir()
    store.write("EASE", {"status": "done"}, {})
    with (
        full_disk(),
        pytest.raises(WriteError, match="EASE cannot be written: File too large"),
    ):
        store.write("EASE", {"status": "done"}, {"per_user.npz": npz({"noise": NOISE})})
    kept = json.loads((tmp_path / "models" / "EASE" / "result.json").read_text())
    assert kept["files"] == {}
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["EASE"]


def test_a_journal_that_does_not_fit_leaves_nothing(tmp_path: Path) -> None:
    path = tmp_path / "search" / "journal.jsonl"
    with (
        full_disk(),
        pytest.raises(WriteError, match=r"journal\.jsonl cannot be written"),
    ):
        journal(path)
    assert list(path.parent.iterdir()) == []


def test_a_journal_keeps_the_trials_that_fit(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    with Journal(path, {"format": 1}) as kept:
        kept.append(Trial(0, {}, "done", 0.5))
        before = path.read_bytes()
        with (
            full_disk(),
            pytest.raises(WriteError, match="cannot be written: File too large"),
        ):
            kept.append(Trial(1, {}, "failed", reason="x" * LIMIT))
        assert path.read_bytes() == before
        kept.append(Trial(2, {}, "done", 0.6))
    assert [path.name for path in tmp_path.iterdir()] == ["journal.jsonl"]
    assert len(path.read_text().splitlines()) == 3


@pytest.mark.parametrize("place", [below_a_file, too_long])
def test_a_journal_and_a_run_need_a_folder(
    place: Callable[[Path, str], Path], tmp_path: Path
) -> None:
    with pytest.raises(WriteError, match="cannot be written"):
        journal(place(tmp_path, "search") / "journal.jsonl")
    with (
        pytest.raises(WriteError, match="cannot be written"),
        Store(place(tmp_path, "run")).locked("table2"),
    ):
        pass


def test_a_scan_says_when_its_own_files_do_not_fit(tmp_path: Path) -> None:
    log = tmp_path / "log.csv"
    log.write_text("user,item\n" + "".join(f"{n},{n}\n" for n in range(3000)))
    table = tmp_path / "log.parquet"
    numbers = np.random.default_rng(0).integers(0, 10**6, 5000)
    pl.DataFrame({"user": numbers, "item": numbers[::-1]}).write_parquet(table)
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    for path in (log, table):
        with (
            full_disk(),
            pytest.raises(WriteError, match="cannot be written: File too large"),
        ):
            gf.Interactions.scan(path, scratch=scratch)
        assert list(scratch.iterdir()) == []


# the command line --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory, ganmf) -> Path:
    """A folder with splits, and a model fitted on them."""
    folder = tmp_path_factory.mktemp("made")
    urm = (np.random.default_rng(3).random((80, 50)) < 0.3).astype(np.float32)
    gf.split.paper_protocol(urm).save(folder / "splits")
    model = folder / "model.safetensors"
    done = ganmf("fit", "TopPopular", "--data", folder / "splits", "--output", model, "--quiet")
    assert done.returncode == 0, done.stderr
    return folder


COMMANDS = {
    "split": ("split", "--data", "demo", "--output", "out"),
    "fit": ("fit", "ItemKNN", "--data", "splits", "--output", "out.safetensors"),
    "recommend": ("recommend", "model.safetensors", "--output", "out.csv"),
    "recommend parquet": ("recommend", "model.safetensors", "--output", "out.parquet"),
    "evaluate": ("evaluate", "model.safetensors", "--data", "splits", "--output", "out.csv",
                 "--cutoffs", "1,2,3,4,5,6,7,8,9,10"),
    "tune": ("tune", "ItemKNN", "--data", "splits", "--output", "out", "--index", "index",
             "--calls", "2", "--initial", "1", "--backend", "random"),
    "reproduce": ("reproduce", "table2", "--data", "splits", "--models", "PureSVD",
                  "--output", "out"),
}  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_that_cannot_write_ends_with_1_and_one_sentence(
    command: str, made: Path, tmp_path: Path, ganmf
) -> None:
    work = tmp_path / "work"
    shutil.copytree(made, work)
    tokens = [*COMMANDS[command], "--quiet"]
    at = tokens.index("--output") + 1
    output = work / tokens[at]
    with full_disk():
        done = ganmf(*tokens, cwd=work)
    assert done.returncode == 1, done.stderr
    [line] = done.stderr.splitlines()
    assert line.startswith("ganmf: ")
    assert " cannot be written: File too large" in line
    assert done.stdout == ""
    left = [path.name for path in output.rglob("*")] if output.is_dir() else []
    assert not [name for name in left if "part" in name or name.startswith(".")]
    assert output.is_dir() or not output.exists()
    (work / "file").touch()
    tokens[at] = f"file/{tokens[at]}"
    done = ganmf(*tokens, cwd=work)
    assert done.returncode in (1, 2), done.stderr
    [line] = done.stderr.splitlines()
    assert "file" in line
    assert done.stdout == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("tokens", [("data", "list"), ("recommend", "{}")])
def test_an_output_that_takes_nothing_ends_with_1_and_one_sentence(
    start, made: Path, tokens: tuple[str, ...]
) -> None:
    with Path("/dev/full").open("w") as full:
        process = start(*(token.format(made / "model.safetensors") for token in tokens), out=full)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert errors == "ganmf: No space left on device\n"
