"""Elastix (Klein et al.): two B-spline runs on normalised correlation. Package itk-elastix.

Pyramids, grid spacings and order of the runs are those of parameter set Par0011 of the elastix model zoo (Staring et al.,
"Pulmonary image registration with elastix using a standard intensity-based algorithm", EMPIRE10, 2010).
"""

from __future__ import annotations

import os

import SimpleITK as sitk

from .pair import Pair

TITLE = "elastix"
DISTRIBUTION = "itk-elastix"
REQUIRES = ("itk.ElastixPython",)
SETTINGS = "B-splines to 10 mm, then to 5 mm, NCC, 400 iterations a level, 5000 samples"
#: image pyramid and final spacing of the control points in mm
RUNS = (("8 4 2 2", "10.0"), ("2 1", "5.0"))


def register(pair: Pair) -> sitk.Image:
    """The deformation field of transformix is LPS mm on the fixed grid, fixed -> moving."""
    import itk

    parameters = itk.ParameterObject.New()
    for schedule, spacing in RUNS:
        levels = len(schedule.split())
        run = parameters.GetDefaultParameterMap("bspline", levels)
        for key in [k for k in run if k.startswith("Metric") and k.endswith("Weight")]:
            del run[key]
        run["Registration"] = ["MultiResolutionRegistration"]
        run["Metric"] = ["AdvancedNormalizedCorrelation"]
        run["ImagePyramidSchedule"] = [n for n in schedule.split() for _ in range(3)]
        # the grid halves with every level down to its final spacing
        run["GridSpacingSchedule"] = [str(2 ** (levels - 1 - level)) for level in range(levels)]
        run["FinalGridSpacingInPhysicalUnits"] = [spacing]
        run["MaximumNumberOfIterations"] = ["400"]
        run["NumberOfSpatialSamples"] = ["5000"]
        run["ErodeMask"] = ["false"]
        run["WriteResultImage"] = ["false"]
        parameters.AddParameterMap(run)
    moving = itk.imread(pair.path("moving"), itk.F)
    _, result = itk.elastix_registration_method(
        itk.imread(pair.path("fixed"), itk.F),
        moving,
        parameter_object=parameters,
        fixed_mask=itk.imread(pair.path("metric_mask"), itk.UC),
        output_directory=str(pair.folder),
        log_to_console=False,
    )
    os.chdir(pair.folder)  # transformix writes where it stands
    itk.transformix_deformation_field(
        moving, result, output_directory=str(pair.folder), log_to_console=False
    )
    written = sorted(pair.folder.glob("deformationField.*"))
    return sitk.ReadImage(str(written[0]))
