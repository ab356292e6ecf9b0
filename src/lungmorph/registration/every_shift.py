"""How alike two scans are at every shift of one against the other, by Fourier transform."""

from __future__ import annotations

import torch
from torch import Tensor

from ..threads import one_thread


class EveryShift:
    """Sums over what two scans on one lattice show together, for every shift t at once: a(x) with b(x + t).

    Negative shifts stand at the end of every axis. Each array is transformed once.

    Args:
        fixed_seen: (D, H, W), 1 where the fixed scan has data and 0 elsewhere.
        moving_seen: the same of the moving scan, of any shape.
    """

    def __init__(self, fixed_seen: Tensor, moving_seen: Tensor) -> None:
        sizes = zip(fixed_seen.shape, moving_seen.shape, strict=True)
        self.shape = [_fast_length(a + b - 1) for a, b in sizes]
        self._fixed_seen, self._moving_seen = fixed_seen, moving_seen
        self._fixed, self._moving = self._spectrum(fixed_seen), self._spectrum(moving_seen)
        self._count = self._summed(self._fixed, self._moving).clamp_min(1.0)

    def fixed_inside(self, a: Tensor) -> Tensor:
        """Sum of ``a`` over what the moving scan shows."""
        return self._summed(self._spectrum(a), self._moving)

    def moving_inside(self, b: Tensor) -> Tensor:
        """Sum of ``b`` over what the fixed scan shows."""
        return self._summed(self._fixed, self._spectrum(b))

    def masked_correlation(self, both: tuple[Tensor, Tensor]) -> Tensor:
        """Normalised correlation of something of the fixed and of the moving scan over what both show (Padfield 2012)."""
        a, b = both[0] * self._fixed_seen, both[1] * self._moving_seen
        in_a, in_b = self._spectrum(a), self._spectrum(b)
        a_sum, b_sum = self._summed(in_a, self._moving), self._summed(self._fixed, in_b)
        top = self._summed(in_a, in_b) - a_sum * b_sum / self._count
        a_var = self.fixed_inside(a * a) - a_sum**2 / self._count
        b_var = self.moving_inside(b * b) - b_sum**2 / self._count
        bottom = (a_var.clamp_min(0) * b_var.clamp_min(0)).sqrt()
        return torch.where(bottom > 1e-3 * bottom.max(), top / bottom.clamp_min(1e-9), 0.0)

    @one_thread()
    def _spectrum(self, a: Tensor) -> Tensor:
        return torch.fft.rfftn(a.double(), self.shape)

    @one_thread()
    def _summed(self, a: Tensor, b: Tensor) -> Tensor:
        return torch.fft.irfftn(a.conj() * b, self.shape)


def _fast_length(least: int) -> int:
    """The smallest length from there on that only 2, 3 and 5 divide: its Fourier transform is fast."""
    while True:
        rest = least
        for factor in (2, 3, 5):
            while rest % factor == 0:
                rest //= factor
        if rest == 1:
            return least
        least += 1
