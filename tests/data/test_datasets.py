import contextlib
import dataclasses
import functools
import gzip
import hashlib
import http.server
import io
import stat
import tarfile
import threading
import warnings
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from file_limit import files_of_at_most

from ganmf_fast.base.errors import DataError, WriteError
from ganmf_fast.data import datasets, downloads
from ganmf_fast.data.dataset_sources import LISTS_SOURCES, SOURCES, ListsSource, Source
from ganmf_fast.data.datasets import (
    describe,
    load,
    load_parts,
    names,
    read_member,
)
from ganmf_fast.data.interactions import Interactions
from ganmf_fast.data.item_lists import read_item_lists
from ganmf_fast.data.log_formats import read_clicks, read_libraries, read_plays
from ganmf_fast.data.sources import DataFile
from ganmf_fast.data.tar_member import TarMember
from ganmf_fast.split import paper_protocol, published

ROWS = b"1\t10\t5\t100\n1\t11\t3\t101\n2\t10\t1\t99\n"


def packed(members):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as package:
        for name, content in members.items():
            package.writestr(name, content)
    return buffer.getvalue()


def sha(content):
    return hashlib.sha256(content).hexdigest()


def md5(content):
    return hashlib.md5(content, usedforsecurity=False).hexdigest()


GOOD = packed({"tiny/README": b"hello", "tiny/u.data": ROWS})


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Files of a folder, unless an answer was prepared for a path."""

    def log_message(self, *args):
        self.server.asked.append(args[1])

    def do_GET(self):
        answers = self.server.answers.get(self.path, [])
        if not answers:
            super().do_GET()
            return
        status, headers, content = answers.pop(0) if len(answers) > 1 else answers[0]
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        with contextlib.suppress(OSError):  # whoever asked has enough
            self.wfile.write(content)


class Mirror(NamedTuple):
    folder: Path
    address: str
    asked: list[str]
    answers: dict[str, list[tuple[int, dict[str, str], bytes]]]


@pytest.fixture
def mirror(tmp_path):
    """A web server on this machine, and what it was asked for."""
    folder = tmp_path / "mirror"
    folder.mkdir()
    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), functools.partial(Quiet, directory=folder)
    )
    server.asked, server.answers = [], {}
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield Mirror(folder, f"http://127.0.0.1:{server.server_port}", server.asked, server.answers)
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
    monkeypatch.setattr(downloads, "_WAITS", (0.0, 0.0))
    monkeypatch.setenv("GANMF_MIRROR", mirror[1])
    register()
    return register


@pytest.mark.usefixtures("tiny")
def test_a_download_is_unpacked_and_the_second_use_needs_no_network(tmp_path, mirror):
    folder, _, asked, _ = mirror
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
    monkeypatch.setattr(datasets.platformdirs, "user_cache_dir", lambda name: str(tmp_path / name))
    load("tiny")
    assert (tmp_path / "ganmf-fast" / "tiny.zip").is_file()


@pytest.mark.parametrize("first", [None, GOOD[:-30], GOOD + b"x", b""])
@pytest.mark.usefixtures("tiny")
def test_a_failing_first_mirror_is_followed_by_the_second(tmp_path, mirror, first):
    folder, _, asked, _ = mirror
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


@pytest.mark.parametrize(
    "content",
    [GOOD[:60], GOOD[:-30], b"", b"<html>not found</html>"],
    ids=["start", "cut", "empty", "page"],
)
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


@pytest.mark.parametrize(
    "address",
    ["http://example.com", "http://127.0.0.1@example.com", "http://127.0.0.1.example.com"],
)
@pytest.mark.usefixtures("tiny")
def test_a_mirror_without_encryption_needs_a_word(tmp_path, monkeypatch, address):
    monkeypatch.setenv("GANMF_MIRROR", address)
    with pytest.raises(ValueError, match=r"GANMF_MIRROR holds .*GANMF_ALLOW_HTTP=1"):
        load("tiny", tmp_path)
    monkeypatch.setenv("GANMF_ALLOW_HTTP", "1")
    assert downloads.mirrors() == [address]


@pytest.mark.parametrize(
    ("url", "before", "allowed"),
    [
        ("https://a.example/x", None, True),
        ("https://a.example/x", "https://b.example", True),
        ("https://a.example/x", "http://localhost:1/", True),
        ("http://localhost:1/x", None, True),
        ("http://[::1]:1/x", "http://127.0.0.1/", True),
        ("http://127.0.0.1/x", "https://a.example", False),
        ("http://a.example/x", "https://a.example", False),
        ("http://a.example/x", None, False),
        ("http://a.example\\@127.0.0.1/x", None, False),
        ("http://127.0.0.1 a.example/x", None, False),
        ("file:///etc/passwd", None, False),
        ("file:///etc/passwd", "http://127.0.0.1", False),
        ("ftp://a.example/x", "https://a.example", False),
        ("data:text/plain,x", "https://a.example", False),
        ("//a.example/x", None, False),
        ("https://[", None, False),
        ("https://a.example/\x1b", None, False),
        ("", None, False),
    ],
)
def test_only_addresses_that_nobody_else_can_answer_for_are_asked(url, before, allowed):
    assert downloads._is_allowed(url, before) is allowed


@pytest.mark.parametrize(
    "target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://example.com/x", "gopher://x"]
)
@pytest.mark.usefixtures("tiny")
def test_a_redirect_to_another_scheme_is_not_followed(tmp_path, mirror, target):
    mirror.answers["/tiny.zip"] = [(302, {"Location": target}, b"")]
    with pytest.raises(DataError, match=r"leads to .*, which is not an https address"):
        load("tiny", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_a_redirect_is_followed_but_not_for_ever(tmp_path, mirror):
    (mirror.folder / "moved.zip").write_bytes(GOOD)
    mirror.answers["/tiny.zip"] = [(301, {"Location": "/moved.zip"}, b"")]
    assert load("tiny", tmp_path / "a").n_interactions == 3
    mirror.answers["/tiny.zip"] = [(302, {"Location": "/tiny.zip"}, b"")]
    with pytest.raises(DataError, match="more than 5 redirects"):
        load("tiny", tmp_path / "b")


BIG = b"x" * 5000
TOO_LARGE = {
    "announced": ({"Content-Length": "5000"}, BIG),
    "announced without an end": ({"Content-Length": "9" * 4000}, BIG),
    "not announced": ({}, BIG),
    "compressed": ({"Content-Encoding": "gzip"}, gzip.compress(BIG)),
    "compressed and announced": (
        {"Content-Encoding": "gzip", "Content-Length": str(len(gzip.compress(BIG)))},
        gzip.compress(BIG),
    ),
}


@pytest.mark.parametrize("kind", TOO_LARGE)
@pytest.mark.parametrize("known", [True, False])
def test_what_is_larger_than_it_may_be_is_not_fetched(tmp_path, mirror, tiny, kind, known):
    tiny(max_bytes=4999, archive_sha256=sha(BIG) if known else None)
    mirror.answers["/tiny.zip"] = [(200, *TOO_LARGE[kind])]
    with pytest.raises(DataError, match="more than the 4,999 bytes that it may have"):
        load("tiny", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []
    (tmp_path / "tiny.zip").write_bytes(BIG)
    with pytest.raises(DataError, match=r"tiny\.zip has more than the 4,999 bytes"):
        load("tiny", tmp_path)


def test_every_data_set_says_how_large_it_is_at_most():
    assert all(2**20 < source.max_bytes <= 2**30 for source in SOURCES.values())
    assert all(2**20 < source.max_unpacked <= 2**31 for source in SOURCES.values())
    assert all(2**20 < source.max_bytes <= 2**26 for source in LISTS_SOURCES.values())
    for source in SOURCES.values():
        sums = ((source.archive_sha256, 64), (source.archive_md5, 32), (source.file_md5, 32))
        for digest, length in sums:
            assert digest is None or (len(digest) == length and int(digest, 16))


CUT = (200, {"Content-Length": str(len(GOOD))}, GOOD[:50])


@pytest.mark.parametrize("first", [(503, {}, b""), (429, {}, b""), CUT])
@pytest.mark.usefixtures("tiny")
def test_what_fails_for_the_moment_is_tried_again(tmp_path, mirror, monkeypatch, first):
    monkeypatch.setenv("GANMF_MIRROR", "")
    whole = (200, {"Content-Length": str(len(GOOD))}, GOOD)
    mirror.answers["/official/tiny.zip"] = [first, first, whole]
    assert load("tiny", tmp_path / "a").n_interactions == 3
    mirror.answers["/official/tiny.zip"] = [first] * 9
    with pytest.raises(DataError, match="could not be downloaded"):
        load("tiny", tmp_path / "b")
    assert len(mirror.asked) == 6
    assert list((tmp_path / "b").iterdir()) == []


@pytest.mark.usefixtures("tiny")
def test_what_fails_for_good_is_tried_once(tmp_path, mirror):
    with pytest.raises(DataError, match="HTTP status 404"):
        load("tiny", tmp_path)
    # Each answer is logged twice.
    assert len(mirror.asked) == 4


@pytest.mark.usefixtures("tiny")
def test_a_server_that_never_ends_meets_the_deadline(tmp_path, mirror, monkeypatch):
    (mirror.folder / "tiny.zip").write_bytes(GOOD)
    monkeypatch.setattr(downloads, "_DEADLINE", -1)
    with pytest.raises(DataError, match="not finished within -1 s"):
        load("tiny", tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_later_download_must_equal_the_first(tmp_path, mirror, tiny, caplog):
    tiny(archive_sha256=None, file_sha256=None)
    (mirror.folder / "tiny.zip").write_bytes(GOOD)
    cache = tmp_path / "cache"
    load("tiny", cache)
    assert caplog.text.count("trusting this first copy") == 1
    record = cache / "tiny.zip.sha256"
    assert record.read_text() == f"{sha(GOOD)}\n"
    (cache / "tiny.zip").unlink()
    load("tiny", cache)
    assert caplog.text.count("trusting this first copy") == 1
    (cache / "tiny.zip").unlink()
    (mirror.folder / "tiny.zip").write_bytes(packed({"tiny/u.data": ROWS}))
    with pytest.raises(
        DataError, match=rf"wrong SHA-256 .*; the first copy had SHA-256 {sha(GOOD)}"
    ):
        load("tiny", cache)
    assert list(cache.iterdir()) == [record]
    for damaged in (b"", b"0" * 63, b"x" * 64, bytes(10_000)):
        record.write_bytes(damaged)
        with pytest.raises(DataError, match=r"damaged|more than"):
            load("tiny", cache)


@pytest.mark.usefixtures("tiny")
def test_a_download_that_cannot_be_written_is_no_fault_of_the_address(tmp_path, mirror):
    pytest.importorskip("resource")
    (mirror.folder / "tiny.zip").write_bytes(GOOD)
    cache = tmp_path / "cache"
    with (
        files_of_at_most(len(GOOD) - 1),
        pytest.raises(WriteError, match=r"tiny\.zip cannot be written: File too large"),
    ):
        load("tiny", cache)
    assert list(cache.iterdir()) == []
    (tmp_path / "file").touch()
    with pytest.raises(WriteError, match="cannot be written: Not a directory"):
        load("tiny", tmp_path / "file" / "cache")


@pytest.mark.usefixtures("tiny")
def test_a_password_in_an_address_is_not_shown(tmp_path, monkeypatch, mirror):
    port = mirror.address.rpartition(":")[2]
    monkeypatch.setenv("GANMF_MIRROR", f"http://user:secret@127.0.0.1:{port}")
    with pytest.raises(DataError, match=r"http://127\.0\.0\.1:") as caught:
        load("tiny", tmp_path / "cache")
    assert "secret" not in str(caught.value)


def test_an_unknown_name_gets_a_suggestion():
    with pytest.raises(ValueError, match=r"no data set 'ml-30m'; known are .*; did you mean 'ml-3"):
        load("ml-30m")
    assert names()[:4] == ["ml-100k", "ml-1m", "hetrec2011", "lastfm"]
    assert names()[-1] == "demo"
    assert {"ml-10m", "ml-20m", "ml-25m", "ml-32m"} < set(names())
    assert {"gowalla", "yelp2018", "amazon-book", "citeulike-a"} < set(names())
    assert {"lastfm-360k", "steam", "mind-small"} < set(names())


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


# Layouts of the larger data sets --------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "lines"),
    [
        ("ml-10m", b"1::122::5::838985046\n1::185::4.5::838983525\n2::122::3::868245777\n"),
        ("ml-20m", b"userId,movieId,rating,timestamp\n1,2,3.5,11\n1,29,3.5,12\n2,2,4.0,13\n"),
        (
            "ml-25m",
            b"userId,movieId,rating,timestamp\r\n1,2,3.5,11\r\n1,29,3.5,12\r\n2,2,4.0,13\r\n",
        ),
        ("ml-32m", b"userId,movieId,rating,timestamp\n1,2,3.5,11\n1,29,3.5,12\n2,2,4.0,13\n"),
    ],
)
def test_the_layout_of_each_movielens_is_read(tmp_path, monkeypatch, mirror, name, lines):
    source = SOURCES[name]
    archive = packed({source.member: lines, f"{source.member}.other": b"x"})
    small = dataclasses.replace(
        source, archive_sha256=None, archive_md5=md5(archive), sizes=(3, 2, 2)
    )
    monkeypatch.setitem(SOURCES, name, small)
    monkeypatch.setenv("GANMF_MIRROR", mirror.address)
    (mirror.folder / source.archive).write_bytes(archive)
    data = load(name, tmp_path / "cache")
    np.testing.assert_array_equal(data.urm.toarray(), [[1, 1], [1, 0]])
    assert data.user_ids.tolist() == [1, 2]
    assert len(data.timestamps) == 3
    changed = dataclasses.replace(small, archive_md5="0" * 32)
    monkeypatch.setitem(SOURCES, name, changed)
    monkeypatch.setattr(datasets, "_HOST", f"{mirror.address}/none/")
    with pytest.raises(DataError, match="wrong MD5 checksum"):
        load(name, tmp_path / "other")
    assert list((tmp_path / "other").iterdir()) == []


# Formats of their own --------------------------------------------------------------------------

ANNA, BORIS = "a" * 40, "0b" * 20
PLAYS = (
    f"{ANNA}\t3bd73256-3905-4f3a-97e2-8b341527f805\tbetty blowtorch\t2137\n"
    f"{ANNA}\t\tdie Ärzte\t1099\n"
    f'{BORIS}\t\t"die Ärzte\t7\n'
    f"{BORIS}\tb3ae82c2-e60b-4551-a76d-6620f1b456aa\t \t8\n"
    f"{BORIS}\t\tdie Ärzte\t9"
).encode()
LIBRARIES = b"".join(
    repr(library).encode() + b"\n"
    for library in [
        {
            "user_id": "the 'one'",
            "items_count": 2,
            "steam_id": "76561197970982479",
            "user_url": 'http://steamcommunity.com/id/"one"',
            "items": [
                {"item_id": "10", "item_name": "Counter-Strike", "playtime_forever": 6},
                {"item_id": "20", "item_name": "'item_id': '30'}, {\\", "playtime_2weeks": 0},
            ],
        },
        {"user_id": "no", "items_count": 0, "steam_id": "76561198000000000", "items": []},
        {"items": [{"item_name": "Ö\n\x1b", "item_id": "20"}], "steam_id": "76561198035864385"},
        {"items": [{"item_name": None, "item_id": "20"}], "steam_id": "76561198035864385"},
    ]
)
IMPRESSIONS = (
    b"1\tU13740\t11/11/2019 9:05:58 AM\tN55189 N42782\tN55689-1 N35729-0\n"
    b"2\tU91836\t11/12/2019 12:11:30 AM\tN31739\tN20678-0 N55689-1 N39317-1\n"
    b"3\tU13740\t11/11/2019 12:00:01 PM\t\tN55689-1 N2-0\r\n"
)


def tarred(members, **header):
    """An archive .tar.gz; `header` changes the last member."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as package:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            if name == list(members)[-1]:
                for field, value in header.items():
                    setattr(info, field, value)
            package.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


