"""Adapters: one function a tool, from a pair of scans to a displacement image. The inside of a measured process.

    python benchmarks/adapters.py greedy FIXED MOVING FIXED_MASK MOVING_MASK OUT --threads 2

writes `OUT/displacement.mha` (see `rivals.run`, which calls this and measures it). It runs under the
interpreter that has the tool, so it imports nothing of LungMorph; it ends with code 3 when the tool is missing.

Every tool gets the same help: the lung masks, intensities cut to [-1000, 200] HU, and a start from the
shift of the two mask centres (their search ranges do not reach across scanner frames). The shift is
applied by moving the origin of the moving image, so no tool needs a start transform of its own, and it
is added to the displacement afterwards.
"""

from __future__ import annotations

import argparse
import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import SimpleITK as sitk

WINDOW_HU = (-1000.0, 200.0)
MASK_MARGIN_MM = 5.0
NOT_INSTALLED = 3


@dataclass(frozen=True)
class Pair:
    """What an adapter sees: images and masks as SimpleITK images, and as files in `folder`.

    The moving side already carries the start shift in its origin. `metric_mask` is the fixed lung grown by
    `MASK_MARGIN_MM`, so that the pleura itself counts.
    """

    fixed: sitk.Image
    moving: sitk.Image
    fixed_mask: sitk.Image
    moving_mask: sitk.Image
    metric_mask: sitk.Image
    folder: Path
    threads: int

    def path(self, name: str) -> str:
        """File of one of the images (written on first use)."""
        path = self.folder / f"{name}.nii.gz"
        if not path.exists():
            sitk.WriteImage(getattr(self, name), str(path), useCompression=False)
        return str(path)


# ---------------------------------------------------------------- adapters: Pair -> displacement image


def greedy(pair: Pair) -> sitk.Image:
    """Greedy, NCC with a radius of 2 voxels, three or four levels (picsl-greedy)."""
    from picsl_greedy import Greedy3D  # type: ignore[import-not-found]

    out = pair.folder / "warp.nii.gz"
    images = f"-i {pair.path('fixed')} {pair.path('moving')} -gm {pair.path('metric_mask')}"
    settings = "-m NCC 2x2x2 -n 100x100x60x20 -s 2.0vox 0.7vox"
    Greedy3D().execute(f"-d 3 -threads {pair.threads} {images} {settings} -o {out}")
    return sitk.ReadImage(str(out))


def convexadam(pair: Pair) -> sitk.Image:
    """ConvexAdam on MIND-SSC with both masks, default settings.

    It works in voxels of one common grid of even size, so both images go onto the fixed lattice, extended
    to hold both lungs.
    """
    import torch
    from convexAdam.convex_adam_MIND import convex_adam_pt  # type: ignore[import-not-found]

    torch.set_num_threads(pair.threads)
    grid = _common_grid(pair)
    low = WINDOW_HU[0]
    images, masks = [], []
    for name in ("fixed", "moving"):
        image = sitk.Resample(
            getattr(pair, name), grid, sitk.Transform(), sitk.sitkLinear, low, sitk.sitkFloat32
        )
        mask = sitk.Resample(
            getattr(pair, f"{name}_mask"), grid, sitk.Transform(), sitk.sitkNearestNeighbor, 0
        )
        images.append(torch.from_numpy(sitk.GetArrayFromImage(image).T.copy()))
        masks.append(str(pair.folder / f"common_{name}_mask.nii.gz"))
        sitk.WriteImage(mask, masks[-1])
    voxels = convex_adam_pt(
        *images,
        use_mask=True,
        path_fixed_mask=masks[0],
        path_moving_mask=masks[1],
        dtype=torch.float32,
        device=torch.device("cpu"),
    )  # (x, y, z, 3), voxels along the index axes
    matrix = np.array(grid.GetDirection()).reshape(3, 3) * np.array(grid.GetSpacing())
    field = sitk.GetImageFromArray(np.einsum("ij,xyzj->zyxi", matrix, voxels), isVector=True)
    field.CopyInformation(grid)
    return sitk.Resample(field, pair.fixed, sitk.Transform(), sitk.sitkLinear)


def ants(pair: Pair) -> sitk.Image:
    """ANTs SyN alone with cross-correlation of radius 2 (antspyx)."""
    import ants as antspy  # type: ignore[import-not-found]

    result = antspy.registration(
        antspy.image_read(pair.path("fixed")),
        antspy.image_read(pair.path("moving")),
        type_of_transform="SyNOnly",
        initial_transform="Identity",
        mask=antspy.image_read(pair.path("metric_mask")),
        syn_metric="CC",
        syn_sampling=2,
        reg_iterations=(100, 70, 40, 15),
        outprefix=str(pair.folder / "ants_"),
    )
    warp = next(name for name in result["fwdtransforms"] if name.endswith(".nii.gz"))
    return sitk.ReadImage(warp)


