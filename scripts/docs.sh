#!/usr/bin/env bash
# Builds the documentation site into build/site with the packages of the active environment (pip install -r scripts/requirements.txt);
# warnings are errors. Look at it: python -m http.server --directory build/site
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/typing.sh
export NO_MKDOCS_2_WARNING=1    # an advertisement
python -m mkdocs build --strict
