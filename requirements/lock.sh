#!/usr/bin/env bash
# Make the locks again from pyproject.toml and the *.in files. Usage: requirements/lock.sh
# No uv.lock: it records the address of the registry that it was made with.
set -euo pipefail
cd "$(dirname "$0")/.."
compile() {
  "${UV:-.venv/bin/uv}" pip compile --quiet --generate-hashes --no-emit-index-url \
    --custom-compile-command "make lock" "$@"
}
compile requirements/uv.in --universal --python-version 3.11 -o requirements/uv.txt
compile requirements/demo.in --universal --python-version 3.11 -o requirements/demo.txt
compile pyproject.toml requirements/tfx-1.16.in --group dev -c requirements/uv.txt \
  --python-version 3.11 --python-platform x86_64-manylinux_2_28 -o requirements/tfx-1.16.txt
compile pyproject.toml requirements/tfx-1.21.in --group dev -c requirements/uv.txt \
  --universal --python-version 3.11 -o requirements/tfx-1.21.txt
