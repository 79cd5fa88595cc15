"""Progress is shown where somebody waits, and says nothing where nobody asked."""

import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

import ganmf_fast as gf
from ganmf_fast.base import progress


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(progress, "time", made)
    return made


def said(capsys) -> list[str]:
    captured = capsys.readouterr()
    assert captured.out == ""
    return captured.err.splitlines()


def test_where_there_is_no_terminal_a_line_is_written_every_ten_seconds(clock, capsys):
    with progress.reporter("Fit") as report:
        for second in range(1, 45):
            clock.now = second
            report(second, 50, "best 0.1")
    lines = said(capsys)
    assert lines[0] == "Fit: 20%, 40 seconds left, best 0.1"
    assert [line.split("%")[0] for line in lines] == ["Fit: 20", "Fit: 40", "Fit: 60", "Fit: 80"]


def test_short_work_is_not_mentioned(clock, capsys):
    with progress.reporter("Fit") as report:
        for at in range(100):
            clock.now = at / 11
            report(at, 100)
    assert said(capsys) == []


def test_work_of_more_than_a_minute_is_announced_once(clock, capsys):
    with progress.reporter("Fit") as report:
        for second in range(1, 10):
            clock.now = second
            report(second, 240)
    assert said(capsys) == ["Fit, about 4 minutes"]


def test_what_is_left_is_of_the_present_part(clock, capsys):
    with progress.reporter("Fit") as report:
        for second, done in ((5, 50), (9, 90), (10, 1), (20, 11)):
            clock.now = second
            report(done, 100)
    assert said(capsys) == ["Fit: 1%", "Fit: 11%, 89 seconds left"]


@pytest.mark.parametrize(("verbose", "lines"), [(True, 3), (False, 0), (None, 0)])
def test_verbose_shows_progress_at_once_or_never(verbose, lines, clock, capsys, toy_urm):
    def tick(_epoch, _values):
        clock.now += 1.0

    model = gf.WRMF(num_factors=2, epochs=4)
    model.fit(toy_urm, callback=tick, verbose=verbose)
    assert len(said(capsys)) == lines
    # Afterwards it is as before.
    with progress.reporter("Fit") as report:
        report(1, 2)
    assert said(capsys) == []


def test_quiet_is_quiet_unless_a_fit_is_told_otherwise(clock, capsys):
    progress.set_quiet(True)
    try:
        with progress.reporter("Fit") as report:
            clock.now = 100.0
            report(1, 100)
        progress.announce("Fit", 1000.0)
        assert said(capsys) == []
        with progress.verbosity(True):
            progress.line("here")
        assert said(capsys) == ["here"]
        assert progress.is_quiet()
    finally:
        progress.set_quiet(False)


def test_a_fit_of_more_than_a_minute_says_before_it_begins_what_it_needs(monkeypatch, capsys):
    ease = sys.modules[gf.EASE.__module__]
    monkeypatch.setattr(ease, "_LARGE", 10)
    monkeypatch.setattr(ease, "product_seconds", lambda n: 300.0 * (n / 20))
    X = np.eye(30, 20) + 1
    gf.EASE().fit(X)
    assert said(capsys) == ["EASE: fit: 20 items, 0.0 GiB, about 2 minutes"]
    gf.EASE().fit(X, verbose=False)
    monkeypatch.setattr(ease, "product_seconds", lambda n: 1.0)
    gf.EASE().fit(X)
    assert said(capsys) == []


def test_times_are_in_words():
    assert [progress.duration(s) for s in (5, 89, 91, 5000, 9000)] == [
        "5 seconds",
        "89 seconds",
        "2 minutes",
        "83 minutes",
        "2.5 hours",
    ]


def test_a_wrong_verbose_is_refused(toy_urm):
    with pytest.raises(TypeError, match="verbose must be True or False, not 2"):
        gf.TopPopular().fit(toy_urm, verbose=2)


def test_blocks_of_several_threads_do_not_silence_each_other():
    ready, done = threading.Barrier(2), threading.Event()

    def other():
        with progress.verbosity(False):
            ready.wait()
            done.wait()
            assert progress.is_quiet()
        assert not progress.is_quiet()

    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(other)
        with progress.verbosity(False):
            ready.wait()
            assert progress.is_quiet()
        assert not progress.is_quiet()
        done.set()
        running.result()
    assert not progress.is_quiet()
