"""When a run's numbers are no longer of use, and what to try then."""

from __future__ import annotations

import math

import torch
from torch import nn

#: By the run's precision.
ADVICE = {
    precision: (
        f"lower learning_rate, raise the weight of diffusion, {change}or look for damaged images; "
        "the last checkpoint is whole, and the command with the change goes on from it"
    )
    for precision, change in (
        ("16-mixed", "use device.precision bf16-mixed or 32-true, "),
        ("bf16-mixed", "use device.precision 32-true, "),
        ("32-true", ""),
    )
}
#: No weight of a network that has learned anything is larger.
LARGEST_WEIGHT = 1e6


def diverged(numbers: dict[str, float], precision: str) -> str:
    """What of a step is no longer finite, or "". With 16-bit floats a step whose gradient is infinite is skipped."""
    if not math.isfinite(numbers["loss"]):
        return f"the loss is {numbers['loss']}"
    if not math.isfinite(numbers["gradient"]) and precision != "16-mixed":
        return f"the gradient is {numbers['gradient']}"
    return ""


def run_away(model: nn.Module) -> str:
    """The weight that is too large or no number, or ""."""
    # of tensors: Python's max passes over a nan that does not come first
    largest = float(torch.stack([w.detach().abs().max() for w in model.parameters()]).max())
    return "" if largest < LARGEST_WEIGHT else f"a weight of {largest:.2g}"
