"""The GGUF file of a round: the run's own, or exported and verified where the run wrote none."""

import hashlib
import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from core.artifact_files import CHECKSUMS, PRESET_FOLDER
from core.claim import wait_for_file
from core.errors import UserError
from core.text import Say, about_minutes
from serving.model.kept_round import KeptRound

SERVING_DIR = "serving"  # in the output folder
GGUF_FILE = "model.gguf"
# Needs TensorFlow, so it runs in a process of its own.
EXPORT_MODULE = "models.export.for_serving"
_EXPORTED_DIR = "gguf"  # in the Exporter's folder
_BYTES_A_SECOND = 8e6  # of weights, written and verified on two CPUs


class GgufFile(NamedTuple):
    """A GGUF file that is as it was written.

    Attributes:
        path: Where it lies.
        sha256: Of its content, in hexadecimal.
    """

    path: Path
    sha256: str


def find_gguf(kept: KeptRound, output_dir: Path, say: Say) -> GgufFile:
    """Return the round's GGUF file; export it at the first call where it is missing.

    Args:
        kept: The round.
        output_dir: The run's output folder.
        say: Takes what a person is to know before an export, which takes a minute or more.

    Raises:
        UserError: The file is damaged, or cannot be exported on this machine.
    """
    if kept.exports_dir and (own := kept.exports_dir / _EXPORTED_DIR / GGUF_FILE).is_file():
        return _checked(own, kept.exports_dir)
    folder = output_dir / SERVING_DIR / f"round-{kept.round}"
    folder.mkdir(parents=True, exist_ok=True)
    with wait_for_file(folder / ".lock"):
        if not (folder / CHECKSUMS).is_file():
            _export(kept, folder, say)
    return _checked(folder / GGUF_FILE, folder)


def _export(kept: KeptRound, folder: Path, say: Say) -> None:
    if importlib.util.find_spec("tensorflow") is None:
        raise UserError(
            f"Round {kept.round} has no GGUF file, and writing one needs TensorFlow, which is not "
            "installed here. Run `understudy serve` once where the pipeline ran, or add gguf to "
            "training.exports, and copy the output folder."
        )
    say(f"Writing the GGUF file of round {kept.round} for llama.cpp, once: {_usual_time(kept)}.")
    done = subprocess.run(
        [sys.executable, "-m", EXPORT_MODULE, str(kept.model_dir), str(folder), kept.gguf_type],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = [line for line in done.stderr.splitlines() if line.strip()]
        reason = lines[-1] if lines else f"the export ended with status {done.returncode}."
        raise UserError(f"The model of round {kept.round} was not exported as GGUF: {reason}")


def _usual_time(kept: KeptRound) -> str:
    files = (kept.model_dir / PRESET_FOLDER).glob("*.h5")
    return about_minutes(sum(file.stat().st_size for file in files) / _BYTES_A_SECOND)


def _checked(file: Path, folder: Path) -> GgufFile:
    """Return the file, compared with the checksum that was written with it."""
    sha256 = _sha256(file)
    name = file.relative_to(folder).as_posix()
    sums = folder / CHECKSUMS
    wanted = None
    if sums.is_file():
        lines = (line.partition("  ") for line in sums.read_text(encoding="utf-8").splitlines())
        wanted = {path: checksum for checksum, _, path in lines}.get(name)
    if wanted not in (None, sha256):
        raise UserError(
            f"{str(file)!r} differs from what was written: it is damaged. Restore it from a copy, "
            f"or remove {str(file.parent)!r} to have it exported again."
        )
    return GgufFile(file, sha256)


def _sha256(file: Path) -> str:
    try:
        with file.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except FileNotFoundError:
        return "there is no such file"
