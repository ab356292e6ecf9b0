"""Nothing half-written where the disk takes no more, and one line that says so."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tests.full_disk import no_file_above

from lungmorph.errors import InputError
from lungmorph.files import output_folder, replacing, write_image, write_transform
from lungmorph.space import Affine, DisplacementField, Grid, Volume

GRID = Grid((12, 12, 12), (2.0, 2.0, 2.0))
IMAGE = Volume(torch.rand(GRID.shape), GRID)
FIELD = DisplacementField(torch.rand(3, *GRID.shape), GRID)
AFFINE = Affine.from_parts(1.1 * np.eye(3), (1.0, 2.0, 3.0))


def by(save: Callable[[dict[str, torch.Tensor], Path], None]) -> Callable[[Path], None]:
    """A writer that has no word of ours for a full disk."""

    def write(path: Path) -> None:
        with replacing(path) as temporary:
            save({"values": IMAGE.data}, temporary)

    return write


# HDF5 tells by itself, and is shaken by it until the end of the process
@pytest.mark.parametrize(
    ("name", "write"),
    [
        *((f"a{s}", lambda p: write_image(IMAGE, p)) for s in (".nii", ".nii.gz", ".mha", ".nrrd")),
        *((f"a{s}", lambda p: write_transform(FIELD, p)) for s in (".tfm", ".mat", ".nii.gz")),
        *((f"a{s}", lambda p: write_transform(AFFINE, p)) for s in (".tfm", ".mat")),
        ("a.pt", by(torch.save)),
        ("a.safetensors", by(save_file)),
    ],
)
def test_a_file_that_was_cut_off_is_no_file(
    tmp_path: Path, name: str, write: Callable[[Path], None]
) -> None:
    path = tmp_path / name
    write(path)
    size = path.stat().st_size
    for limit in (size - 1, size // 2):
        path.write_text("before")
        with no_file_above(limit), pytest.raises(InputError, match="File too large; free some"):
            write(path)
        assert path.read_text() == "before"
        assert [p.name for p in tmp_path.iterdir()] == [name]


def test_a_folder_is_called_by_the_name_that_it_was_to_have(tmp_path: Path) -> None:
    target = tmp_path / "new" / "result"

    def image() -> None:
        with output_folder(target) as folder, no_file_above(500):
            write_image(IMAGE, folder / "warped.nii.gz")

    def text() -> None:
        with output_folder(target) as folder, no_file_above(500):
            (folder / "metrics.json").write_text("x" * 1000)

    def gone() -> None:
        with output_folder(target) as folder:
            (folder / "none" / "metrics.json").write_text("x")

    for work, said in (
        (image, "result/warped.nii.gz: expected a file that can be written"),
        (text, "result: expected a place to write to, found File too large; free some"),
        (gone, "result: expected a place to write to, found No such file"),
    ):
        with pytest.raises(InputError, match=said) as caught:
            work()
        assert ".partial" not in str(caught.value)
        assert not list(tmp_path.iterdir())


def test_what_could_not_be_read_is_not_blamed_on_the_folder(tmp_path: Path) -> None:
    def read() -> None:
        with output_folder(tmp_path / "result"):
            (tmp_path / "scan").read_bytes()

    with pytest.raises(FileNotFoundError):
        read()


def test_parents_that_were_made_are_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = Path.mkdir

    def refuse(path: Path, *rest: object) -> None:
        if path.name == "b":
            raise OSError(errno.EDQUOT, "Disk quota exceeded")
        made(path)

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(InputError, match="quota"), output_folder(tmp_path / "a" / "b" / "result"):
        pass
    assert not list(tmp_path.iterdir())
