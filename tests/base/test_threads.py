"""Limits of threads whose blocks overlap in several threads of Python."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest
from threadpoolctl import threadpool_info

from ganmf_fast.base.threads import get_num_threads, num_threads, one_blas_thread, set_num_threads


def of_blas():
    return {one["num_threads"] for one in threadpool_info() if one["user_api"] == "blas"}


@pytest.fixture(autouse=True)
def two_threads():
    before = get_num_threads()
    set_num_threads(2)
    yield
    set_num_threads(before)


def test_blas_stays_on_one_thread_until_the_last_block_has_ended():
    first, second = ExitStack(), ExitStack()
    first.enter_context(one_blas_thread())
    second.enter_context(one_blas_thread())
    first.close()
    assert of_blas() == {1}
    second.close()
    assert of_blas() == {2}


def test_more_threads_for_another_do_not_reach_into_a_block_of_one():
    first, second = ExitStack(), ExitStack()
    first.enter_context(num_threads(2))
    with one_blas_thread():
        second.enter_context(num_threads(3))
        assert (of_blas(), get_num_threads()) == ({1}, 3)
        first.close()
        assert (of_blas(), get_num_threads()) == ({1}, 3)
    second.close()
    assert (of_blas(), get_num_threads()) == ({2}, 2)


def test_blocks_within_each_other_end_in_turn():
    with num_threads(1):
        with num_threads(3):
            assert get_num_threads() == 3
        assert (of_blas(), get_num_threads()) == ({1}, 1)
    assert (of_blas(), get_num_threads()) == ({2}, 2)


def test_a_limit_holds_in_whichever_thread_asks_for_it():
    def within():
        with one_blas_thread():
            return of_blas()

    assert within() == {1}
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(within).result() == {1}
        assert pool.submit(of_blas).result() == {2}
