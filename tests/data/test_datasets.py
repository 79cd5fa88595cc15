import functools
import hashlib
import http.server
import io
import stat
import threading
import warnings
import zipfile

import numpy as np
import pytest

from ganmf_fast.base.errors import DataError
from ganmf_fast.data import datasets
from ganmf_fast.data.datasets import SOURCES, Source, describe, load, names, read_member
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.split import paper_protocol

ROWS = b"1\t10\t5\t100\n1\t11\t3\t101\n2\t10\t1\t99\n"


def packed(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return buffer.getvalue()


def sha(content):
    return hashlib.sha256(content).hexdigest()


GOOD = packed({"tiny/README": b"hello", "tiny/u.data": ROWS})


class Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        self.server.asked.append(args[1])


@pytest.fixture
def mirror(tmp_path):
    """A web server on this machine: its folder, address, and what it was asked for."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    server.asked = []
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield folder, f"http://127.0.0.1:{server.server_port}", server.asked
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def tiny(monkeypatch, mirror):
    """Register a data set "tiny" whose official host and mirror are on this machine."""

    def register(**changes):
        fields = {
            "archive": "tiny.zip",
            "folder": "official",
            "member": "tiny/u.data",
            "archive_sha256": sha(GOOD),
            "file_sha256": sha(ROWS),
            "sizes": (3, 2, 2),
            "timestamp": 3,
        }
        monkeypatch.setitem(SOURCES, "tiny", Source(**fields | changes))

    monkeypatch.setattr(datasets, "_HOST", f"{mirror[1]}/")
    monkeypatch.setenv("GANMF_MIRROR", mirror[1])
    register()
    return register


@pytest.mark.usefixtures("tiny")
def test_a_download_is_unpacked_and_the_second_use_needs_no_network(tmp_path, mirror):
    folder, _, asked = mirror
    (folder / "tiny.zip").write_bytes(GOOD)
    cache = tmp_path / "cache"
    data = load("tiny", cache)
    np.testing.assert_array_equal(data.urm.toarray(), [[1, 1], [1, 0]])
    assert data.item_ids.tolist() == [10, 11]
    assert data.timestamps.tolist() == [100, 101, 99]
    assert (data.name, data.simulated) == ("tiny", False)
    assert len(asked) == 1
    assert load("tiny", cache, download=False).data_hash == data.data_hash
    assert load("tiny", cache).data_hash == data.data_hash
    assert len(asked) == 1
    assert [path.name for path in cache.iterdir()] == ["tiny.zip"]


@pytest.mark.usefixtures("tiny")
def test_the_default_folder_is_the_users_cache(tmp_path, monkeypatch, mirror):
    (mirror[0] / "tiny.zip").write_bytes(GOOD)
    monkeypatch.setattr(datasets.pooch, "os_cache", lambda project: tmp_path / project)
    load("tiny")
    assert (tmp_path / "ganmf-fast" / "tiny.zip").is_file()


@pytest.mark.parametrize("first", [None, GOOD[:-30], GOOD + b"x", b""])
@pytest.mark.usefixtures("tiny")
def test_a_failing_first_mirror_is_followed_by_the_second(tmp_path, mirror, first):
    folder, _, asked = mirror
    if first is not None:
        (folder / "tiny.zip").write_bytes(first)
    (folder / "official").mkdir()
    (folder / "official" / "tiny.zip").write_bytes(GOOD)
    assert load("tiny", tmp_path / "cache").n_interactions == 3
    assert len(asked) >= 2


@pytest.mark.usefixtures("tiny")
def test_a_mirror_that_does_not_answer_is_passed_over(tmp_path, monkeypatch, mirror):
    (mirror[0] / "tiny.zip").write_bytes(GOOD)
    monkeypatch.setenv("GANMF_MIRROR", f"http://127.0.0.1:1, {mirror[1]}")
    assert load("tiny", tmp_path / "cache").n_interactions == 3


@pytest.mark.usefixtures("tiny")
def test_when_nothing_answers_each_address_is_named_with_its_reason(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMF_MIRROR", "http://127.0.0.1:1")
    words = r"127\.0\.0\.1:1/tiny\.zip: ConnectionError; .*official/tiny\.zip: HTTP status 404\)"
    with pytest.raises(DataError, match=words) as caught:
        load("tiny", tmp_path / "cache")
    assert "\n" not in str(caught.value)


@pytest.mark.usefixtures("tiny")
def test_a_wrong_checksum_everywhere_is_an_error_and_nothing_is_kept(tmp_path, mirror):
    (mirror[0] / "tiny.zip").write_bytes(packed({"tiny/u.data": ROWS + b"3\t10\t1\t5\n"}))
    with pytest.raises(DataError, match=r"wrong SHA-256 checksum.*; put it into .* by hand") as e:
        load("tiny", tmp_path / "cache")
    assert "\n" not in str(e.value)
    assert not (tmp_path / "cache" / "tiny.zip").exists()


@pytest.mark.usefixtures("tiny")
def test_an_archive_changed_on_disk_is_refused_and_left_alone(tmp_path):
    changed = GOOD + b"x"
    (tmp_path / "tiny.zip").write_bytes(changed)
    with pytest.raises(DataError, match=r"tiny\.zip has SHA-256 .* instead of .*; delete it"):
        load("tiny", tmp_path)
    assert (tmp_path / "tiny.zip").read_bytes() == changed


@pytest.mark.parametrize("content", [GOOD[:60], GOOD[:-30], b"", b"<html>not found</html>"])
def test_a_truncated_archive_without_known_checksum_is_refused(tmp_path, mirror, tiny, content):
    tiny(archive_sha256=None, file_sha256=None)
    (mirror[0] / "tiny.zip").write_bytes(content)
    with pytest.raises(DataError, match=r"tiny\.zip is damaged or no zip archive"):
        load("tiny", tmp_path / "cache")


def test_an_archive_without_known_checksum_is_held_to_its_first_use(tmp_path, mirror, tiny, caplog):
    tiny(archive_sha256=None, file_sha256=None)
    (mirror[0] / "tiny.zip").write_bytes(GOOD)
    cache = tmp_path / "cache"
    load("tiny", cache)
    assert f"trusting this first copy, whose SHA-256 is {sha(GOOD)}" in caplog.text
    caplog.clear()
    load("tiny", cache)
    assert not caplog.text
    other = packed({"tiny/u.data": ROWS})
    (cache / "tiny.zip").write_bytes(other)
    with pytest.raises(DataError, match=rf"has SHA-256 {sha(other)} instead of {sha(GOOD)}"):
        load("tiny", cache)


def test_sizes_other_than_the_published_ones_are_refused(tmp_path, tiny):
    tiny(sizes=(4, 2, 2))
    (tmp_path / "tiny.zip").write_bytes(GOOD)
    with pytest.raises(DataError, match=r"holds 3 interactions of 2 users .* but tiny has 4"):
        load("tiny", tmp_path)


@pytest.mark.parametrize("member", ["../tiny/u.data", "/tiny/u.data", "../../u.data"])
def test_a_member_that_climbs_out_is_not_read_and_nothing_is_written(tmp_path, tiny, member):
    evil = packed({member: ROWS})
    tiny(archive_sha256=sha(evil))
    home = tmp_path / "a" / "b"
    home.mkdir(parents=True)
    (home / "tiny.zip").write_bytes(evil)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(DataError, match=r"tiny\.zip does not hold tiny/u\.data"):
        load("tiny", home)
    assert sorted(tmp_path.rglob("*")) == before


def test_other_members_are_never_unpacked(tmp_path, tiny):
    mixed = packed({"../../evil": b"x", "tiny/u.data": ROWS})
    tiny(archive_sha256=sha(mixed))
    home = tmp_path / "a" / "b"
    home.mkdir(parents=True)
    (home / "tiny.zip").write_bytes(mixed)
    assert load("tiny", home).n_interactions == 3
    assert {path.name for path in tmp_path.rglob("*")} >= {"a", "b", "tiny.zip"}
    assert not list(tmp_path.rglob("evil"))


def test_a_bomb_is_not_unpacked(tmp_path):
    path = tmp_path / "bomb.zip"
    path.write_bytes(packed({"u.data": bytes(50_000_000)}))
    with pytest.raises(DataError, match=r"50,000,000 bytes out of .*more than is safe"):
        read_member(path, "u.data")


def test_a_member_larger_than_it_claims_is_refused(tmp_path):
    content = bytearray(packed({"u.data": ROWS * 1000}))
    claimed = (len(ROWS) * 1000).to_bytes(4, "little")
    path = tmp_path / "liar.zip"
    path.write_bytes(bytes(content).replace(claimed, (500).to_bytes(4, "little")))
    with pytest.raises(DataError, match=r"damaged|more than is safe"):
        read_member(path, "u.data")


def test_a_link_in_an_archive_is_refused(tmp_path):
    path = tmp_path / "link.zip"
    info = zipfile.ZipInfo("u.data")
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(path, "w") as package:
        package.writestr(info, "/etc/passwd")
    with pytest.raises(DataError, match=r"holds a link instead of u.data"):
        read_member(path, "u.data")


@pytest.mark.parametrize("place", ["u.data", "tiny/u.data", "raw/tiny/u.data"])
@pytest.mark.usefixtures("tiny")
def test_an_unpacked_file_is_found(tmp_path, place):
    path = tmp_path / place
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(ROWS)
    assert load("tiny", tmp_path, download=False).n_interactions == 3
    assert load("tiny", path, download=False).n_interactions == 3
    path.write_bytes(ROWS + b"\n")
    with pytest.raises(DataError, match=r"has SHA-256 .* use Interactions\.from_csv"):
        load("tiny", tmp_path, download=False)


@pytest.mark.usefixtures("tiny")
def test_without_network_the_expected_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"tiny needs tiny\.zip or u\.data in .*downloads are off"):
        load("tiny", tmp_path, download=False)
    with pytest.raises(DataError, match=r"data_dir '.*gone' does not exist"):
        load("tiny", tmp_path / "gone", download=False)
    other = tmp_path / "other.txt"
    other.touch()
    with pytest.raises(DataError, match="that is another file"):
        load("tiny", other)


@pytest.mark.usefixtures("tiny")
def test_a_mirror_must_be_a_web_address(tmp_path, monkeypatch):
    monkeypatch.setenv("GANMF_MIRROR", "file:///etc")
    with pytest.raises(ValueError, match="GANMF_MIRROR must hold http or https"):
        load("tiny", tmp_path)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"no data set 'ml-10m'; known are .*; did you mean 'ml-1"):
        load("ml-10m")
    assert names() == ["ml-100k", "ml-1m", "hetrec2011", "lastfm", "demo"]


def test_the_demo_set_is_labelled_as_simulated_and_always_the_same():
    data = load("demo")
    assert (data.name, data.simulated) == ("demo", True)
    assert "simulated" in repr(data)
    assert load("demo").data_hash == data.data_hash
    assert describe("demo")["simulated"] is True


def test_a_description_counts_what_is_there():
    data = Interactions.from_matrix(np.array([[1, 1, 0, 0], [1, 1, 1, 0], [1, 0, 0, 0]]))
    d = describe(data)
    assert (d["users"], d["items"], d["interactions"]) == (3, 4, 6)
    assert d["density"] == 0.5
    assert (d["min_profile"], d["median_profile"], d["max_profile"]) == (1, 2.0, 3)
    # The mean absolute difference of the counts 3, 2, 1, 0 over twice their mean.
    counts = np.array([3, 2, 1, 0])
    expected = np.abs(counts[:, None] - counts).mean() / (2 * counts.mean())
    assert d["popularity_gini"] == pytest.approx(expected)
    assert d["data_hash"] == data.data_hash


def test_splits_are_described_as_a_whole(toy_urm):
    assert (
        describe(paper_protocol(toy_urm))["data_hash"]
        == describe(Interactions.from_matrix(toy_urm))["data_hash"]
    )


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["ml-100k", "lastfm"])
def test_stored_originals_load_by_name(data_dir, name):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = load(name, data_dir, download=False)
    assert (data.n_interactions, data.n_users, data.n_items) == SOURCES[name].sizes
    assert data.csr.indices.size == data.n_interactions
    assert (data.timestamps is None) == (name == "lastfm")
