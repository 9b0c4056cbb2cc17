#!/usr/bin/env bash
# Make deploy/cuda.txt again, after requirements/tfx-1.21.txt has changed.
set -euo pipefail
cd "$(dirname "$0")/.."
{
  echo "# Made by deploy/lock-cuda.sh from deploy/cuda.in."
  "${UV:-.venv/bin/uv}" pip compile --quiet --generate-hashes --no-emit-index-url --no-annotate \
    --no-header --python-version 3.12 --python-platform x86_64-manylinux_2_39 \
    --constraints requirements/tfx-1.21.txt deploy/cuda.in |
    awk '/^[a-z]/ { keep = /^(nvidia-|jax-cuda)/ } keep' # the other packages are in the lock
} >deploy/cuda.txt.new
mv deploy/cuda.txt.new deploy/cuda.txt
