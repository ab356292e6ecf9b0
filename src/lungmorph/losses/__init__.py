"""What a registration is asked to make small, or large: similarity, regularity, known truth.

Everything works on tensors (B, C, D, H, W); displacements have the channels (x, y, z). Similarities
are means over the mask, regularities are means over voxels, so weights do not depend on the size.
"""

from .consistency import forward_backward
from .masking import masked_mean
from .mind import mind_ssc, mind_ssc_difference
from .regularity import bending_energy, diffusion, isotropic_tv, jacobian_penalty
from .similarity import lncc, mass_preserving_difference, mse
from .supervised import displacement_error, landmark_distance

__all__ = [
    "bending_energy",
    "diffusion",
    "displacement_error",
    "forward_backward",
    "isotropic_tv",
    "jacobian_penalty",
    "landmark_distance",
    "lncc",
    "masked_mean",
    "mass_preserving_difference",
    "mind_ssc",
    "mind_ssc_difference",
    "mse",
]
