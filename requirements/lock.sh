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
compile requirements/mutants.in --no-deps --universal --python-version 3.11 -o requirements/mutants.txt
compile pyproject.toml requirements/tfx-1.16.in --extra pipeline --group dev -c requirements/uv.txt \
  --override requirements/overrides.txt \
  --python-version 3.11 --python-platform x86_64-manylinux_2_28 -o requirements/tfx-1.16.txt
compile pyproject.toml requirements/tfx-1.21.in --extra pipeline --group dev -c requirements/uv.txt \
  --override requirements/overrides.txt \
  --universal --python-version 3.11 -o requirements/tfx-1.21.txt
compile pyproject.toml --extra serve --universal --python-version 3.11 -o requirements/serve.txt
compile pyproject.toml --extra model -c requirements/serve.txt --universal --python-version 3.11 \
  -o requirements/model.txt
compile pyproject.toml -c requirements/serve.txt --universal --python-version 3.11 \
  -o requirements/gateway.txt
compile pyproject.toml --extra presidio --universal --python-version 3.11 -o requirements/presidio.txt
for client in requirements/clients/*.in; do
  compile "$client" --universal --python-version 3.11 -o "${client%.in}.txt"
done
