"""The SpinConv model in plain PyTorch: atoms -> graph -> messages -> spin convolution -> messages -> energies -> forces.

Å and eV everywhere. Nothing here knows an engine or a file format.
"""

import lazy_loader

# What __init__.pyi lists is imported when it is first used: the command `spinconv` must not wait for torch to print its help.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
