import json

import numpy as np
import pytest
import torch

from lungmorph.errors import InputError
from lungmorph.files import (
    read_landmark_pairs,
    read_landmarks,
    write_landmark_pairs,
    write_landmarks,
)
from lungmorph.space import Grid, Landmarks, Volume

POINTS = np.array([[1.5, -20.25, 300.125], [-7.1, 1 / 3, 0], [1e-7, 12, -0.5]])
RAS = "-1.5,20.25,300.125\n7.1,-0.5,0\n"
LPS = np.array([[1.5, -20.25, 300.125], [-7.1, 0.5, 0]])


@pytest.mark.parametrize("suffix", [".csv", ".fcsv", ".mrk.json"])
def test_round_trip_is_exact(tmp_path, suffix):
    write_landmarks(Landmarks(POINTS, "moving"), tmp_path / f"a{suffix}")
    back = read_landmarks(tmp_path / f"a{suffix}", "moving")
    np.testing.assert_array_equal(back.points, POINTS)
    assert back.frame == "moving"
    assert [p.name for p in tmp_path.iterdir()] == [f"a{suffix}"]


def test_pairs_round_trip(tmp_path):
    write_landmark_pairs(Landmarks(POINTS), Landmarks(POINTS + 2, "moving"), tmp_path / "p.csv")
    fixed, moving = read_landmark_pairs(tmp_path / "p.csv")
    np.testing.assert_array_equal(fixed.points, POINTS)
    np.testing.assert_array_equal(moving.points, POINTS + 2)
    assert (fixed.frame, moving.frame) == ("fixed", "moving")
    with pytest.raises(ValueError, match="3 fixed points and 2"):
        write_landmark_pairs(Landmarks(POINTS), Landmarks(LPS, "moving"), tmp_path / "q.csv")


@pytest.mark.parametrize(
    "text",
    [
        "x,y,z\n1.5,-20.25,300.125\n-7.1,0.5,0\n",
        "\ufeffname; Z ;y;x\na;300.125;-20.25;1.5\nb;0;0.5;-7.1\n",
        "# RAS mm\nx,y,z\n" + RAS,
        "# made by hand\n\n# lps mm\nx,y,z\n1.5,-20.25,300.125\n-7.1,0.5,0\n",
        "x_ras,y_ras,z_ras\n" + RAS,
        "x_lps,y_lps,z_lps\n1.5,-20.25,300.125\n-7.1,0.5,0\n",
        "x,y,z,space\n-1.5,20.25,300.125,RAS\n7.1,-0.5,0,ras\n",
    ],
)
def test_csv_says_its_frame(tmp_path, text):
    (tmp_path / "a.csv").write_text(text, encoding="utf-8")
    np.testing.assert_allclose(read_landmarks(tmp_path / "a.csv").points, LPS)


@pytest.mark.parametrize(("said", "turn"), [("LPS", 1), ("RAS", -1), ("0", -1), ("1", 1)])
def test_fcsv_of_every_age(tmp_path, said, turn):
    (tmp_path / "a.fcsv").write_text(
        f"# Markups fiducial file version = 4.10\n# CoordinateSystem = {said}\n"
        "# columns = id,x,y,z,ow,ox,oy,oz,vis,sel,lock,label,desc,associatedNodeID\n"
        'vtkMRMLMarkupsFiducialNode_0,1.5,2,3,0,0,0,1,1,1,0,"a, b",,\n'
    )
    np.testing.assert_array_equal(
        read_landmarks(tmp_path / "a.fcsv").points, [[1.5 * turn, 2 * turn, 3]]
    )


def markup(**changes) -> dict:
    points = [{"label": "a", "position": [1.5, 2, 3], "positionStatus": "defined"}]
    return {"type": "Fiducial", "coordinateSystem": "LPS", "controlPoints": points, **changes}


def test_markups_in_ras(tmp_path):
    text = json.dumps({"markups": [markup(coordinateSystem="RAS")]})
    (tmp_path / "a.mrk.json").write_text(text)
    np.testing.assert_array_equal(read_landmarks(tmp_path / "a.mrk.json").points, [[-1.5, -2, 3]])


@pytest.mark.parametrize("first", [0, 1])
def test_index_list(tmp_path, oblique, first):
    grid = Grid((5, 6, 7), (0.7, 1.1, 2.5), (3, 4, 5), tuple(map(tuple, oblique)))
    index = np.array([[0, 0, 0], [4, 5, 6], [1, 2, 3]])
    np.savetxt(tmp_path / "a.txt", index + first, fmt="%d", delimiter="\t")
    expected = np.array(grid.origin) + (index * grid.spacing) @ oblique.T
    for image in (grid, Volume(torch.zeros(grid.shape), grid)):
        read = read_landmarks(tmp_path / "a.txt", "moving", image=image, first=first)
        np.testing.assert_allclose(read.points, expected)
        assert read.frame == "moving"
    with pytest.raises(InputError, match=r"none; name it"):
        read_landmarks(tmp_path / "a.txt")
    with pytest.raises(InputError, match=r"1 outside"):
        read_landmarks(tmp_path / "a.txt", image=grid, first=1 - first)
    with pytest.raises(InputError, match=r"0 or 1"):
        read_landmarks(tmp_path / "a.txt", image=grid, first=2)


