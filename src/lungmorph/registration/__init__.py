"""From two scans to a displacement: prepare, pre-align, network, refine, result."""

from .presets import PRESETS, Preset
from .register import register
from .result import Registration

__all__ = ["PRESETS", "Preset", "Registration", "register"]
