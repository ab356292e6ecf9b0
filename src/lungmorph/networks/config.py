"""What a network is made of, as data: enough to rebuild it, and to prepare its input."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, model_validator

Features = tuple[Annotated[int, Field(ge=1, le=1024)], ...]
Norm = Literal["instance", "none"]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


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
    """

    downsamplings: int = Field(ge=0, le=4)
    entry: Features
    body: Features = Field(min_length=1, max_length=6)
    blocks: int = Field(default=1, ge=1, le=8)
    norm: Norm = "instance"
    correlation: Annotated[int, Field(ge=1, le=4)] | None = None

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
        return int(2 ** (self.downsamplings + len(self.body) - 1))


class MultiLevelConfig(_Network):
    """An ordered list of levels, coarse first, composed by warping."""

    kind: Literal["multilevel"] = "multilevel"
    levels: tuple[LevelConfig, ...] = Field(min_length=1)

    @property
    def divisor(self) -> int:
        """Lattice sizes are padded to a multiple of this."""
        return max(level.divisor for level in self.levels)


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
            LevelConfig(downsamplings=2, entry=(16, 32), body=(32, 48), correlation=2),
            LevelConfig(downsamplings=1, entry=(16,), body=(24, 32, 48), correlation=1),
        ),
    )
