"""What a network is made of, as data: enough to rebuild it, and to prepare its input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Features = tuple[Annotated[int, Field(ge=1, le=1024)], ...]
Norm = Literal["instance", "none"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class _Network(_Model):
    spacing_mm: float = Field(default=3.0, gt=0, description="of the isotropic working lattice")
    window_hu: tuple[float, float] = Field(
        default=(-1000.0, 200.0), description="HU mapped to 0 and to 1"
    )

    @model_validator(mode="after")
    def _window_is_a_range(self) -> _Network:
        if not self.window_hu[0] < self.window_hu[1]:
            raise ValueError(f"window_hu must be (low, high), found {self.window_hu}")
        return self


class LevelConfig(_Model):
    """One level: down-sampling convolutions, a U-Net body, as many up-samplings.

    Attributes:
        downsamplings: s; the body works at 1 / 2**s of the working resolution.
        entry: features after each of the s down-sampling convolutions.
        body: features of the U-Net body at each of its own resolutions, finest first.
        blocks: residual blocks at each resolution of the body.
        norm: instance norm before each convolution of a residual block, or none.
        correlation: radius, in voxels of the body's lattice, of a local correlation of the features of
            both images; the body sees it in place of the moving image's features. None to concatenate
            both images at the start.
        reduce: r; the level sees both images averaged in blocks of 2**r voxels a side, and its field is
            interpolated from that lattice: a floor of an image pyramid.
        carry: the body sees the features of the body before it as well (not the first level).
    """

    downsamplings: int = Field(ge=0, le=4)
    entry: Features
    body: Features = Field(min_length=1, max_length=6)
    blocks: int = Field(default=1, ge=1, le=8)
    norm: Norm = "instance"
    correlation: Annotated[int, Field(ge=1, le=4)] | None = None
    reduce: int = Field(default=0, ge=0, le=4)
    carry: bool = False

    @model_validator(mode="after")
    def _one_entry_per_downsampling(self) -> LevelConfig:
        if len(self.entry) != self.downsamplings:
            raise ValueError(
                f"entry needs one number for each of the {self.downsamplings} downsamplings, "
                f"found {len(self.entry)}"
            )
        return self

    @property
    def divisor(self) -> int:
        """Lattice sizes must be a multiple of this."""
        return int(2 ** (self.reduce + self.downsamplings + len(self.body) - 1))

    @property
    def field_factor(self) -> int:
        """Voxels of the working lattice to one of the lattice on which the level computes its field."""
        return int(2 ** (self.reduce + max(self.downsamplings - 1, 0)))


class MultiLevelConfig(_Network):
    """An ordered list of levels, coarse first, composed by warping.

    Attributes:
        levels: coarse first.
        combine: how a level's update u joins what was there. "compose": u acts first, then what was
            there. "add": displacements are summed, and "velocity": stationary velocities are summed and
            integrated by scaling and squaring, as in LapIRN (Mok & Chung 2020).
        integration_steps: of scaling and squaring.
    """

    kind: Literal["multilevel"] = "multilevel"
    levels: tuple[LevelConfig, ...] = Field(min_length=1)
    combine: Literal["compose", "add", "velocity"] = "compose"
    integration_steps: int = Field(default=7, ge=1, le=12)

    @model_validator(mode="after")
    def _first_carries_nothing(self) -> MultiLevelConfig:
        if self.levels[0].carry:
            raise ValueError("the first level has none before it whose features it could carry")
        return self

    @property
    def divisor(self) -> int:
        """Lattice sizes are padded to a multiple of this."""
        return max(level.divisor for level in self.levels)

    def field_factor(self, level: int) -> int:
        """See :attr:`LevelConfig.field_factor`."""
        return self.levels[level].field_factor

    def image_factor(self, levels: int) -> int:
        """Voxels of the working lattice to one of the finest lattice that the first ``levels`` look at."""
        return int(2 ** min(level.reduce for level in self.levels[:levels]))


class VoxelMorphConfig(_Network):
    """VoxelMorph (Balakrishnan et al. 2019; with ``velocity``: Dalca et al. 2019).

    Attributes:
        encoder: features of the strided convolutions.
        decoder: features of the convolutions that lead back up, one for each of the encoder's.
        final: features of the convolutions at full resolution.
        velocity: predict a stationary velocity field at half resolution and integrate it.
        integration_steps: of scaling and squaring.
    """

    kind: Literal["voxelmorph"] = "voxelmorph"
    encoder: Features = Field(default=(16, 32, 32, 32), min_length=1, max_length=6)
    decoder: Features = (32, 32, 32, 32)
    final: Features = Field(default=(16, 16), min_length=1)
    velocity: bool = False
    integration_steps: int = Field(default=7, ge=1, le=12)

    @model_validator(mode="after")
    def _as_many_up_as_down(self) -> VoxelMorphConfig:
        if len(self.encoder) != len(self.decoder):
            raise ValueError("encoder and decoder must have the same length")
        return self

    @property
    def divisor(self) -> int:
        """Lattice sizes are padded to a multiple of this."""
        return int(2 ** len(self.encoder))

    def field_factor(self, level: int) -> int:
        """Voxels of the working lattice to one of the lattice on which the field is computed."""
        return 2 if self.velocity else 1

    def image_factor(self, levels: int) -> int:
        """It looks at every voxel."""
        return 1


ModelConfig = MultiLevelConfig | VoxelMorphConfig
_ANY: TypeAdapter[ModelConfig] = TypeAdapter(Annotated[ModelConfig, Field(discriminator="kind")])


def config_from_json(text: str | bytes) -> ModelConfig:
    """The config of either kind that ``config.model_dump_json()`` wrote.

    Raises:
        pydantic.ValidationError: if the text is not such a config.
    """
    return _ANY.validate_json(text)


def two_level(spacing_mm: float = 4.0) -> MultiLevelConfig:
    """The network that ships: a coarse level that looks far, then a finer one that looks near."""
    return MultiLevelConfig(
        spacing_mm=spacing_mm,
        levels=(
            LevelConfig(downsamplings=2, entry=(16, 32), body=(48, 64), correlation=2),
            LevelConfig(downsamplings=1, entry=(16,), body=(32, 48, 64), correlation=2),
        ),
    )
