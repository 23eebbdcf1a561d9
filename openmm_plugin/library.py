"""The compiled part, libOpenMMSpinConv.so: found beside this file, checked against what is installed, loaded once."""

import ctypes
import functools
import importlib.resources
import json

from spinconv.export.engines import EngineUnavailable

LIBRARY = "libOpenMMSpinConv.so"
BUILT_AGAINST = "libOpenMMSpinConv.json"


@functools.cache
def load_library() -> ctypes.CDLL:
    """The library; once it is loaded OpenMM knows `SpinConvForce`. Raises EngineUnavailable with the reason why it cannot be.

    It lives here and not among OpenMM's own plugins, where every `import openmm` would load torch.
    """
    try:
        import openmm
    except ImportError as error:
        raise EngineUnavailable("OpenMM is not installed; `pip install openmm` and install spinconv again") from error
    import torch  # its libraries are then in the process, wherever they lie

    folder = importlib.resources.files("spinconv.openmm_plugin")
    if not folder.joinpath(LIBRARY).is_file():
        raise EngineUnavailable(
            f"SpinConvForce was not built: there is no {LIBRARY} in {folder}; "
            "install spinconv again, with openmm, vesin and a C++ compiler present"
        )
    built = json.loads(folder.joinpath(BUILT_AGAINST).read_text())
    for name, found in (("openmm", openmm.version.version), ("torch", torch.__version__)):
        check_minor_version(name, built[name], found)
    with importlib.resources.as_file(folder.joinpath(LIBRARY)) as path:
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise EngineUnavailable(f"{LIBRARY} cannot be loaded: {error}; install spinconv again") from error
    pointer_to_double = ctypes.POINTER(ctypes.c_double)
    library.spinconv_n_atoms.argtypes = [ctypes.c_void_p]
    library.spinconv_deviation.argtypes = [ctypes.c_void_p, ctypes.c_void_p, pointer_to_double, pointer_to_double]
    library.spinconv_deviation.restype = ctypes.c_char_p
    library.spinconv_model_seconds.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.spinconv_model_seconds.restype = ctypes.c_double
    return library


def check_minor_version(name: str, built: str, found: str) -> None:
    """Raises EngineUnavailable unless `found` has the major and minor number of `built`: C++ interfaces change with them.

    >>> check_minor_version("openmm", "8.6.1", "8.6.3")
    """
    if built.split(".")[:2] != found.split(".")[:2]:
        raise EngineUnavailable(
            f"SpinConvForce was built for {name} {'.'.join(built.split('.')[:2])}, found {name} {found}; "
            f"install {name} {built} or install spinconv again, which builds it for the one you have"
        )
