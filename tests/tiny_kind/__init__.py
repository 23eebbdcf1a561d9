"""A kind of model for tests: a folder, and this row."""

from spinconv.potential.kinds import Kind

TINY = Kind(
    "tiny",
    "TinyConfig",
    "Tiny",
    "tiny_kind",
    direct_forces=lambda config: config.says == "direct",
)
