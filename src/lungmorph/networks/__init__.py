"""The networks: a list of levels composed by warping, VoxelMorph, and the weights that ship.

Every network takes fixed and moving (B, 1, D, H, W) in [0, 1] on one isotropic lattice
(:func:`preprocess` makes them from HU) and returns a list of displacements (B, 3, D, H, W) in
voxels, channels (x, y, z), fixed -> moving.
"""

from .build import RegistrationNetwork, build
from .config import LevelConfig, ModelConfig, MultiLevelConfig, VoxelMorphConfig, two_level
from .cost import Cost, choose, lattice_shape, measure, most_bytes
from .level import Level
from .multilevel import MultiLevel
from .preprocess import preprocess
from .pretrained import DEFAULT_NAME, available, load_model, save_model
from .unet import UNet
from .voxelmorph import VoxelMorph

__all__ = [
    "DEFAULT_NAME",
    "Cost",
    "Level",
    "LevelConfig",
    "ModelConfig",
    "MultiLevel",
    "MultiLevelConfig",
    "RegistrationNetwork",
    "UNet",
    "VoxelMorph",
    "VoxelMorphConfig",
    "available",
    "build",
    "choose",
    "lattice_shape",
    "load_model",
    "measure",
    "most_bytes",
    "preprocess",
    "save_model",
    "two_level",
]
