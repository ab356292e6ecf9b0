"""Where the tensors of a registration are made."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch


@contextmanager
def on_device(device: str) -> Iterator[None]:
    """Within it torch makes new tensors on the device, in this thread, and at its end the device has done its work.

    For the CPU, where they are made anyway, it does nothing: torch would ask on every call.
    """
    kind = torch.device(device).type
    if kind == "cpu":
        yield
        return
    # TF32, by which cuDNN would round what a convolution takes to three digits, would make another answer than the CPU's
    with torch.device(device), torch.backends.cudnn.flags(enabled=True, allow_tf32=False):
        yield
    # else what a step leaves in the queue would count as time of the next
    if kind == "cuda":
        torch.cuda.synchronize(device)
