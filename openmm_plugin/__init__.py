"""SpinConv in OpenMM: `force(model, topology)` gives a Force for any System, on every platform."""

from spinconv.openmm_plugin.forces import committee_deviation, force
from spinconv.openmm_plugin.library import load_library

__all__ = ["committee_deviation", "force", "load_library"]
