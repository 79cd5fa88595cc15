"""Ctrl-C at any moment of a command: 130, one sentence, nothing of Python's."""

import signal
import subprocess
import sys
import textwrap
import time

import pytest

pytestmark = pytest.mark.processes


def test_an_interrupt_that_python_drops_is_raised_again():
    code = """
        import signal, sys, time
        from ganmf_fast.cli import app, main

        signal.signal(signal.SIGINT, signal.default_int_handler)

        class Finalized:
            def __del__(self):
                signal.raise_signal(signal.SIGINT)

        def build():
            Finalized()
            time.sleep(60)

        app.build = build
        sys.exit(main([]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    began = time.monotonic()
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (130, "ganmf: interrupted\n")
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_a_command_that_still_starts_ends_at_once(sent):
    code = """
        import signal, sys
        signal.signal(signal.SIGINT, signal.default_int_handler)
        from ganmf_fast.cli import main
        print("ready", flush=True)
        sys.exit(main(["doctor"]))
    """
    command = [sys.executable, "-c", textwrap.dedent(code)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        process.send_signal(sent)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (128 + sent, "ganmf: interrupted\n")
