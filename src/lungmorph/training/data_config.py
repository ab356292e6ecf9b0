"""Where pairs come from, as data."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Share = Annotated[float, Field(ge=0)]
Part = tuple[str, ...] | Annotated[float, Field(ge=0, lt=1)]


class _Model(BaseModel):
    model_config = ConfigDict(
        extra="forbid", frozen=True, coerce_numbers_to_str=True, allow_inf_nan=False
    )


class Augmentation(_Model):
    """How a real pair is changed every time it is shown; the truth is changed with it. 0 leaves a part out.

    Attributes:
        degrees, scale, shift_mm: greatest rotation about each axis, relative scaling along each axis and
            shift of both images together.
        apart: share of that affine map by which the moving image is moved on its own.
        intensity: greatest relative change of contrast, and, times 100 HU, of level, in each image.
        noise_hu: greatest standard deviation of added noise, HU.
        resolution_mm: greatest slice thickness that an image is blurred to, along one axis.
        crop: probability of a crop to between half and all of each axis.
        flip: probability of a mirror image along x, and of half of it along y and z.
    """

    degrees: Share = 8.0
    scale: Share = 0.08
    shift_mm: Share = 6.0
    apart: float = Field(default=0.25, ge=0, le=1)
    intensity: Share = 0.05
    noise_hu: Share = 20.0
    resolution_mm: Share = 6.0
    crop: float = Field(default=0.2, ge=0, le=1)
    flip: float = Field(default=0.5, ge=0, le=1)


class HeldOut(_Model):
    """What simulated validation pairs are made of, besides patients invented for them alone.

    Attributes:
        pairs: how many.
        anatomies, motions: files, none of which may be among those of training.
    """

    pairs: int = Field(default=8, ge=0)
    anatomies: tuple[Path, ...] = ()
    motions: tuple[Path, ...] = ()


class Simulated(_Model):
    """Pairs simulated on the fly, whose displacement is known; see :class:`lungmorph.simulate.TrainingPairs`.

    Attributes:
        share: of the pairs, against the other sources.
        anatomies: CT files of real patients to move.
        motions: files of keypoint or landmark pairs, real motions to carry over.
        procedural: share of invented patients (all, without anatomies).
        validation: what validation pairs are made of.
        options: more of ``TrainingPairs``, by name.
        augment: change the pairs further, as the config's ``augmentation`` says.
    """

    kind: Literal["simulated"] = "simulated"
    share: Share = 1.0
    anatomies: tuple[Path, ...] = ()
    motions: tuple[Path, ...] = ()
    procedural: float = Field(default=0.6, ge=0, le=1)
    validation: HeldOut = HeldOut()
    options: dict[str, Any] = {}
    augment: bool = False

    @model_validator(mode="after")
    def _held_out_is_held_out(self) -> Simulated:
        for name in ("anatomies", "motions"):
            both = set(getattr(self, name)) & set(getattr(self.validation, name))
            if both:
                raise ValueError(f"{min(both)} is in {name} of training and of validation")
        return self

    def for_card(self) -> dict[str, Any]:
        """As :meth:`DataConfig.for_card`: how many files there are."""
        told = self.model_dump(mode="json")
        for part in (told, told["validation"]):
            part |= {name: len(part[name]) for name in ("anatomies", "motions")}
        return told

    def learns_from(self) -> dict[str, Any]:
        """What pairs are made of, by the names of the files, wherever they are."""
        held = self.validation
        files = {"anatomies": self.anatomies, "motions": self.motions}
        files |= {"held anatomies": held.anatomies, "held motions": held.motions}
        names = {what: [path.name for path in paths] for what, paths in files.items()}
        return {"kind": self.kind, "procedural": self.procedural, **names}


class Split(_Model):
    """Which patients are trained on, validated on, and kept for the end.

    Each part is a list of patients (or of cases, which then bring all cases of their patient), or a
    share of the patients that are in no list.

    Attributes:
        train: all patients that are in no other part, if left out.
        validation, test: as above.
        seed: of the choice by shares.
        by_owner: take the parts that the dataset's owner gives; those named here come on top.
    """

    train: tuple[str, ...] | None = None
    validation: Part = ()
    test: Part = ()
    seed: int = 0
    by_owner: bool = False


class Cases(_Model):
    """Pairs of a dataset on disk: a public one, a folder or a table of one's own.

    Attributes:
        path: its folder or table.
        reader: its kind (``lungmorph.datasets.READERS``); seen from the files if left out.
        options: of that reader.
        leave_out: ids of cases that are not used, such as incomplete ones.
        share: of the pairs, against the other sources.
        pairs: train on "all" ordered pairs of a case's scans, or on its "default" pair in both directions.
        split: of the patients.
        augment: change the pairs as the config's ``augmentation`` says.
    """

    kind: Literal["cases"] = "cases"
    path: Path
    reader: str | None = None
    options: dict[str, Any] = {}
    leave_out: tuple[str, ...] = ()
    share: Share = 1.0
    pairs: Literal["all", "default"] = "all"
    split: Split = Split()
    augment: bool = True

    def for_card(self) -> dict[str, Any]:
        """As :meth:`DataConfig.for_card`: how many patients are named."""
        told = self.model_dump(mode="json", exclude={"path", "options", "leave_out"})
        split = told["split"]
        for part in [part for part, value in split.items() if isinstance(value, list)]:
            # under its own key a count would be read as a share
            split[f"{part}_named"] = len(split.pop(part))
        return told | {"left_out": len(self.leave_out)}

    def learns_from(self) -> dict[str, Any]:
        """Which patients of which dataset, wherever it is."""
        left_out = list(self.leave_out)
        split = self.split.model_dump(mode="json")
        return {"kind": self.kind, "dataset": self.path.name, "left out": left_out, "split": split}


class Judged(_Model):
    """A dataset on which the trained network is judged, all of it; nothing is learned from it.

    Attributes:
        path, reader, options, leave_out: as in :class:`Cases`.
    """

    path: Path
    reader: str | None = None
    options: dict[str, Any] = {}
    leave_out: tuple[str, ...] = ()


Source = Annotated[Simulated | Cases, Field(discriminator="kind")]


class DataConfig(_Model):
    """All pairs of a run.

    Attributes:
        sources: mixed by their shares.
        judge: what is judged on at the end, besides the test parts of the sources.
        augmentation: of sources that ask for it.
        patch: most voxels of a training pair's lattice along each axis; a larger one is cut, about a
            point in the lung, to save memory. None for whole pairs.
        cache: folder for prepared cases; in the run's folder if left out.
    """

    sources: tuple[Source, ...] = Field(default=(Simulated(),), min_length=1)
    judge: tuple[Judged, ...] = ()
    augmentation: Augmentation = Augmentation()
    patch: Annotated[int, Field(ge=16)] | None = None
    cache: Path | None = None

    @model_validator(mode="after")
    def _something_has_a_share(self) -> DataConfig:
        if not any(source.share for source in self.sources):
            raise ValueError("no source has a share above 0")
        return self

    def for_card(self) -> dict[str, Any]:
        """What weights tell of it when they are given away, JSON-ready: no name of a file, a folder or a patient."""
        own = {"sources", "judge", "cache"}
        return {
            "sources": [source.for_card() for source in self.sources],
            "judge": [{"reader": entry.reader} for entry in self.judge],
            **self.model_dump(mode="json", exclude=own),
        }

    def learns_from(self) -> list[dict[str, Any]]:
        """What must not change while a run goes on: JSON-ready, an entry for every source."""
        return [source.learns_from() for source in self.sources]
