"""The units of hosts that count in nm and kJ/mol, as OpenMM does."""

KJ_PER_MOL_PER_EV = 96.4853321233100184
"""e * N_A, exact in the SI of 2019 (CODATA 2018): the constant of the C++ side and of OpenMM. ASE's default is CODATA 2014, 1e-8 larger."""
ANGSTROM_PER_NM = 10.0
