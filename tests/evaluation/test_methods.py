"""What is run for a method, and what is refused before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tests.evaluation.pairs import write_rival

from lungmorph.errors import InputError
from lungmorph.evaluation.methods import PairFiles, lungmorph_methods, rival_methods
from lungmorph.networks import DEFAULT_NAME, load_model, save_model

FILES = PairFiles(*(Path(n) for n in ("/f.nii", "/m.nii", "/fm.nii", "/mm.nii")), masks_given=True)
AUTOMATIC = PairFiles(FILES.fixed, FILES.moving, FILES.fixed_mask, FILES.moving_mask, False)


def test_lungmorph_gets_two_files_and_no_masks() -> None:
    (method,) = lungmorph_methods(["fast"], levels=1, model=DEFAULT_NAME)
    command = method.command(FILES, Path("/out"), threads=3)
    told = " ".join(command[command.index("register") :])
    assert told == (
        f"register /f.nii /m.nii -o /out --threads 3 --transform-only --preset fast --device cpu "
        f"--model {DEFAULT_NAME} --levels 1"
    )
    assert (method.name, method.own, method.missing) == ("lungmorph-fast", True, "")


def test_masks_go_to_lungmorph_only_when_asked() -> None:
    (method,) = lungmorph_methods(["default"], levels=0, masks="given")
    told = " ".join(method.command(FILES, Path("/out"), threads=1))
    assert told.endswith("--fixed-mask /fm.nii --moving-mask /mm.nii")
    assert "--fixed-mask /mm.nii --moving-mask /fm.nii" in " ".join(
        method.command(FILES.swapped(), Path("/out"), threads=1)
    )
    with pytest.raises(InputError, match="--masks given"):
        method.command(AUTOMATIC, Path("/out"), threads=1)


def test_other_weights_in_the_same_file_are_seen(tmp_path: Path) -> None:
    network, config, card = load_model(DEFAULT_NAME)
    checksums = []
    for factor in (1.0, 1.001):
        with torch.no_grad():
            for parameter in network.parameters():
                parameter.mul_(factor)
        save_model(network, config, card, tmp_path / "net.safetensors")
        (method,) = lungmorph_methods(["fast"], model=str(tmp_path / "net.safetensors"))
        checksums.append(method.settings["weights"])
    assert checksums[0] == lungmorph_methods(["fast"])[0].settings["weights"]
    assert checksums[0] != checksums[1]


def test_a_preset_given_twice_runs_once() -> None:
    names = [m.name for m in lungmorph_methods(["fast", "default", "fast"], levels=0)]
    assert names == ["lungmorph-fast", "lungmorph-default"]


@pytest.mark.parametrize(
    ("make", "line"),
    [
        (lambda: lungmorph_methods(["best"]), "preset: expected one of fast"),
        (lambda: lungmorph_methods(["fast"], levels=9), "levels: expected 0 to 3, found 9"),
        (lambda: lungmorph_methods(["fast"], model="nobody"), "nobody"),
        (lambda: rival_methods(["demons"]), "rival: expected one of greedy"),
        (lambda: rival_methods(["nowhere/mine.py"]), "nowhere/mine.py: expected a Python file"),
        (lambda: rival_methods(["greedy"], "/no/python"), "/no/python: expected a Python interpr"),
        (lambda: rival_methods(["greedy"], "/bin/false"), "/bin/false: expected a Python interpr"),
    ],
)
def test_refused_in_one_line(make, line: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(InputError, match=line) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_rivals_are_looked_at_where_they_live(tmp_path: Path) -> None:
    there = write_rival(
        tmp_path / "there.py",
        constants="TITLE = 'There'\nSETTINGS = 'as ever'\nDISTRIBUTION = 'numpy'\nREQUIRES = ('numpy',)",
    )
    missing = write_rival(
        tmp_path / "missing.py", constants="DISTRIBUTION = 'no-such'\nREQUIRES = ('no_such.part',)"
    )
    broken = write_rival(tmp_path / "broken.py", constants="import no_such_module")
    a, b, c = rival_methods([there, missing, broken, there])
    import numpy

    assert (a.name, a.title, a.missing) == ("there", "There", "")
    assert a.versions == {"there": numpy.__version__}
    assert a.settings["settings"] == "as ever"
    assert b.missing == "no_such.part is not installed (pip install no-such)"
    assert "no_such_module" in c.missing
    command = a.command(FILES, Path("/out"), threads=2)
    assert command[0] == sys.executable
    assert command[2:] == ["register", there, "/f.nii", "/m.nii", "/fm.nii", "/mm.nii", "/out", "--threads", "2"]  # fmt: skip


def test_a_changed_adapter_is_another_method(tmp_path: Path) -> None:
    first = rival_methods([write_rival(tmp_path / "mine.py")])[0]
    second = rival_methods([write_rival(tmp_path / "mine.py", body="pair.threads")])[0]
    assert first.settings != second.settings
    (tmp_path / "other").mkdir()
    with pytest.raises(InputError, match="two mine"):
        rival_methods([str(tmp_path / "mine.py"), write_rival(tmp_path / "other" / "mine.py")])