PLASTIMATCH_STAGES = ((60, 4, 4, 2, 50), (30, 2, 2, 2, 60), (20, 2, 2, 1, 60), (10, 2, 2, 1, 40))


def plastimatch(pair: Pair) -> sitk.Image:
    """Plastimatch B-splines of 60, 30, 20 and 10 mm, mean squares in the lung, lambda 1."""
    out = pair.folder / "vf.mha"
    lines = [
        "[GLOBAL]",
        f"fixed={pair.path('fixed')}",
        f"moving={pair.path('moving')}",
        f"fixed_roi={pair.path('fixed_mask')}",
        f"vf_out={out}",
    ]
    for spacing, rx, ry, rz, iterations in PLASTIMATCH_STAGES:
        lines += [
            "[STAGE]",
            "xform=bspline",
            "impl=plastimatch",
            "optim=lbfgsb",
            "metric=mse",
            "threading=openmp",
            "regularization_lambda=1",
            f"grid_spac={spacing} {spacing} {spacing}",
            f"res={rx} {ry} {rz}",
            f"max_its={iterations}",
        ]
    command_file = pair.folder / "plastimatch.txt"
    command_file.write_text("\n".join(lines) + "\n")
    _call([_program("plastimatch"), "register", str(command_file)])
    return sitk.ReadImage(str(out))


def elastix(pair: Pair) -> sitk.Image:
    """Elastix: two B-spline runs on normalised correlation, then its full-resolution field (itk-elastix)."""
    import itk  # type: ignore[import-not-found]

    parameters = itk.ParameterObject.New()
    for schedule, spacing, iterations in (("8 4 2 2", "10.0", "400"), ("2 1", "5.0", "400")):
        levels = len(schedule.split())
        # The grid halves with every level down to its final spacing.
        grid = [str(2 ** (levels - 1 - level)) for level in range(levels)]
        stage = parameters.GetDefaultParameterMap("bspline", levels)
        for key in [k for k in stage if k.startswith("Metric") and k.endswith("Weight")]:
            del stage[key]
        stage["Registration"] = ["MultiResolutionRegistration"]
        stage["Metric"] = ["AdvancedNormalizedCorrelation"]
        stage["ImagePyramidSchedule"] = [n for n in schedule.split() for _ in range(3)]
        stage["GridSpacingSchedule"] = grid
        stage["FinalGridSpacingInPhysicalUnits"] = [spacing]
        stage["MaximumNumberOfIterations"] = [iterations]
        stage["NumberOfSpatialSamples"] = ["5000"]
        stage["ErodeMask"] = ["false"]
        stage["WriteResultImage"] = ["false"]
        parameters.AddParameterMap(stage)
    fixed = itk.imread(pair.path("fixed"), itk.F)
    moving = itk.imread(pair.path("moving"), itk.F)
    mask = itk.imread(pair.path("metric_mask"), itk.UC)
    _, result = itk.elastix_registration_method(
        fixed,
        moving,
        parameter_object=parameters,
        fixed_mask=mask,
        output_directory=str(pair.folder),
        log_to_console=False,
    )
    os.chdir(pair.folder)  # transformix writes where it stands
    itk.transformix_deformation_field(
        moving, result, output_directory=str(pair.folder), log_to_console=False
    )
    written = sorted(pair.folder.glob("deformationField.*"))
    return sitk.ReadImage(str(written[0]))


def niftyreg(pair: Pair) -> sitk.Image:
    """NiftyReg f3d, local correlation with sigma 5, control points every 10 mm."""
    control, field = pair.folder / "cpp.nii", pair.folder / "displacement_ras.nii"
    images = ["-ref", pair.path("fixed"), "-flo", pair.path("moving")]
    masks = ["-rmask", pair.path("metric_mask")]
    settings = ["-sx", "10", "-ln", "4", "-be", "0.001"]
    settings += ["--lncc", "5", "-omp", str(pair.threads)]
    written = ["-cpp", str(control), "-res", str(pair.folder / "warped.nii")]
    programs = Path(importlib.util.find_spec("niftyreg").origin).parent / "bin"  # type: ignore
    _call([str(programs / "reg_f3d"), *images, *masks, *settings, *written])
    reference = ["-ref", pair.path("fixed")]
    _call([str(programs / "reg_transform"), *reference, "-disp", str(control), str(field)])
    vectors = np.squeeze(sitk.GetArrayFromImage(sitk.ReadImage(str(field))))  # (3, z, y, x) in RAS
    if vectors.shape[-1] == 3 and vectors.shape[0] != 3:
        vectors = np.moveaxis(vectors, -1, 0)
    vectors = np.moveaxis(vectors, 0, -1) * np.array([-1.0, -1.0, 1.0])
    out = sitk.GetImageFromArray(vectors, isVector=True)
    out.CopyInformation(pair.fixed)
    return out