class Own(NamedTuple):
    archive: bytes
    sizes: tuple[int, int, int]
    dense: list[list[int]]
    users: list[object]
    items: list[object]


PLAYS_MEMBER = SOURCES["lastfm-360k"].member
OWN = {
    "lastfm-360k": Own(
        tarred({"lastfm-dataset-360K/README.txt": b"x" * 700, PLAYS_MEMBER: PLAYS}),
        (5, 2, 4),
        [[1, 1, 0, 1], [0, 0, 1, 1]],
        [BORIS, ANNA],
        ['"die Ärzte', "b3ae82c2-e60b-4551-a76d-6620f1b456aa", "betty blowtorch", "die Ärzte"],
    ),
    "steam": Own(
        gzip.compress(LIBRARIES),
        (3, 2, 2),
        [[1, 1], [0, 1]],
        [76561197970982479, 76561198035864385],
        [10, 20],
    ),
    "mind-small": Own(
        packed({"news.tsv": b"x", "behaviors.tsv": IMPRESSIONS}),
        (4, 2, 2),
        [[0, 1], [1, 1]],
        ["U13740", "U91836"],
        ["N39317", "N55689"],
    ),
}
each_own = pytest.mark.parametrize("name", OWN)


@pytest.fixture
def own(monkeypatch, mirror):
    """Register a data set of a format of its own with a small archive on a local server."""

    def register(name, archive=None, **changes):
        archive = OWN[name].archive if archive is None else archive
        source = SOURCES[name]
        known = {"archive_sha256": sha(archive)}
        if source.archive_sha256 is None:
            known = {"archive_md5": md5(archive), "file_md5": md5(PLAYS)}
        fields = {
            "sizes": OWN[name].sizes,
            "addresses": (f"{mirror.address}/gone", f"{mirror.address}/there"),
        }
        small = dataclasses.replace(source, **fields | known | changes)
        monkeypatch.setitem(SOURCES, name, small)
        (mirror.folder / "there").mkdir(exist_ok=True)
        (mirror.folder / "there" / source.archive).write_bytes(archive)
        return small

    monkeypatch.setattr(downloads, "_WAITS", (0.0, 0.0))
    monkeypatch.delenv("GANMF_MIRROR", raising=False)
    return register


