"""A process that answers questions of another: `Worker` starts and asks it, `serve` is its life.

The two talk over the process's standard input and output, in pickles with their lengths before
them. The process is gone as soon as its input ends: with its owner, however that ends. It is in a
group of its own, so that Ctrl-C at a terminal reaches the owner alone. What a task prints goes to
stderr.
"""

import contextlib
import importlib
import os
import pickle
import queue
import signal
import subprocess
import sys
import threading
from concurrent.futures import Future
from multiprocessing.spawn import get_executable
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

_LENGTH = 8
_Question: TypeAlias = "tuple[Future[Any], bytes]"


class Worker:
    """A process that answers one question at a time.

    Parameters
    ----------
    task : bytes
        The function of a question, pickled; it is sent once.
    threads : int
        Threads of the process.
    """

    def __init__(self, task: bytes, threads: int) -> None:
        # For libraries that are loaded later, such as torch.
        limits = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
        path = os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)
        self._process = subprocess.Popen(
            [get_executable(), "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, **limits, "PYTHONPATH": path},
            **_own_group(),
        )
        self._questions: queue.SimpleQueue[_Question | None] = queue.SimpleQueue()
        self._thread = threading.Thread(
            target=self._talk, args=(pickle.dumps(threads), task), name="ganmf-worker", daemon=True
        )
        self.alive = True
        """Whether it can be asked; False before the answer that says why."""
        self._thread.start()

    def ask(self, question: bytes) -> "Future[Any]":
        """The answer to a pickled question.

        Its exception is that of the task, or a RuntimeError if the process ended.
        """
        future: Future[Any] = Future()
        self._questions.put((future, question))
        return future

    def end(self) -> None:
        """End it, at once if it is at work."""
        self._questions.put(None)
        self._process.kill()
        self._process.wait()
        self._thread.join()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):  # what was not sent
                    pipe.close()

    def _talk(self, *first: bytes) -> None:
        """Send what is asked and hand on what is answered, until the end."""
        send, receive = self._process.stdin, self._process.stdout
        future: Future[Any] | None = None
        try:
            for message in first:
                _write(send, message)
            while (asked := self._questions.get()) is not None:
                future, question = asked
                _write(send, question)
                _settle(future, _read(receive))
                future = None
        except (OSError, EOFError):
            if future is None and (asked := self._questions.get()) is not None:
                future, _ = asked
            self.alive = False
            if future is not None:
                future.set_exception(RuntimeError(_ending(self._process.wait())))


def _settle(future: "Future[Any]", answer: bytes) -> None:
    try:
        fine, value = pickle.loads(answer)
    except Exception as error:  # whatever a class of the caller's raises
        fine, value = False, error
    (future.set_result if fine else future.set_exception)(value)


def _own_group() -> dict[str, Any]:
    if sys.platform == "win32":
        return {"creationflags": subprocess.CREATE_NEW_PROCESS_GROUP}
    return {"process_group": 0}


def _ending(code: int) -> str:
    if code >= 0:
        return f"its process ended with exit code {code}"
    return f"its process ended by {signal.Signals(-code).name}"


def _write(pipe: Any, message: bytes) -> None:
    pipe.write(len(message).to_bytes(_LENGTH, "little"))
    pipe.write(message)
    pipe.flush()


def _read(pipe: Any) -> bytes:
    """One message.

    Raises
    ------
    EOFError
        At the end.
    """
    length = pipe.read(_LENGTH)
    message: bytes = pipe.read(int.from_bytes(length, "little"))
    if len(length) < _LENGTH or len(message) < int.from_bytes(length, "little"):
        raise EOFError
    return message


def serve() -> None:
    """Answer questions until standard input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    inbox: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(sys.stdin.buffer, inbox), daemon=True).start()
    _prepare(pickle.loads(inbox.get()))
    task = pickle.loads(inbox.get())
    while True:
        question = pickle.loads(inbox.get())
        try:
            answer = (True, task(question))
        except Exception as error:
            answer = (False, error)
        _write(answers, _pickled(answer))


def _listen(pipe: BinaryIO, inbox: "queue.SimpleQueue[bytes]") -> None:
    """Take in questions, and end the process amid its work when there will be no more."""
    with contextlib.suppress(EOFError, OSError):
        while True:
            inbox.put(_read(pipe))
    os._exit(1)


def _prepare(threads: int) -> None:
    # Imported here: the owner's messages are taken in meanwhile.
    importlib.import_module("ganmf_fast.base.progress").set_quiet(True)
    importlib.import_module("ganmf_fast.base.threads").set_num_threads(threads)


def _pickled(answer: tuple[bool, Any]) -> bytes:
    """An answer as bytes; one that cannot be sent is described."""
    cloudpickle = importlib.import_module("cloudpickle")
    try:
        sent: bytes = cloudpickle.dumps(answer)
        pickle.loads(sent)
    except Exception as error:
        sent = cloudpickle.dumps((False, RuntimeError(f"{answer[1]!r:.200}: {error}")))
    return sent


if __name__ == "__main__":
    serve()
