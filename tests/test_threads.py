"""Parts of a work on several threads."""

from __future__ import annotations

import threading

import pytest
import torch

from lungmorph.threads import one_thread, side_by_side


@pytest.fixture(params=[1, 2, 5])
def threads(request: pytest.FixtureRequest):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_results_in_the_order_of_the_parts(threads: int) -> None:
    assert side_by_side(lambda part: part * part, range(7)) == [0, 1, 4, 9, 16, 25, 36]
    assert side_by_side(str, []) == []
    assert torch.get_num_threads() == threads


def test_parts_share_the_threads(threads: int) -> None:
    together = threading.Barrier(min(threads, 2), timeout=20)

    def share(_: int) -> int:
        together.wait()
        return torch.get_num_threads()

    assert side_by_side(share, range(2)) == [max(1, threads // 2)] * 2


def test_a_part_may_be_shared_once_more(threads: int) -> None:
    assert side_by_side(lambda n: sum(side_by_side(abs, [n, -n])), range(3)) == [0, 2, 4]
    assert torch.get_num_threads() == threads


def test_what_goes_wrong_in_a_part_is_raised(threads: int) -> None:
    def fails(part: int) -> int:
        raise ValueError(part)

    with pytest.raises(ValueError, match="4"):
        side_by_side(fails, [4, 4])
    assert torch.get_num_threads() == threads


def test_one_thread_and_then_as_many_as_before(threads: int) -> None:
    with one_thread():
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == threads
