"""Processes that answer questions: what they answer, and that they end with their owner."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from concurrent.futures import wait

import psutil
import pytest

from ganmf_fast.base.executors import Processes

pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
pytestmark = pytest.mark.processes


def task(question):
    match question:
        case "raise":
            raise ValueError("no answer")
        case "unsendable":
            return (part for part in ())
        case "odd error":
            raise OddError(1, 2)
        case "print":
            sys.stdout.write("said aloud\n")
            sys.stdout.flush()
        case "die":
            os.kill(os.getpid(), signal.SIGKILL)
        case "exit":
            os._exit(7)
        case int():
            time.sleep(question)
    return question, os.getpid()


class OddError(Exception):
    """Cannot be made again from what it shows."""

    def __init__(self, one, two):
        super().__init__(f"{one} {two}")


@pytest.fixture(scope="module")
def running():
    with Processes(task, 2) as running:
        yield running


def ask(running, question):
    return running.submit(question).result(60)


def test_a_process_is_kept_between_questions(running):
    first, second = running.submit("a"), running.submit("b")
    pids = {first.result()[1], second.result()[1]}
    assert len(pids) == 2
    assert os.getpid() not in pids
    assert {ask(running, "c")[1] for _ in range(4)} <= pids


def test_an_exception_is_the_answer_and_the_process_goes_on(running):
    pid = ask(running, "a")[1]
    with pytest.raises(ValueError, match="no answer"):
        ask(running, "raise")
    assert ask(running, "a")[1] == pid


@pytest.mark.parametrize(("question", "said"), [("unsendable", "generator"), ("odd error", "1 2")])
def test_what_cannot_be_sent_is_described(running, question, said):
    with pytest.raises(RuntimeError, match=said):
        ask(running, question)
    assert ask(running, "a")[0] == "a"


@pytest.mark.parametrize(("question", "said"), [("die", "by SIGKILL"), ("exit", "exit code 7")])
def test_a_process_that_ends_says_how_and_another_takes_its_place(running, question, said):
    with pytest.raises(RuntimeError, match=said):
        ask(running, question)
    for _ in range(3):
        assert ask(running, "a")[0] == "a"


def test_what_a_task_prints_is_no_answer(running):
    assert ask(running, "print")[0] == "print"


def test_leaving_ends_what_is_at_work():
    others = psutil.Process().children()
    with Processes(task, 2) as running:
        wait([running.submit(100) for _ in range(2)], timeout=2)
        workers = [child for child in psutil.Process().children() if child not in others]
        began = time.monotonic()
    assert time.monotonic() - began < 1
    assert len(workers) == 2
    assert not any(map(psutil.Process.is_running, workers))


OWNER = """
import sys, time
from ganmf_fast.base.executors import Processes

def task(seconds):
    time.sleep(seconds)

with Processes(task, 2) as running:
    running.submit(0).result()
    futures = [running.submit(100), running.submit(100)]
    print("ready", flush=True)
    futures[0].result()
"""


@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_workers_end_with_their_owner_and_say_nothing(sent):
    command = [sys.executable, "-c", textwrap.dedent(OWNER)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout.readline() == "ready\n"
        workers = psutil.Process(owner.pid).children(recursive=True)
        assert len(workers) == 2
        owner.send_signal(sent)
        assert psutil.wait_procs(workers, timeout=10)[1] == []
        said = owner.communicate()[1]
    # That of the owner itself, where nobody catches it.
    assert "KeyboardInterrupt" in said if sent == signal.SIGINT else said == ""
    assert said.count("Traceback") == (sent == signal.SIGINT)
