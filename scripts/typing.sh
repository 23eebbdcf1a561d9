#!/usr/bin/env bash
# Makes build/typing/spinconv, a tree of links with the layout of the installed package, for tools that read the sources without importing
# them: type checkers and the documentation's generator cannot follow the package's two homes.
set -euo pipefail
cd "$(dirname "$0")/.."
mkdir -p build/typing/spinconv
for part in potential export lammps_plugin openmm_plugin; do ln -sfn "../../../$part" "build/typing/spinconv/$part"; done
touch build/typing/spinconv/__init__.py
