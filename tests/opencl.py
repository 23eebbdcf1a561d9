"""Whether OpenCL is here, for tests of kernels; POCL gives it on a CPU."""

import pytest

from models import SHIPPED_MODEL
from spinconv.export.native_library import NativeModel


def require_opencl() -> None:
    """Skips where there is no OpenCL, and only there."""
    try:
        NativeModel(SHIPPED_MODEL, "float64", "opencl")
    except ValueError as error:
        if "OpenCL's library" in str(error) or "OpenCL finds no device" in str(error):
            pytest.skip(f"POCL and an ICD loader give OpenCL on a CPU: {error}")
        raise
