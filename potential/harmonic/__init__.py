"""Harmonic SpinConv: the kind of model whose sphere is one of spherical harmonics."""

from spinconv.potential.harmonic.model import HarmonicSpinConv, count_parameters

__all__ = ["HarmonicSpinConv", "count_parameters"]
