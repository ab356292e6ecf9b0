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
from pydantic import BaseModel, ConfigDict, Field
from torch import Tensor, nn

from ..networks.unet import UNet
from .error_features import CHANNELS, padded

#: Added to errors before the logarithm, mm: below it, errors are not told apart.
OFFSET_MM = 0.3
LEAST_MM, MOST_MM = 0.0, 40.0


class ErrorConfig(BaseModel):
    """Of an error network.

    Args:
        features: channels at each resolution, finest first.
        blocks: residual blocks at each resolution.
        channels: names of what it sees, see :data:`.error_features.CHANNELS`.
        temperature: factor of the predicted spread, fitted on validation cases.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["error"] = "error"
    features: tuple[int, ...] = (16, 24, 32)
    blocks: int = Field(1, ge=1)
    channels: tuple[str, ...] = CHANNELS
    temperature: float = Field(1.0, gt=0)


class ErrorNetwork(nn.Module):
    """Features (B, C, D, H, W) -> mean and log standard deviation of log(error + offset), (B, 2, D, H, W)."""

    def __init__(self, config: ErrorConfig) -> None:
        super().__init__()
        self.config = config
        self.body = UNet(len(config.channels), config.features, config.blocks, "none")
        self.head = nn.Conv3d(config.features[0], 2, 1)

    def forward(self, features: Tensor) -> Tensor:
        """Sizes are multiples of ``2 ** (len(config.features) - 1)``."""
        out: Tensor = self.head(self.body(features))
        return out

    @torch.inference_mode()
    def predict(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """(C, D, H, W) of any size -> mean and standard deviation of log(error + offset), (D, H, W) each."""
        whole, where = padded(features, 2 ** (len(self.config.features) - 1))
        mean, spread = self(whole[None])[0][where]
        return mean, spread.clamp(-3, 2).exp() * self.config.temperature


def error_loss(found: Tensor, error_mm: Tensor, mask: Tensor) -> Tensor:
    """Negative log-likelihood of known errors.

    Args:
        found: (B, 2, D, H, W), of the network.
        error_mm: (B, 1, D, H, W).
        mask: bool (B, 1, D, H, W).
    """
    mean, spread = found[:, :1], found[:, 1:].clamp(-3, 2)
    wanted = (error_mm + OFFSET_MM).log()
    loss = 0.5 * ((wanted - mean) / spread.exp()).square() + spread
    return loss[mask].mean()


def expected_mm(mean: Tensor) -> Tensor:
    """The median of the predicted distribution, mm: what has the least absolute error."""
    return (mean.exp() - OFFSET_MM).clamp(LEAST_MM, MOST_MM)


def probability_over(threshold_mm: float, mean: Tensor, spread: Tensor) -> Tensor:
    """Probability that the error is above a threshold."""
    z = (math.log(threshold_mm + OFFSET_MM) - mean) / spread
    return 0.5 * torch.erfc(z / math.sqrt(2))
