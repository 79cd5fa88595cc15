"""Work in several processes: the same numbers, in the same order, as in one."""

import copy
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_array_equal

import ganmf_fast as gf
from ganmf_fast.base.executors import Serial
from ganmf_fast.base.urm import as_csr
from ganmf_fast.split import Splits

# questions do not depend on who is faster --------------------------------------------------------


def slow_ones(slow):
    """Makes an executor whose workers take their time for these trials."""

    class Threads(ThreadPoolExecutor):
        def __init__(self, task, n_workers):
            super().__init__(n_workers)
            self.task = task

        def submit(self, question):
            return super().submit(self.answer, question)

        def answer(self, question):
            time.sleep(0.05 * (question.number in slow))
            return self.task(question)

    return Threads


class Idle:
    def __init__(self, x=0):
        self.x = x

    def fit(self, X):
        """Nothing is learnt."""


@pytest.mark.parametrize("n_workers", [1, 2, 3])
def test_questions_and_answers_come_in_an_order_that_speed_does_not_change(toy_urm, n_workers):
    splits = gf.split.paper_protocol(toy_urm, seed=1)
    assert isinstance(splits, Splits)
    sequences = []
    for slow in ((), range(0, 9, 2), range(1, 9, 2), (0,)):
        events = []

        class Noted:
            packages, prunes = (), False

            def __init__(self, *args, events=events):
                self.events = events

            def ask(self):
                number = sum(kind == "ask" for kind, _ in self.events)
                self.events.append(("ask", number))
                return {"x": number}

            def tell(self, trial):
                self.events.append(("tell", trial.number))

        gf.tune(
            Idle,
            splits,
            8,
            metric=lambda model, masked, held_out: model.x,
            space={"x": {"int": [0, 99]}},
            backend=Noted,
            executor=slow_ones(slow),
            n_workers=n_workers,
        )
        sequences.append(events)
    first = sequences[0]
    assert all(events == first for events in sequences)
    # Question i is asked with the answers up to i - n_workers, neither more nor fewer.
    for at, (kind, number) in enumerate(first):
        if kind == "ask":
            told = sum(kind == "tell" for kind, _ in first[:at])
            assert told == max(0, number - n_workers + 1)


# evaluation in shards ----------------------------------------------------------------------------


def in_this_process(task, n_workers):
    return Serial(task)


def assert_same_bits(parts, whole):
    assert parts.to_dict() == whole.to_dict()
    assert parts.label == whole.label
    assert_array_equal(parts.users, whole.users)
    assert parts.kept == whole.kept
    for key in whole.kept:
        assert_array_equal(parts.per_user(*key), whole.per_user(*key))


@pytest.fixture
def fitted(toy_urm):
    rolled = np.roll(toy_urm.toarray(), 3, axis=1)
    held_out = sp.csr_array(np.where(toy_urm.toarray() > 0, 0, rolled))
    return gf.ItemKNN(topk=7).fit(toy_urm), toy_urm, held_out


@pytest.mark.parametrize("ties", ["index", "published"])
@pytest.mark.parametrize("n_workers", [1, 3, 99])
def test_an_evaluation_in_shards_has_the_bits_of_a_whole_one(fitted, n_workers, ties):
    whole = gf.evaluate(*fitted, ties=ties)
    shards = []

    def make(task, n):
        def counted(rows):
            shards.append(len(rows))
            return task(rows)

        return Serial(counted)

    assert_same_bits(gf.evaluate(*fitted, n_workers=n_workers, executor=make, ties=ties), whole)
    assert len(shards) == min(n_workers, 60)
    assert max(shards) - min(shards) <= 1


@pytest.mark.processes
def test_local_processes_evaluate_to_the_same_bits(fitted):
    pytest.importorskip("cloudpickle", reason="tasks are sent with cloudpickle")
    assert_same_bits(gf.evaluate(*fitted, n_workers=2), gf.evaluate(*fitted))


def test_bad_executors_are_named(fitted):
    with pytest.raises(ValueError, match="there is no executor 'rai'; did you mean 'ray'"):
        gf.evaluate(*fitted, executor="rai")
    with pytest.raises(ValueError, match="n_workers must be at least 1, not 0"):
        gf.evaluate(*fitted, n_workers=0)


@pytest.mark.parametrize("binary", [True, False])
def test_matrices_go_to_other_processes_as_their_arrays(binary):
    X = sp.csr_array(np.array([[0, 2, 0], [1, 0, 0]], np.float32))
    matrix = as_csr(X > 0 if binary else X)
    sent = copy.deepcopy(matrix)  # takes it apart as pickle does
    for name in ("indptr", "indices", "values", "n_cols"):
        assert_array_equal(getattr(sent, name), getattr(matrix, name))
