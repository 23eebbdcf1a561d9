"""SpinConv in OpenMM: `force(model, topology)` gives a Force for any System, on every platform."""

from spinconv.openmm_plugin.forces import force
from spinconv.openmm_plugin.library import load_library

__all__ = ["force", "load_library"]
