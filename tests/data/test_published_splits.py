"""The authors' own splits: fetched from a mirror of the stored ones, all five or none."""

import functools
import hashlib
import http.server
import json
import shutil
import threading
from pathlib import Path

import pytest

from ganmf_fast import reference
from ganmf_fast.base.errors import DataError
from ganmf_fast.data import datasets, downloads
from ganmf_fast.data.dataset_sources import PUBLISHED_SPLITS
from ganmf_fast.data.datasets import fetch_published_splits
from ganmf_fast.split import PARTS, Splits
from ganmf_fast.split.open_data import open_data


class Files(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, some of them cut short in the middle."""

    def log_message(self, *args):
        self.server.asked.append(self.path)

    def do_GET(self):
        if self.path not in self.server.stopping:
            super().do_GET()
            return
        content = Path(self.translate_path(self.path)).read_bytes()
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content[: len(content) // 2])
        self.wfile.flush()
        self.server.asked.append(self.path)
        self.close_connection = True


@pytest.fixture
def mirror(tmp_path, data_dir, monkeypatch):
    """A web server with copies of the stored splits: its folder, and the server."""
    folder = tmp_path / "mirror"
    for name in PUBLISHED_SPLITS:
        (folder / name).mkdir(parents=True)
        for part in PARTS:
            shutil.copyfile(data_dir / name / f"{part}.npz", folder / name / f"{part}.npz")
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Files, directory=folder)
    )
    server.asked, server.stopping = [], set()
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    address = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv("GANMF_MIRROR", address)
    # The authors' repository is not asked.
    monkeypatch.setattr(datasets, "_AUTHORS", f"{address}/authors/")
    monkeypatch.setattr(downloads, "_WAITS", ())
    yield folder, server
    server.shutdown()
    thread.join()
    server.server_close()


def everything(folder):
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*"))


@pytest.mark.parametrize("name", list(PUBLISHED_SPLITS))
def test_published_splits_arrive_as_the_authors_made_them(tmp_path, mirror, name):
    folder = fetch_published_splits(name, tmp_path / "data")
    assert folder == tmp_path / "data" / name
    assert everything(folder) == sorted(f"{part}.npz" for part in PARTS)
    for part, expected in PUBLISHED_SPLITS[name].sha256.items():
        assert hashlib.sha256((folder / f"{part}.npz").read_bytes()).hexdigest() == expected
    opened = open_data(name, tmp_path / "data", offline=True)
    assert isinstance(opened, Splits)
    assert reference.dataset_of(opened.data_hash) == name
    asked = len(mirror[1].asked)
    assert fetch_published_splits(name, tmp_path / "data", download=False) == folder
    assert len(mirror[1].asked) == asked


def test_the_default_folder_is_where_data_are_looked_for(tmp_path, mirror, monkeypatch):
    monkeypatch.setattr(datasets, "default_folder", lambda: tmp_path / "cache")
    assert fetch_published_splits("lastfm") == tmp_path / "cache" / "lastfm"
    assert isinstance(open_data("lastfm", offline=True), Splits)


def test_a_mirror_may_hold_the_authors_names(tmp_path, mirror):
    folder, _ = mirror
    for part in PARTS:
        (folder / "lastfm" / f"{part}.npz").rename(folder / f"LastFM_URM_{part}.npz")
    fetch_published_splits("lastfm", tmp_path / "data")
    assert isinstance(open_data("lastfm", tmp_path / "data"), Splits)


@pytest.mark.parametrize("part", PARTS)
@pytest.mark.parametrize("fault", ["damaged", "truncated", "missing", "stops", "another"])
def test_of_five_files_all_arrive_or_none(tmp_path, mirror, part, fault):
    folder, server = mirror
    path = folder / "lastfm" / f"{part}.npz"
    content = path.read_bytes()
    at = len(content) // 2
    match fault:
        case "damaged":
            path.write_bytes(content[:at] + bytes([content[at] ^ 1]) + content[at + 1 :])
        case "truncated":
            path.write_bytes(content[:at])
        case "missing":
            path.unlink()
        case "stops":
            server.stopping.add(f"/lastfm/{part}.npz")
        case "another":
            path.write_bytes((folder / "ml-1m" / f"{part}.npz").read_bytes())
    with pytest.raises(DataError, match=rf"{part}\.npz could not be downloaded"):
        fetch_published_splits("lastfm", tmp_path / "data")
    assert everything(tmp_path / "data") == []
    path.write_bytes(content)
    server.stopping.clear()
    fetch_published_splits("lastfm", tmp_path / "data")
    assert len(everything(tmp_path / "data")) == 6


def test_what_is_there_is_kept_and_completed(tmp_path, mirror):
    folder = fetch_published_splits("lastfm", tmp_path / "data")
    (folder / "test.npz").unlink()
    mirror[1].asked.clear()
    fetch_published_splits("lastfm", tmp_path / "data")
    assert mirror[1].asked == ["/lastfm/test.npz"]
    assert len(everything(folder)) == 5


def test_splits_of_ones_own_are_not_replaced(tmp_path, mirror, data_dir):
    folder = tmp_path / "data" / "lastfm"
    shutil.copytree(data_dir / "hetrec2011", folder, copy_function=shutil.copyfile)
    before = {p.name: p.read_bytes() for p in folder.iterdir()}
    with pytest.raises(DataError, match="not the published one: move it away"):
        fetch_published_splits("lastfm", tmp_path / "data")
    assert {p.name: p.read_bytes() for p in folder.iterdir()} == before
    assert mirror[1].asked == []


def test_only_known_splits_are_fetched_and_only_with_a_network(tmp_path):
    with pytest.raises(ValueError, match="no splits of 'ml-100k' were published"):
        fetch_published_splits("ml-100k", tmp_path)
    with pytest.raises(DataError, match="lacks train, test"):
        fetch_published_splits("lastfm", tmp_path, download=False)
    assert everything(tmp_path) == []


def test_the_command_fetches_what_reproduce_then_uses(ganmf, tmp_path, mirror):
    _, server = mirror
    env = {"GANMF_MIRROR": f"http://127.0.0.1:{server.server_port}"}
    options = ("--data-dir", tmp_path / "data")
    done = ganmf("data", "fetch", "lastfm", "--published-splits", *options, "--json", env=env)
    assert done.returncode == 0, done.stderr
    [found] = json.loads(done.stdout)
    assert (found["users"], found["items"]) == (1884, 17632)
    assert found["folder"] == str(tmp_path / "data" / "lastfm")
    run = tmp_path / "run"
    done = ganmf(
        "reproduce", "table2", "--data", "lastfm", *options, "--offline", "--models", "TopPopular",
        "--output", run,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "splits published by the authors" in (run / "table.md").read_text()
    assert "within tolerance" in (run / "summary.csv").read_text()
    done = ganmf("data", "fetch", "lastfm", "demo", "--published-splits", *options, env=env)
    assert done.returncode == 2
    assert "no splits of 'demo' were published" in done.stderr
