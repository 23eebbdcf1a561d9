"""The compiled part, libOpenMMSpinConv.so: found beside this file, checked against what is installed, loaded once."""

import atexit
import ctypes
import functools
import importlib.resources
import warnings

from spinconv.export.build import BUILD, minor, read_build
from spinconv.export.engines import EngineUnavailable

LIBRARY = "libOpenMMSpinConv.so"


def _warn(words: bytes) -> int:
    """A warning of the library as one of Python; 1 where it is to be an error, which the library then raises as OpenMM's."""
    from spinconv.export.extrapolation import ExtrapolationWarning

    try:
        warnings.warn(words.decode(), ExtrapolationWarning, stacklevel=2)
    except ExtrapolationWarning:
        return 1
    return 0


WarningHandler = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_char_p)
_WARN = WarningHandler(_warn)  # the library keeps its address


@functools.cache
def load_library() -> ctypes.CDLL:
    """The library; once it is loaded OpenMM knows `SpinConvForce`. Raises EngineUnavailable with the reason why it cannot be.

    It lives here and not among OpenMM's own plugins, which every `import openmm` loads.
    """
    try:
        import openmm
    except ImportError as error:
        raise EngineUnavailable(f"OpenMM is not installed; `pip install openmm`, then {BUILD}") from error
    build = read_build("openmm_plugin")
    if build.not_built:
        raise EngineUnavailable(build.in_words())
    check_openmm(build.engine.split()[-1], openmm.version.version)
    folder = importlib.resources.files("spinconv.openmm_plugin")
    with importlib.resources.as_file(folder.joinpath(LIBRARY)) as path:
        try:
            library = ctypes.CDLL(str(path))
        except OSError as error:
            raise EngineUnavailable(f"{LIBRARY} cannot be loaded: {error}; build it again: {BUILD}") from error
    pointer_to_double = ctypes.POINTER(ctypes.c_double)
    library.spinconv_n_atoms.argtypes = [ctypes.c_void_p]
    library.spinconv_deviation.argtypes = [ctypes.c_void_p, ctypes.c_void_p, pointer_to_double, pointer_to_double]
    library.spinconv_deviation.restype = ctypes.c_char_p
    library.spinconv_evaluator_in_context.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.spinconv_evaluator_in_context.restype = ctypes.c_char_p
    library.spinconv_bytes_read.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.spinconv_bytes_read.restype = ctypes.c_int64
    library.spinconv_model_seconds.argtypes = [ctypes.c_void_p, ctypes.c_void_p]
    library.spinconv_model_seconds.restype = ctypes.c_double
    library.spinconv_set_warning_handler.argtypes = [WarningHandler]
    library.spinconv_set_warning_handler(_WARN)
    atexit.register(library.spinconv_set_warning_handler, WarningHandler())  # none: the interpreter is about to go
    return library


def check_openmm(built: str, found: str) -> None:
    """Raises EngineUnavailable unless `found` has the major and minor number of `built`: the calling convention changes with them.

    >>> check_openmm("8.6.1", "8.6.3")
    """
    if minor(built) != minor(found):
        raise EngineUnavailable(
            f"SpinConvForce: it was built for openmm {minor(built)}, found openmm {found}; `pip install openmm=={built}`, "
            f"or build it again for the one you have ({BUILD})"
        )
