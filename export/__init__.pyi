from .calculator import SpinConvCalculator as SpinConvCalculator
from .example import example_model as example_model
from .extrapolation import ExtrapolationWarning as ExtrapolationWarning
from .reader import ModelFile as ModelFile
from .reader import read_model as read_model
from .writer import export_model as export_model
