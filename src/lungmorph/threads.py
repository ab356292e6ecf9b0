"""Work shared among threads: whole parts of it side by side, rather than each operation by all.

torch shares every operation among its threads and waits for the last of them; for operations of a few milliseconds that
costs as much as it saves, and many times that on a busy machine, where each wait lasts until the scheduler lets the last one
go on. Reading a 3D image between its voxels it does not share at all.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Part = TypeVar("Part")
Result = TypeVar("Result")


@contextmanager
def one_thread() -> Iterator[None]:
    """torch keeps to the calling thread."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)


def side_by_side(work: Callable[[Part], Result], parts: Sequence[Part]) -> list[Result]:
    """``work`` of every part, in their order; as many at a time as torch has threads, which share these.

    One after the other where new tensors are not made on the CPU: one part keeps such a device busy, and another thread
    would make its tensors on the CPU.
    """
    threads = torch.get_num_threads()
    workers = min(threads, len(parts))
    if workers < 2 or torch.empty(0).device.type != "cpu":
        return [work(part) for part in parts]
    with (
        one_thread(),
        ThreadPoolExecutor(
            workers, initializer=torch.set_num_threads, initargs=(threads // workers,)
        ) as pool,
    ):
        return list(pool.map(work, parts))
