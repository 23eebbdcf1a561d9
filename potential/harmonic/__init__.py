"""Harmonic SpinConv: the kind of model whose sphere is one of spherical harmonics."""
