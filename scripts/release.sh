#!/usr/bin/env bash
# Is this ready to be published? Makes the sdist and the wheel in dist/, installs each into a fresh environment, and lets it do there what
# the README promises to those who have no repository: versions, the shipped example in LAMMPS and OpenMM, the README's Python blocks.
set -euo pipefail
. "$(dirname "$0")/setup.sh"
export OMP_NUM_THREADS=${OMP_NUM_THREADS:-1}
version=$(python -c 'import tomllib; print(tomllib.load(open("pyproject.toml", "rb"))["project"]["version"])')

echo "--- version $version"
grep -q "^## $version" CHANGELOG.md || { echo "ERROR: CHANGELOG.md must have a section $version" >&2; exit 1; }
[ -z "$(git status --porcelain)" ] || { echo "ERROR: there are changes that are not committed: $(git status --short | head -3)" >&2; exit 1; }

rm -rf dist
stage "installing build and twine" pip_install build twine
stage "making the sdist and the wheel" python -m build --no-isolation --outdir dist .
ls -l dist
python -m twine check --strict dist/*

for file in dist/*.tar.gz dist/*.whl; do
    echo "--- $file in a fresh environment"
    fresh=$(mktemp -d)
    stage "making the environment" "$PYTHON" -m venv "$fresh/venv"
    (
        . "$fresh/venv/bin/activate"
        stage "installing PyTorch" pip_install ${SPINCONV_TORCH:-torch==2.13.0}
        stage "installing the engines" pip_install -r scripts/requirements.txt
        stage "installing $file" pip_install --no-build-isolation "$file"
        spinconv --version
        readme=$PWD/README.md
        cd "$fresh"
        spinconv example example
        cd example
        lmp -in in.ethanol -var steps 100 | tail -n 25 | grep -A 2 "Total wall time\|Loop time"
        python ethanol_nve.py model.pt 0.1 | tail -n 1
        spinconv check model.pt --all
        python - "$readme" << 'PYTHON'
import re, sys
from pathlib import Path

from spinconv import example_model

for name, code in re.findall(r"<!-- run: (\w+) -->\n```python\n(.*?)```", Path(sys.argv[1]).read_text(), re.DOTALL):
    print("README block", name)
    exec(code.replace('"models/ethanol/model.pt"', "example_model('ethanol')").replace("examples/openmm/", ""), {"example_model": example_model})
PYTHON
    )
    rm -rf "$fresh"
done
echo "ready: dist/ holds what was tested"
