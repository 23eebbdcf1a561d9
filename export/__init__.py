"""The exported model file: written and read in Python here, read in C++ by the engines' plugins (include/spinconv/model.h)."""

from spinconv.export.calculator import SpinConvCalculator
from spinconv.export.reader import ModelFile, read_model
from spinconv.export.writer import export_model

__all__ = ["ModelFile", "SpinConvCalculator", "export_model", "read_model"]
