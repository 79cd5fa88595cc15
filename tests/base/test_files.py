import os
import subprocess
import sys
from pathlib import Path

import pytest

from ganmf_fast.base import files
from ganmf_fast.base.files import try_lock, unlock, write_whole, written_whole


def test_a_file_appears_whole_or_not_at_all(tmp_path):
    path = tmp_path / "file"
    write_whole(path, "é\n")
    assert path.read_bytes() == "é\n".encode()

    def half():
        with written_whole(path) as part:
            part.write_text("half of")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        half()
    assert path.read_bytes() == "é\n".encode()
    write_whole(path, b"new")
    assert [p.name for p in tmp_path.iterdir()] == ["file"]
    assert path.read_bytes() == b"new"


def test_content_is_on_the_disk_before_the_name(tmp_path, monkeypatch):
    path, seen = tmp_path / "file", []
    fsync = os.fsync

    def watched(handle):
        seen.append((str(Path(f"/proc/self/fd/{handle}").readlink()), path.exists()))
        fsync(handle)

    if not Path("/proc/self/fd").is_dir():
        pytest.skip("needs /proc")
    monkeypatch.setattr(files.os, "fsync", watched)
    write_whole(path, "content")
    (part, before), (folder, after) = seen
    assert part.endswith(".part")
    assert (before, folder, after) == (False, str(tmp_path), True)


def test_the_file_has_the_permissions_of_any_new_file(tmp_path):
    write_whole(tmp_path / "a", "a")
    (tmp_path / "b").write_text("b")
    assert (tmp_path / "a").stat().st_mode == (tmp_path / "b").stat().st_mode


def test_a_lock_is_for_one_and_leaves_no_file(tmp_path):
    path = tmp_path / "lock"
    lock = try_lock(path)
    assert lock is not None
    assert try_lock(path) is None
    unlock(lock)
    assert list(tmp_path.iterdir()) == []
    again = try_lock(path)
    assert again is not None
    unlock(again)


@pytest.mark.processes
def test_a_lock_ends_with_its_process(tmp_path):
    path = tmp_path / "lock"
    code = (
        "import sys, time; from pathlib import Path; from ganmf_fast.base.files import try_lock; "
        "lock = try_lock(Path(sys.argv[1])); print(lock is not None, flush=True); time.sleep(60)"
    )
    holder = subprocess.Popen([sys.executable, "-c", code, path], stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "True\n"
    assert try_lock(path) is None
    holder.kill()
    holder.communicate()
    lock = try_lock(path)
    assert lock is not None
    unlock(lock)


@pytest.mark.skipif(os.name != "posix", reason="numbers are those of POSIX")
@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("No space left on device (os error 28)", 28),
        ('IoError(Os { code: 27, kind: FileTooLarge, message: "File too large" })', 27),
        ("code: 27", None),
    ],
)
def test_the_number_of_an_error_is_read_from_either_text(text, number):
    assert files.error_number(Exception(text)) == number


def test_files_of_long_names_that_begin_alike_do_not_remove_each_others_parts(tmp_path):
    begun = "of a fit with so many parameters that the name is long, seed "
    with written_whole(tmp_path / f"{begun}1") as part:
        part.write_text("1")
        files.remove_parts(tmp_path / f"{begun}2")
    assert (tmp_path / f"{begun}1").read_text() == "1"


def test_the_mask_of_the_process_is_never_touched(tmp_path, monkeypatch):
    monkeypatch.setattr(files.os, "umask", None)  # whatever another thread creates meanwhile
    write_whole(tmp_path / "file", "content")


def test_a_file_that_is_replaced_keeps_its_permissions_and_a_link_its_place(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    path.write_text("old")
    path.chmod(0o600)
    link.symlink_to(path)
    write_whole(link, "new")
    assert (link.is_symlink(), path.read_text()) == (True, "new")
    assert path.stat().st_mode & 0o777 == 0o600


def test_what_a_killed_writer_had_begun_is_removed_when_nobody_writes_it_any_more(tmp_path):
    path, link = tmp_path / "file", tmp_path / "link"
    link.symlink_to(path)
    left, now = (tmp_path / f".file.{digit * 16}.part" for digit in "01")
    for part in (left, now):
        part.touch()
    os.utime(left, (0, 0))
    files.remove_parts(link, left_alone=True)
    assert (left.exists(), now.exists()) == (False, True)
    files.remove_parts(link)
    assert not now.exists()


def test_a_file_that_may_not_be_written_is_replaced_and_stays_so(tmp_path):
    path = tmp_path / "file"
    path.touch(0o444)
    write_whole(path, "new")
    assert (path.read_text(), path.stat().st_mode & 0o777) == ("new", 0o444)
