"""The colours of all pictures: white at zero, red above and blue below."""

import numpy as np
from matplotlib.colors import Normalize

COLORS = "RdBu_r"


def even_norm(values: np.ndarray) -> Normalize:
    """Of colours that reach as far to either side of zero as the values, NaN apart."""
    most = float(np.nanmax(np.abs(values))) or 1.0
    return Normalize(-most, most)
