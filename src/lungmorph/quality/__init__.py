"""How far to trust a registration: checks after AAPM TG-132, regions, ventilation."""

from .assess import Assessment, assess
from .checks import Check, Verdict, check_all
from .regions import lung_regions
from .tolerances import Tolerance, load_tolerances
from .ventilation import RegionVentilation, air_change, regional

__all__ = [
    "Assessment",
    "Check",
    "RegionVentilation",
    "Tolerance",
    "Verdict",
    "air_change",
    "assess",
    "check_all",
    "load_tolerances",
    "lung_regions",
    "regional",
]
