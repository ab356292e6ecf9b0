"""Simulated pairs with exact truth: anatomy, motion, scanner."""

from .anatomy import Anatomy, acquire, real_anatomy, thorax
from .breathing import Breath, breathing_field, random_field
from .disease import Collapse, collapse, with_tumour
from .pairs import Consolidation, SimulatedPair, simulate_pair
from .randomness import Draw
from .real_motion import Motion, fit_motion, load_motion
from .series import PHASES, SimulatedSeries, simulate_series
from .source import TrainingPairs

__all__ = [
    "PHASES",
    "Anatomy",
    "Breath",
    "Collapse",
    "Consolidation",
    "Draw",
    "Motion",
    "SimulatedPair",
    "SimulatedSeries",
    "TrainingPairs",
    "acquire",
    "breathing_field",
    "collapse",
    "fit_motion",
    "load_motion",
    "random_field",
    "real_anatomy",
    "simulate_pair",
    "simulate_series",
    "thorax",
    "with_tumour",
]