@each_own
def test_a_format_of_its_own_is_downloaded_and_read(tmp_path, own, mirror, name, caplog):
    source = own(name)
    data = load(name, tmp_path)
    np.testing.assert_array_equal(data.urm.toarray(), OWN[name].dense)
    assert data.user_ids.tolist() == OWN[name].users
    assert data.item_ids.tolist() == OWN[name].items
    assert (data.name, data.simulated, data.reading.left_out.get("broken")) == (name, False, None)
    assert ("trusting this first copy" in caplog.text) == (name == "lastfm-360k")
    asked = len(mirror.asked)
    assert load(name, tmp_path, download=False).data_hash == data.data_hash
    assert len(mirror.asked) == asked
    if name == "mind-small":
        stamps = ["2019-11-11T09:05:58", "2019-11-12T00:11:30", "2019-11-12T00:11:30"]
        # Of news clicked on twice, the first time.
        np.testing.assert_array_equal(data.timestamps, np.array(stamps, "datetime64[us]"))
    else:
        assert data.timestamps is None
    (tmp_path / source.archive).write_bytes(OWN[name].archive + b"x")
    with pytest.raises(DataError, match=r"has SHA-256 .* instead of .*; delete it"):
        load(name, tmp_path)


@each_own
def test_the_unpacked_file_of_its_own_format_is_read(tmp_path, own, name):
    source = own(name)
    path = tmp_path / source.stem / source.file
    path.parent.mkdir()
    content = {"lastfm-360k": PLAYS, "steam": LIBRARIES, "mind-small": IMPRESSIONS}[name]
    path.write_bytes(content)
    assert load(name, tmp_path, download=False).n_users == 2
    path.write_bytes(content + b"\n")
    if name == "lastfm-360k":
        with pytest.raises(DataError, match=r"has MD5 .* use Interactions\.from_csv"):
            load(name, tmp_path, download=False)
    else:
        assert load(name, path, download=False).reading.left_out["blank"] == 1
    own(name, max_unpacked=len(content))
    with pytest.raises(DataError, match=r"more than the .* bytes that it may have"):
        load(name, tmp_path, download=False)


