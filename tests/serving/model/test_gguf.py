"""The GGUF file that is served: the run's, or one that is exported and verified."""

import hashlib
import shutil

import pytest

from core.errors import UserError
from serving.model.gguf import find_gguf
from serving.model.kept_round import KeptRound


def test_the_runs_own_file_is_served(run_folder):
    kept = KeptRound.find(run_folder)
    found = find_gguf(kept, run_folder, print)
    assert found.path == kept.exports_dir / "gguf" / "model.gguf"
    assert found.sha256 == hashlib.sha256(found.path.read_bytes()).hexdigest()


def test_a_damaged_file_is_refused(run_folder):
    kept = KeptRound.find(run_folder)
    file = kept.exports_dir / "gguf" / "model.gguf"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
    with pytest.raises(UserError, match=r"model\.gguf' differs from what was written"):
        find_gguf(kept, run_folder, print)


def test_a_missing_file_is_exported_once_and_verified(run_folder):
    kept = KeptRound.find(run_folder)
    shutil.rmtree(kept.exports_dir / "gguf")
    said = []
    found = find_gguf(kept, run_folder, said.append)
    (line,) = said
    assert line.startswith("Writing the GGUF file of round 1 for llama.cpp, once: about a minute")
    assert found.path.parent == run_folder / "serving" / "round-1"
    written = found.path.stat().st_mtime_ns
    assert find_gguf(kept, run_folder, said.append) == found
    assert said == [line]
    assert found.path.stat().st_mtime_ns == written


def test_a_model_that_cannot_be_exported_says_why(run_folder):
    kept = KeptRound.find(run_folder)
    shutil.rmtree(kept.exports_dir / "gguf")
    weights = kept.model_dir / "preset" / "model.weights.h5"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    with pytest.raises(UserError, match=r"not exported as GGUF: .*model\.weights\.h5"):
        find_gguf(kept, run_folder, print)
    assert not list((run_folder / "serving" / "round-1").glob("*.gguf"))
