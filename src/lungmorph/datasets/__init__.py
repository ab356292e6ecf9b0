"""Datasets as their owners distribute them, read into one form: cases of scans with landmarks."""

from .case import Case, Dataset, LandmarkSet, Scan
from .readers import READERS, open_dataset

__all__ = ["READERS", "Case", "Dataset", "LandmarkSet", "Scan", "open_dataset"]