def test_pairs_in_any_order_and_two_files(tmp_path):
    (tmp_path / "p.csv").write_text(
        "id,moving_z,moving_y,moving_x,fixed_x,fixed_y,fixed_z,note\n7,6,5,4,1,2,3,good\n"
    )
    fixed, moving = read_landmark_pairs(tmp_path / "p.csv")
    np.testing.assert_array_equal(fixed.points, [[1, 2, 3]])
    np.testing.assert_array_equal(moving.points, [[4, 5, 6]])
    (tmp_path / "f.csv").write_text("x,y,z\n1,2,3\n")
    write_landmarks(Landmarks([[4, 5, 6]]), tmp_path / "m.fcsv")
    fixed, moving = read_landmark_pairs(tmp_path / "f.csv", tmp_path / "m.fcsv")
    np.testing.assert_array_equal(moving.points, [[4, 5, 6]])
    assert (fixed.frame, moving.frame) == ("fixed", "moving")
    (tmp_path / "r.csv").write_text(
        "# RAS mm\nfixed_x,fixed_y,fixed_z,moving_x,moving_y,moving_z\n-1,-2,3,-4,-5,6\n"
    )
    fixed, moving = read_landmark_pairs(tmp_path / "r.csv")
    np.testing.assert_array_equal(fixed.points, [[1, 2, 3]])
    np.testing.assert_array_equal(moving.points, [[4, 5, 6]])


@pytest.mark.parametrize(
    ("name", "text", "told"),
    [
        ("a.csv", "", "no line of data"),
        ("a.csv", "x,y,z\n", "none below the header"),
        ("a.csv", "x,y\n1,2\n", "no z"),
        ("a.csv", "1,2,3\n4,5,6\n", "no x, y, z"),
        ("a.csv", "x,y,z\n1,2,3\n\n4,five,6\n", "line 4: expected a number, found 'five'"),
        ("a.csv", "x,y,z\n1,2\n", "line 2"),
        ("a.csv", "x;y;z\n1,5;2;3\n", "found '1,5'; write decimal points, not commas"),
        ("a.csv", "x,y,z\n1,2,nan\n", "'nan'"),
        ("a.csv", "x,x,y,z\n1,1,2,3\n", "x twice"),
        ("a.csv", "# RAS\nx_lps,y_lps,z_lps\n1,2,3\n", "LPS and RAS"),
        ("a.csv", "x,y,z,space\n1,2,3,LPS\n1,2,3,RAS\n", "LPS, RAS"),
        ("a.csv", "# voxel indices\nx,y,z\n1,2,3\n", "voxels"),
        ("a.csv", "# LPS, cm\nx,y,z\n1,2,3\n", "points in mm, found a comment that says cm"),
        ("a.fcsv", "1,2,3,4\n", "LPS or RAS"),
        ("a.fcsv", "# CoordinateSystem = 2\n1,2,3,4\n", "LPS or RAS"),
        ("a.fcsv", "# CoordinateSystem = LPS\n", "found none"),
        ("a.fcsv", "# CoordinateSystem = LPS\n1,2,3\n", "line 2"),
        ("a.fcsv", "# CoordinateSystem = LPS\n1,2,b,3\n", "line 2: expected a number, found 'b'"),
        ("a.mrk.json", "{", "other JSON"),
        ("a.mrk.json", "[1]", "other JSON"),
        ("a.mrk.json", "[" * 100_000, "other JSON"),
        ("a.mrk.json", {"markups": []}, "found none"),
        ("a.mrk.json", {"markups": [markup(type="Curve")]}, "Curve"),
        ("a.mrk.json", {"markups": [markup(), markup()]}, "Fiducial, Fiducial"),
        ("a.mrk.json", {"markups": [markup(coordinateSystem="IJK")]}, "IJK"),
        ("a.mrk.json", {"markups": [markup(coordinateUnits="cm")]}, "cm"),
        ("a.mrk.json", {"markups": [markup(controlPoints=[])]}, "found none"),
        (
            "a.mrk.json",
            {"markups": [markup(controlPoints=[{"label": "b", "positionStatus": "undefined"}])]},
            "point 1 (b) undefined",
        ),
        ("a.mrk.json", {"markups": [markup(controlPoints=[{"position": [1, "a", 2]}])]}, "'a'"),
        ("a.txt", "1 2\n", "line 1"),
        ("a.txt", "1 2 c\n", "'c'"),
        ("a.txt", "\n", "found none"),
        ("a.xyz", "1 2 3\n", "'.xyz'"),
    ],
)
def test_bad_points_are_one_line(tmp_path, name, text, told):
    (tmp_path / name).write_text(text if isinstance(text, str) else json.dumps(text))
    with pytest.raises(InputError) as caught:
        read_landmarks(tmp_path / name, image=Grid((9, 9, 9)))
    assert told in str(caught.value)
    assert name in str(caught.value)


def test_bad_pairs(tmp_path):
    (tmp_path / "p.csv").write_text("fixed_x,fixed_y,fixed_z,moving_x\n1,2,3,4\n")
    with pytest.raises(InputError, match="no moving_y, moving_z"):
        read_landmark_pairs(tmp_path / "p.csv")
    (tmp_path / "f.csv").write_text("x,y,z\n1,2,3\n")
    (tmp_path / "m.csv").write_text("x,y,z\n1,2,3\n1,2,3\n")
    with pytest.raises(InputError, match=r"m\.csv: expected 1 points.*found 2"):
        read_landmark_pairs(tmp_path / "f.csv", tmp_path / "m.csv")


def test_missing_binary_and_unknown(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_landmarks(tmp_path / "none.csv")
    (tmp_path / "b.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(InputError, match="other bytes"):
        read_landmarks(tmp_path / "b.csv")
    with pytest.raises(InputError, match=r"'\.png'"):
        write_landmarks(Landmarks(POINTS), tmp_path / "a.png")