@each_own
def test_other_numbers_than_those_of_the_data_set_are_refused(tmp_path, own, name):
    for at in range(3):
        sizes = [size + (place == at) for place, size in enumerate(OWN[name].sizes)]
        own(name, sizes=tuple(sizes))
        if name == "lastfm-360k" and at:
            # Its readme counts users and artists otherwise.
            assert load(name, tmp_path).n_users == 2
            continue
        with pytest.raises(DataError, match=rf"holds .* of 2 users on .*, but {name} has"):
            load(name, tmp_path)


@each_own
def test_a_damaged_archive_of_its_own_format_is_one_sentence(tmp_path, own, name):
    whole = OWN[name].archive
    rng = np.random.default_rng(0)
    contents = [b"", whole[:12], whole[: len(whole) // 2], whole[:-9], b"<html>not found</html>"]
    for _ in range(60):
        content = bytearray(whole)
        for at in rng.integers(0, len(content), rng.integers(1, 6)):
            content[at] ^= 1 << rng.integers(8)
        contents.append(bytes(content))
    messages = []
    for at, content in enumerate(contents):
        source = own(name, content, file_md5=None)
        folder = tmp_path / str(at)
        folder.mkdir()
        (folder / source.archive).write_bytes(content)
        try:
            load(name, folder, download=False)
        except DataError as error:
            messages.append(str(error))
    assert len(messages) > 40
    assert all(SOURCES[name].archive in message for message in messages)
    assert all(message.isprintable() for message in messages)


OTHER_TARS = {
    "lacks": (tarred({"elsewhere/" + PLAYS_MEMBER: PLAYS}), "does not hold"),
    "climbs": (tarred({"../" + PLAYS_MEMBER: PLAYS}), "does not hold"),
    "is a link": (
        tarred({PLAYS_MEMBER: b""}, type=tarfile.SYMTYPE, linkname="/etc/passwd"),
        "holds a link or a special file instead of",
    ),
    "is a hard link": (
        tarred({"x": PLAYS, PLAYS_MEMBER: b""}, type=tarfile.LNKTYPE, linkname="x"),
        "holds a link or a special file instead of",
    ),
    "is a device": (
        tarred({PLAYS_MEMBER: b""}, type=tarfile.CHRTYPE),
        "holds a link or a special file instead of",
    ),
    "is sparse": (
        tarred({PLAYS_MEMBER: PLAYS}, type=tarfile.GNUTYPE_SPARSE),
        "holds a link or a special file instead of",
    ),
    "is a bomb": (tarred({PLAYS_MEMBER: bytes(2**21)}), "more than 1,048,576 bytes"),
    "is behind a bomb": (
        tarred({"x": bytes(2**21), PLAYS_MEMBER: PLAYS}),
        "more than 1,048,576 bytes",
    ),
    "is behind many": (
        tarred({**{str(at): b"" for at in range(1001)}, PLAYS_MEMBER: PLAYS}),
        "holds more than 1000 files",
    ),
    "is no tar": (gzip.compress(b"x" * 5000), "is damaged or no tar archive"),
    "is no gzip": (b"x" * 5000, "cannot be read: Not a gzipped file"),
}


@pytest.mark.parametrize("kind", OTHER_TARS)
def test_a_tar_archive_with_anything_but_the_file_is_refused(tmp_path, own, kind):
    content, message = OTHER_TARS[kind]
    own("lastfm-360k", content, max_unpacked=2**20)
    with pytest.raises(DataError, match=message) as caught:
        load("lastfm-360k", tmp_path / "home")
    assert "\n" not in str(caught.value)
    assert {path.name for path in tmp_path.rglob("*") if "mirror" not in path.parts} == {
        "home",
        "lastfm-dataset-360K.tar.gz",
        "lastfm-dataset-360K.tar.gz.sha256",
    }


def test_a_file_in_a_tar_archive_that_claims_more_than_there_is_is_refused(tmp_path):
    whole = gzip.decompress(tarred({PLAYS_MEMBER: PLAYS * 100}))
    path = tmp_path / "cut.tar.gz"
    path.write_bytes(gzip.compress(whole[:5000]))
    member = TarMember(path, PLAYS_MEMBER, 2**20)
    with pytest.raises(DataError, match=r"cut cannot be read: archive ended within a file"):
        read_plays(DataFile(member, "cut"))
    with pytest.raises(EOFError):
        _ = TarMember(path, "other", 2**20).size


BROKEN = {
    "empty": (read_plays, b"", "holds no interactions"),
    "user": (read_plays, PLAYS.replace(BORIS.encode(), b"sep 20, 2008"), "line 3: not a user"),
    "no artist": (read_plays, PLAYS + f"\n{ANNA}\t\t \t3\n".encode(), "line 6: not a user"),
    "plays": (read_plays, PLAYS + b"x\n", "line 5: not a user, an artist and a number"),
    "fields": (read_plays, b"\x1b[2J\n" + PLAYS, "line 1: not a user"),
    "latin": (read_plays, PLAYS.decode().encode("latin-1"), "artist .* is not UTF-8"),
    "long": (read_plays, PLAYS + b"x" * 2**22, "line 5: longer than 2 MiB"),
    "code": (read_libraries, b"__import__('os').system('id')\n", "line 1: not a library"),
    "call": (read_libraries, LIBRARIES + b"{'steam_id': '1', 'items': list()}", "line 5"),
    "json": (read_libraries, b'{"steam_id": "1", "items": []}', "line 1: not a library"),
    "no user": (read_libraries, b"{'items': [{'item_id': '1'}]}", "line 1: not a library"),
    "no items": (read_libraries, b"{'steam_id': '1', 'items': None}", "line 1: not a library"),
    "no id": (read_libraries, b"{'steam_id': '1', 'items': [{'a': 1}]}", "line 1"),
    "id": (read_libraries, b"{'steam_id': '1', 'items': [{'item_id': 'x'}]}", "line 1"),
    "deep": (read_libraries, b"{'steam_id': '1', 'items': " + b"[" * 10**6, "line 1"),
    "repeated": (read_libraries, b"{" + b"'steam_id': '1', " * 10**5, "line 1"),
    "text": (read_libraries, b"{'steam_id': '1', 'a': '" + b"\\'" * 10**6, "line 1"),
    "endless": (read_libraries, b"{'a': '" + b"x" * 2**21, "line 1: longer than 2 MiB"),
    "nobody": (read_libraries, b"{'steam_id': '1', 'items': []}\n", "holds no interactions"),
    "month": (read_clicks, IMPRESSIONS.replace(b"11/12/", b"13/12/"), "line 2: not an impression"),
    "hour": (read_clicks, IMPRESSIONS.replace(b" 9:05", b" 0:05"), "line 1: not an impression"),
    "year": (read_clicks, IMPRESSIONS.replace(b"2019 9", b"0000 9"), "line 1: not an impression"),
    "no labels": (read_clicks, IMPRESSIONS.replace(b"-0", b""), "line 1: not an impression"),
    "label": (read_clicks, IMPRESSIONS.replace(b"N2-0", b"N2-2"), "line 3: not an impression"),
    "no clicks": (read_clicks, IMPRESSIONS.replace(b"-1", b"-0"), "holds no interactions"),
    "news": (read_clicks, b"1\tU1\t1/1/2019 1:00:00 AM\t" + b"N1 " * 10**5, "line 1"),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_line_of_another_form_is_named(kind):
    read, content, message = BROKEN[kind]
    with pytest.raises(DataError, match=message) as caught:
        read(DataFile(content, "log\x1b"))
    assert str(caught.value).startswith("log\\x1b")
    assert str(caught.value).isprintable()


def test_a_few_broken_lines_of_plays_are_left_out_and_counted():
    lines = [f"{at:040x}\t\tartist {at % 7}\t1\n".encode() for at in range(100_000)]
    lines[60_000] = b"sep 20, 2008\t\tartist 1\t1\n"
    log = read_plays(DataFile(b"".join(lines), "log"))
    assert (log.reading.lines, log.reading.records) == (100_000, 99_999)
    assert log.reading.left_out == {"broken": 1}
    assert len(log.user.distinct) == 99_999


TRAIN, TEST = b"0 0 2\n1 1\n2 \n3 3 0\n", b"0 1 \n1 \n2 0 3\n"


@pytest.fixture
def graph(monkeypatch, mirror):
    """The name of a data set of lists whose two addresses are folders of a local server."""
    source = ListsSource(
        files={"train.txt": md5(TRAIN), "test.txt": None},
        addresses=(f"{mirror.address}/first", f"{mirror.address}/second"),
        sizes=(8, 4, 4),
    )
    monkeypatch.setitem(LISTS_SOURCES, "little-graph", source)
    monkeypatch.setattr(downloads, "_WAITS", (0.0, 0.0))
    (mirror.folder / "second").mkdir()
    (mirror.folder / "second" / "train.txt").write_bytes(TRAIN)
    (mirror.folder / "second" / "test.txt").write_bytes(TEST)
    return "little-graph"


def test_the_published_train_and_test_of_graph_papers_are_read(tmp_path, graph, mirror, caplog):
    train = [[1, 0, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1]]
    test = [[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 1], [0, 0, 0, 0]]
    cache = tmp_path / "cache"
    split = published(graph, cache)
    np.testing.assert_array_equal(split.train.toarray(), train)
    np.testing.assert_array_equal(split.test.toarray(), test)
    assert caplog.text.count("trusting this first copy") == 2
    assert caplog.text.count("which has the published MD5") == 1
    asked = len(mirror.asked)
    whole = load(graph, cache, download=False)
    np.testing.assert_array_equal(whole.urm.toarray(), np.add(train, test))
    assert whole.name == split.train_data.name == graph
    parts = load_parts(graph, cache / graph)
    np.testing.assert_array_equal(parts[1].urm.toarray(), test)
    assert len(mirror.asked) == asked
    (cache / graph / "test.txt").write_bytes(TEST + b"3 1\n")
    with pytest.raises(DataError, match=r"test\.txt has SHA-256 .* instead of"):
        load(graph, cache)
    (cache / graph / "test.txt.sha256").unlink()
    with pytest.raises(DataError, match=r"holds 9 interactions .* but little-graph has 8"):
        load(graph, cache)


def test_an_address_with_another_file_is_passed_over(tmp_path, graph, mirror):
    (mirror.folder / "first").mkdir()
    (mirror.folder / "first" / "train.txt").write_bytes(b"0 1\n")
    assert published(graph, tmp_path).train.nnz == 5
    with pytest.raises(DataError, match=r"needs .*train\.txt, and downloads are off"):
        published(graph, tmp_path / "empty", download=False)
    with pytest.raises(ValueError, match="no train and test of 'citeulike-a' are published"):
        published("citeulike-a")
    with pytest.raises(ValueError, match=r"'gowala' has no files of lists.*did you mean 'gowalla'"):
        load_parts("gowala")


def test_counted_lists_belong_to_the_user_of_their_line():
    found = read_item_lists(b"2 0 3\n0\n1 2\n", "users.dat", counted=True)
    np.testing.assert_array_equal(found.toarray(), [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]])


@pytest.mark.parametrize(
    ("content", "counted", "message"),
    [
        (b"0 1\n1 x\n", False, "line 2 of lists holds more than whole numbers"),
        (b"0 1\n1 -2\n", False, "line 2 of lists holds more than whole numbers"),
        (b"0 1 1\n", False, "an item twice for one user"),
        (b"0 99999999999\n", False, "line 1 of lists holds a number that is too large"),
        (b"0 4294967295\n", False, "too large"),
        (b"3 0 1\n", True, "line 1 of lists says 3 items but holds 2"),
        (b"", False, "holds no interactions"),
    ],
)
def test_files_of_lists_that_hold_something_else_are_refused(content, counted, message):
    with pytest.raises(DataError, match=message):
        read_item_lists(content, "lists", counted=counted)


# Downloads that break off ---------------------------------------------------------------------

BROAD = packed({"tiny/README": np.random.default_rng(0).bytes(4000), "tiny/u.data": ROWS})
TAGGED = {"ETag": '"one"', "Content-Length": str(len(BROAD))}


def rest(start, tag='"one"', content=BROAD):
    """The answer of a server that goes on at a byte."""
    left = content[start:]
    where = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return (206, {"ETag": tag, "Content-Length": str(len(left)), "Content-Range": where}, left)


@pytest.fixture
def official(mirror, monkeypatch, tiny):
    """Answers of the only address, and the ranges that it was asked for."""
    monkeypatch.setenv("GANMF_MIRROR", "")
    tiny(archive_sha256=sha(BROAD))
    ranges = []
    plain = Quiet.do_GET

    def noting(handler):
        ranges.append(handler.headers.get("Range"))
        plain(handler)

    monkeypatch.setattr(Quiet, "do_GET", noting)
    return mirror.answers, ranges


def test_a_download_that_breaks_off_is_gone_on_with(tmp_path, official):
    answers, ranges = official
    cut = (206, rest(1024)[1], BROAD[1024:2048])
    answers["/official/tiny.zip"] = [(200, TAGGED, BROAD[:1024]), cut, rest(2048)]
    assert load("tiny", tmp_path).n_interactions == 3
    assert ranges == [None, "bytes=1024-", "bytes=2048-"]
    assert (tmp_path / "tiny.zip").read_bytes() == BROAD


def test_progress_earns_further_attempts(tmp_path, official):
    answers, ranges = official
    steps = range(512, 3584, 512)
    answers["/official/tiny.zip"] = [
        (200, TAGGED, BROAD[:512]),
        *((206, rest(at)[1], BROAD[at : at + 512]) for at in steps),
        rest(3584),
    ]
    assert load("tiny", tmp_path).n_interactions == 3
    assert len(ranges) == 8


@pytest.mark.parametrize(
    "answer",
    [
        (200, {"ETag": '"two"', "Content-Length": str(len(BROAD))}, BROAD),
        rest(1024, tag='"two"'),
        rest(1023),
        (416, {}, b""),
    ],
    ids=["whole", "another version", "another place", "none"],
)
def test_what_does_not_go_on_is_begun_again(tmp_path, official, answer):
    answers, ranges = official
    whole = (200, TAGGED, BROAD)
    answers["/official/tiny.zip"] = [(200, TAGGED, BROAD[:1024]), answer, whole]
    assert load("tiny", tmp_path).n_interactions == 3
    assert ranges[:2] == [None, "bytes=1024-"]
    assert ranges[2:] in ([], [None])


def test_without_the_name_of_a_version_a_download_is_begun_again(tmp_path, official):
    answers, ranges = official
    length = {"Content-Length": str(len(BROAD))}
    weak = {**length, "ETag": 'W/"one"'}
    answers["/official/tiny.zip"] = [
        (200, length, BROAD[:1024]),
        (200, weak, BROAD[:1024]),
        (200, {}, BROAD),
    ]
    assert load("tiny", tmp_path).n_interactions == 3
    assert ranges == [None, None, None]


def test_a_file_put_together_of_two_is_not_kept(tmp_path, official):
    answers, ranges = official
    answers["/official/tiny.zip"] = [
        (200, TAGGED, BROAD[:1024]),
        rest(1024, content=BROAD[:1024] + b"x" * (len(BROAD) - 1024)),
        (200, TAGGED, BROAD),
    ]
    assert load("tiny", tmp_path).n_interactions == 3
    assert ranges == [None, "bytes=1024-", None]
