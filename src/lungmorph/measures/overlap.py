"""Overlap of masks and correlation of images."""

from __future__ import annotations

from torch import Tensor


def dice(a: Tensor, b: Tensor) -> float:
    """2 |a and b| / (|a| + |b|) of two bool masks of one shape; 0 when both are empty."""
    total = int(a.sum()) + int(b.sum())
    return 2 * int((a & b).sum()) / total if total else 0.0


def correlation(a: Tensor, b: Tensor) -> float:
    """Pearson's correlation of two lists of values; 0 when one of them is constant."""
    a, b = a.double() - a.double().mean(), b.double() - b.double().mean()
    norm = float((a.square().sum() * b.square().sum()).sqrt())
    return float((a * b).sum()) / norm if norm > 0 else 0.0