@dataclass(frozen=True)
class Tool:
    """An adapter, the Python module or program it needs, and how to get it."""

    adapter: Callable[[Pair], sitk.Image]
    needs: str
    install: str


TOOLS = {
    "greedy": Tool(greedy, "picsl_greedy", "pip install picsl-greedy"),
    "convexadam": Tool(convexadam, "convexAdam", "pip install convexadam"),
    "ants": Tool(ants, "ants", "pip install antspyx"),
    "plastimatch": Tool(plastimatch, "plastimatch program", "pip install plastimatch"),
    "elastix": Tool(elastix, "itk.ElastixPython", "pip install itk-elastix"),
    "niftyreg": Tool(niftyreg, "niftyreg", "pip install niftyreg"),
}


# ---------------------------------------------------------------- around them


def _installed(needs: str) -> bool:
    name, _, kind = needs.partition(" ")
    if kind == "program":
        return _program(name, missing_ok=True) is not None
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:
        return False


def _program(name: str, *, missing_ok: bool = False) -> str:
    beside = Path(sys.executable).parent / name  # a wheel puts its programs beside its interpreter
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None and not missing_ok:
        raise SystemExit(NOT_INSTALLED)
    return found  # type: ignore[return-value]


def _call(command: list[str]) -> None:
    subprocess.run(command, check=True)


def _centre(mask: sitk.Image) -> np.ndarray:
    index = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0).mean(axis=0)[::-1]
    return np.array(mask.TransformContinuousIndexToPhysicalPoint(index.tolist()))


def _common_grid(pair: Pair) -> sitk.Image:
    """The fixed lattice, cut and extended to both lungs with a margin of 8 voxels; even sizes."""
    corners = []
    for mask in (pair.fixed_mask, pair.moving_mask):
        index = np.argwhere(sitk.GetArrayViewFromImage(mask) > 0)[:, ::-1]
        low, high = index.min(axis=0), index.max(axis=0)
        for corner in np.array(np.meshgrid(*zip(low, high, strict=True))).reshape(3, -1).T:
            point = mask.TransformContinuousIndexToPhysicalPoint(corner.astype(float).tolist())
            corners.append(pair.fixed.TransformPhysicalPointToContinuousIndex(point))
    low = np.floor(np.min(corners, axis=0)).astype(int) - 8
    size = np.ceil(np.max(corners, axis=0)).astype(int) + 8 - low + 1
    size += size % 2
    grid = sitk.Image(size.tolist(), sitk.sitkUInt8)
    grid.SetSpacing(pair.fixed.GetSpacing())
    grid.SetDirection(pair.fixed.GetDirection())
    grid.SetOrigin(pair.fixed.TransformContinuousIndexToPhysicalPoint(low.astype(float).tolist()))
    return grid


def _load(paths: list[str], folder: Path, threads: int) -> tuple[Pair, np.ndarray]:
    fixed, moving = (
        sitk.Clamp(sitk.ReadImage(p, sitk.sitkFloat32), sitk.sitkFloat32, *WINDOW_HU)
        for p in paths[:2]
    )
    fixed_mask, moving_mask = (sitk.Cast(sitk.ReadImage(p) > 0, sitk.sitkUInt8) for p in paths[2:])
    shift = _centre(moving_mask) - _centre(fixed_mask)
    for image in (moving, moving_mask):
        image.SetOrigin((np.array(image.GetOrigin()) - shift).tolist())
    radius = [max(1, round(MASK_MARGIN_MM / s)) for s in fixed_mask.GetSpacing()]
    metric_mask = sitk.BinaryDilate(fixed_mask, radius)
    pair = Pair(fixed, moving, fixed_mask, moving_mask, metric_mask, folder, threads)
    return pair, shift


def main() -> None:
    """The inside of one measured process."""
    parser = argparse.ArgumentParser(description="One tool on one pair.")
    parser.add_argument("tool", choices=TOOLS)
    for name in ("fixed", "moving", "fixed_mask", "moving_mask", "out"):
        parser.add_argument(name)
    parser.add_argument("--threads", type=int, default=2)
    given = parser.parse_args()
    out_file = Path(given.out).resolve() / "displacement.mha"
    tool = TOOLS[given.tool]
    if not _installed(tool.needs):
        raise SystemExit(NOT_INSTALLED)
    sitk.ProcessObject.SetGlobalDefaultNumberOfThreads(given.threads)
    paths = [given.fixed, given.moving, given.fixed_mask, given.moving_mask]
    with tempfile.TemporaryDirectory(prefix=f"{given.tool}_") as folder:
        pair, shift = _load(paths, Path(folder), given.threads)
        field = tool.adapter(pair)
        total = sitk.GetArrayFromImage(field).astype(np.float64) + shift
        out = sitk.GetImageFromArray(total.astype(np.float32), isVector=True)
        out.CopyInformation(pair.fixed)
        sitk.WriteImage(out, str(out_file))


if __name__ == "__main__":
    main()
