"""What a network costs before it is run: multiply-adds, peak memory, and the setting that fits.

The network is run once on the meta device, where tensors have a shape but no values. Each
convolution is counted from its shapes, and each storage from when it is made to when it is freed, so
that the numbers follow the code and need no formula of their own.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from math import ceil, prod
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from ..errors import InputError
from .build import build
from .config import ModelConfig, MultiLevelConfig
from .multilevel import MultiLevel

# oneDNN computes convolutions on copies whose channels are rounded up to its vector width; only an
# input of very few channels, as the first layer's, is read where it lies.
_CHANNEL_BLOCK = 16
_PLAIN_CHANNELS = 7
# compiled kernels, per-thread buffers and unreturned pages of the allocator, as measured
_OVERHEAD_BYTES = 80_000_000
_COARSER = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)


@dataclass(frozen=True)
class Cost:
    """Of running a network up to and including one level, for one pair on the CPU, no gradients.

    Attributes:
        level: its number, from 1.
        parameters: of this level alone.
        multiply_adds: of this level's convolutions alone (warping and interpolation are left out).
        peak_bytes: most memory in use at once, of the run up to this level: tensors, weights and
            input, without what the interpreter and the libraries take anyway.
    """

    level: int
    parameters: int
    multiply_adds: int
    peak_bytes: int


def lattice_shape(extent_mm: Sequence[float], spacing_mm: float) -> tuple[int, int, int]:
    """(D, H, W) of a lattice that covers ``extent_mm`` along (x, y, z) at ``spacing_mm``."""
    width, height, depth = (max(1, ceil(length / spacing_mm)) + 1 for length in extent_mm)
    return depth, height, width


def measure(config: ModelConfig, shape: tuple[int, int, int]) -> list[Cost]:
    """The cost of each level on a lattice (D, H, W); VoxelMorph has one."""
    with torch.device("meta"):
        network = build(config)
        pair = torch.empty(1, 1, *shape)
    network.eval()
    parts = list(network.levels) if isinstance(network, MultiLevel) else [network]
    costs: list[Cost] = []
    resident = 2 * pair.nbytes + _OVERHEAD_BYTES
    for number, part in enumerate(parts, start=1):
        parameters = sum(p.numel() for p in part.parameters())
        resident += 4 * parameters
        with torch.no_grad(), _Meter() as meter:
            network(pair, pair, levels=number)
        multiply_adds = meter.multiply_adds - sum(c.multiply_adds for c in costs)
        costs.append(Cost(number, parameters, multiply_adds, resident + meter.peak))
    return costs


def most_bytes(config: ModelConfig, shape: tuple[int, int, int]) -> int:
    """More than the network can take on a lattice (D, H, W): the inputs and outputs of all its convolutions at once.

    Several times what :func:`measure` finds, in a hundredth of the time: on most machines the answer is
    clear, and the first use of the meta device costs two seconds.
    """
    with torch.random.fork_rng(devices=[]):
        network = build(config)
    kinds = (torch.nn.Conv3d, torch.nn.ConvTranspose3d)
    layers = [layer for layer in network.modules() if isinstance(layer, kinds)]
    channels = sum(_up(layer.in_channels) + _up(layer.out_channels) for layer in layers)
    weights = sum(p.numel() for p in network.parameters())
    return _OVERHEAD_BYTES + 4 * (weights + channels * prod(shape))


def choose(
    config: ModelConfig,
    extent_mm: Sequence[float],
    available_bytes: int,
    levels: int | None = None,
    spacing_mm: float | None = None,
) -> tuple[int, float]:
    """The best setting that fits the memory.

    All levels at the spacing that the network was trained at; else all levels at up to twice that
    spacing; else fewer levels, then coarser still.

    Args:
        config: of the network.
        extent_mm: of the region to register, along (x, y, z).
        available_bytes: what the network may take.
        levels: insist on this number of levels.
        spacing_mm: insist on this spacing.

    Returns:
        (levels, spacing in mm).

    Raises:
        InputError: nothing fits, or what was insisted on does not; it tells how much would be needed
            and which smaller setting fits.
    """
    most = len(config.levels) if isinstance(config, MultiLevelConfig) else 1
    if levels is not None and not 1 <= levels <= most:
        raise InputError(
            "levels", expected=f"1 to {most}, as the network has", found=str(levels),
            do="or 0 to leave the network out",
        )  # fmt: skip
    counts = [levels] if levels is not None else list(range(most, 0, -1))
    spacings = [spacing_mm] if spacing_mm is not None else [config.spacing_mm * f for f in _COARSER]
    if most_bytes(config, lattice_shape(extent_mm, spacings[0])) <= available_bytes:
        return counts[0], spacings[0]
    need = _needs(config, extent_mm)
    wish = _first_fit(counts, spacings, config.spacing_mm, need, available_bytes)
    if wish is not None:
        return wish
    needed = need(counts[0], spacings[0])
    all_counts = list(range(most, 0, -1))
    coarser = [s for f in _COARSER if (s := config.spacing_mm * f) >= spacings[0]]
    smaller = _first_fit(all_counts, coarser, config.spacing_mm, need, available_bytes)
    do = "register a smaller region or free some memory"
    if smaller is not None:
        do = f"{smaller[0]} level(s) at {smaller[1]:g} mm fit"
    raise InputError(
        "memory",
        expected=f"{_gigabytes(needed)} for {counts[0]} level(s) at {spacings[0]:g} mm",
        found=f"{_gigabytes(available_bytes)} available",
        do=do,
    )


def _needs(config: ModelConfig, extent_mm: Sequence[float]) -> Callable[[int, float], int]:
    known: dict[float, list[Cost]] = {}

    def need(levels: int, spacing: float) -> int:
        if spacing not in known:
            known[spacing] = measure(config, lattice_shape(extent_mm, spacing))
        return known[spacing][levels - 1].peak_bytes

    return need


def _first_fit(
    counts: list[int],
    spacings: list[float],
    usual: float,
    need: Callable[[int, float], int],
    available: int,
) -> tuple[int, float] | None:
    fine = [s for s in spacings if s <= 2 * usual]
    coarse = [s for s in spacings if s > 2 * usual]
    for group in (fine, coarse):
        for count in counts:
            for spacing in group:
                if need(count, spacing) <= available:
                    return count, spacing
    return None


def _gigabytes(count: int) -> str:
    return f"{count / 1e9:.2f} GB"


class _Meter(TorchDispatchMode):
    """Counts multiply-adds and live bytes of what runs inside it."""

    def __init__(self) -> None:
        super().__init__()
        self.multiply_adds = 0
        self.peak = 0
        self._live = 0
        self._sizes: dict[int, int] = {}

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        out = func(*args, **(kwargs or {}))
        for tensor in out if isinstance(out, (tuple, list)) else (out,):
            if isinstance(tensor, Tensor):
                self._keep(tensor)
        if func is torch.ops.aten.convolution.default:
            self._convolution(args[0], args[1], out, transposed=args[6])
        return out

    def _convolution(self, x: Tensor, weight: Tensor, out: Tensor, transposed: bool) -> None:
        # weight: (out, in / groups, ...), transposed: (in, out / groups, ...)
        positions = x.numel() if transposed else out.numel()
        self.multiply_adds += positions * (weight.numel() // weight.shape[0])
        copies = _blocked_bytes(out)
        if x.shape[1] > _PLAIN_CHANNELS:
            copies += _blocked_bytes(x)
        self.peak = max(self.peak, self._live + copies)

    def _keep(self, tensor: Tensor) -> None:
        storage = tensor.untyped_storage()
        key = storage._cdata
        if key not in self._sizes:
            self._sizes[key] = storage.nbytes()
            self._live += storage.nbytes()
            self.peak = max(self.peak, self._live)
            weakref.finalize(storage, self._drop, key)

    def _drop(self, key: int) -> None:
        self._live -= self._sizes.pop(key)


def _blocked_bytes(tensor: Tensor) -> int:
    channels = tensor.shape[1]
    return tensor.nbytes // channels * _up(channels)


def _up(channels: int) -> int:
    return -(-channels // _CHANNEL_BLOCK) * _CHANNEL_BLOCK
