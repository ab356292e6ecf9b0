"""A network that predicts the registration error of every place of the lung.

It goes on from Galib et al. (2020), whose network tells well from poorly registered patches: this one sees more than the two
images, sees their surroundings at several scales, and answers with a distribution of the error in mm, from which the
probability of any threshold follows. The error (plus ``OFFSET_MM``) is taken to be log-normal: errors are positive, and
an uncertainty of a factor fits them better than one of so many mm.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import BaseModel, ConfigDict, Field, field_validator
from torch import Tensor, nn

from ..networks.unet import UNet
from .error_features import CHANNELS, padded

#: Added to errors before the logarithm, mm: below it, errors are not told apart.
OFFSET_MM = 0.1
LEAST_MM, MOST_MM = 0.0, 40.0
#: A place with a larger error is poorly registered, for a network that learns classes.
POOR_MM = 2.0


class ErrorConfig(BaseModel):
    """Of an error network.

    Args:
        features: channels at each resolution, finest first.
        blocks: residual blocks at each resolution.
        channels: names of what it sees, out of :data:`.error_features.CHANNELS`.
        learns: the size of the error, or only whether it is above :data:`POOR_MM`: with the two images alone, this is the
            classifier of Galib et al., and the simplest of its kind.
        temperature: factor of the predicted spread, fitted on validation cases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["error"] = "error"
    features: tuple[int, ...] = (16, 24, 32)
    blocks: int = Field(1, ge=1)
    channels: tuple[str, ...] = CHANNELS
    learns: Literal["size", "class"] = "size"
    temperature: float = Field(1.0, gt=0)

    @field_validator("channels")
    @classmethod
    def _known(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in CHANNELS]:
            raise ValueError(f"unknown channels: {', '.join(unknown)}")
        return names


class ErrorNetwork(nn.Module):
    """All features (B, C, D, H, W) -> mean and log standard deviation of log(error + offset), (B, 2, D, H, W)."""

    def __init__(self, config: ErrorConfig) -> None:
        super().__init__()
        self.config = config
        self.seen = [CHANNELS.index(name) for name in config.channels]
        self.body = UNet(len(config.channels), config.features, config.blocks, "none")
        self.head = nn.Conv3d(config.features[0], 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Sizes are multiples of ``2 ** (len(config.features) - 1)``."""
        out: Tensor = self.head(self.body(features[:, self.seen]))
        return out

    @torch.inference_mode()
    def predict(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(C, D, H, W) of any size -> mean and standard deviation of log(error + offset), (D, H, W) each."""
        whole, where = padded(features, 2 ** (len(self.config.features) - 1))
        mean, spread = self(whole[None])[0][where]
        return mean, spread.clamp(-3, 2).exp() * self.config.temperature


def error_loss(
    found: Tensor, error_mm: Tensor, mask: Tensor, learns: Literal["size", "class"] = "size"
) -> Tensor:
    """Negative log-likelihood of known errors, or of their class.

    Args:
        found: (B, 2, D, H, W), of the network.
        error_mm: (B, 1, D, H, W).
        mask: bool (B, 1, D, H, W).
        learns: see :class:`ErrorConfig`.
    """
    mean, spread = found[:, :1][mask], found[:, 1:][mask].clamp(-3, 2)
    error = error_mm[mask]
    if learns == "class":
        chance = probability_over(POOR_MM, mean, spread.exp()).clamp(1e-4, 1 - 1e-4)
        return -torch.where(error > POOR_MM, chance.log(), (1 - chance).log()).mean()
    wanted = (error + OFFSET_MM).log()
    return (0.5 * ((wanted - mean) / spread.exp()).square() + spread).mean()


def expected_mm(mean: Tensor) -> Tensor:
    """The median of the predicted distribution, mm: what has the least absolute error."""
    return (mean.exp() - OFFSET_MM).clamp(LEAST_MM, MOST_MM)


def probability_over(threshold_mm: float, mean: Tensor, spread: Tensor) -> Tensor:
    """Probability that the error is above a threshold."""
    z = (math.log(threshold_mm + OFFSET_MM) - mean) / spread
    return 0.5 * torch.erfc(z / math.sqrt(2))
