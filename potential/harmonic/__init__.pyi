from .config import ModelConfig as ModelConfig
from .model import HarmonicSpinConv as HarmonicSpinConv
