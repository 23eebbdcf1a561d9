"""Grid SpinConv: the published kind of model, whose sphere is a grid of latitudes and longitudes."""

import lazy_loader

# What __init__.pyi lists is imported when it is first used: the config of a kind must be had without torch.
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
