#!/usr/bin/env bash
# Install the locked packages into .venv; does nothing when they are there already.
# Usage: requirements/setup.sh          STACK and PYTHON in the environment override what is found.
set -euo pipefail
cd "$(dirname "$0")/.."

NEEDED_GIB=8 # packages, byte code and the converted Gemma

stop() {
  printf 'setup: %s\n' "$*" >&2
  exit 2
}

glibc() { getconf GNU_LIBC_VERSION 2>/dev/null | awk '{print $2}'; }

pick_stack() { # the ml-metadata and TFDV wheels of TFX 1.21 need glibc 2.39
  local version
  version="$(glibc)"
  [ -n "$version" ] || stop "this machine has no glibc ($(uname -sm)). TFX has wheels for Linux with glibc only: use a Linux machine or a container."
  if [ "$(printf '%s\n2.39\n' "$version" | sort -V | head -n 1)" = 2.39 ]; then
    echo tfx-1.21
  else
    echo tfx-1.16
  fi
}

pick_python() { # $1: stack
  local versions=(3.11) candidate version
  [ "$1" = tfx-1.21 ] && versions=(3.13 3.12 3.11)
  for candidate in ${PYTHON:-} "${versions[@]/#/python}" python3 python; do
    version="$("$candidate" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null)" || continue
    case " ${versions[*]} " in *" $version "*) command -v "$candidate" && return ;; esac
    [ "$candidate" != "${PYTHON:-}" ] || stop "PYTHON=$PYTHON is Python $version; the $1 packages need one of: ${versions[*]}."
  done
  stop "no Python of a supported version was found. The $1 packages (for glibc $(glibc)) need one of: ${versions[*]}. Install it, or name it: make setup PYTHON=/path/to/python3.11"
}

stack="${STACK:-$(pick_stack)}"
lock="requirements/$stack.txt"
[ -f "$lock" ] || stop "STACK=$stack is unknown; choose one of: $(basename -s .txt requirements/tfx-*.txt | xargs)."

want="$(cat "$lock" requirements/demo.txt requirements/uv.txt | sha256sum | cut -c1-16)-$stack"
[ "$(cat .venv/installed 2>/dev/null || true)" = "$want" ] && [ -x .venv/bin/understudy ] && exit 0

free_gib=$(($(df -Pk . | awk 'NR==2 {print $4}') / 1048576))
[ "$free_gib" -ge "$NEEDED_GIB" ] || stop "$free_gib GiB are free in $(pwd), and the packages and the model need $NEEDED_GIB GiB. Free some space."

python="$(pick_python "$stack")"
echo "setup: the $stack packages for $("$python" --version) into .venv (once; some minutes)"
unset PYTHONDONTWRITEBYTECODE # imports are three times slower without byte code
if ! .venv/bin/python -c "import sys; sys.exit(sys.version_info[:2] != tuple(map(int, '$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])')'.split('.'))))" 2>/dev/null; then
  rm -rf .venv
  "$python" -m venv .venv || stop "'$python -m venv .venv' failed. On Debian and Ubuntu: apt-get install python3-venv"
fi
rm -f .venv/installed
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/uv.txt ||
  stop "pip could not install uv. Check the network and the package index that pip is set to."
UV_LINK_MODE=copy .venv/bin/uv pip sync --quiet --compile-bytecode --python .venv/bin/python \
  "$lock" requirements/demo.txt ||
  stop "the packages of $lock could not be installed; the lines above say why. Run the same command again to go on."
# The command understudy; its packages are the folders of this checkout.
.venv/bin/uv pip install --quiet --no-deps --no-build-isolation --python .venv/bin/python --editable . ||
  stop "the command understudy could not be installed; the lines above say why."
echo "$want" >.venv/installed
