from .config import GridConfig as GridConfig
from .model import GridSpinConv as GridSpinConv
from .model import net_forces as net_forces
