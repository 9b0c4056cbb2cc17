"""Exports a trained model as GGUF after the run: `python -m models.export.for_serving`.

`serving` runs it by this name in a process of its own where a run wrote no GGUF file.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import get_args

from core.artifact_files import CHECKSUMS, GENERATION, PRESET_FOLDER
from core.errors import ModelError
from core.family import ChatTemplate
from core.reports.training import PromptFormat
from models.checksums import check_files, write_checksums
from models.export.gguf_file import GgufType, export_gguf
from models.export.llama_cpp import verify_gguf
from models.export.support import check_llama_cpp
from models.export.verification import Verifier
from models.loading.load import load_model


def export_for_serving(model_dir: Path, folder: Path, gguf_type: GgufType) -> None:
    """Write `model.gguf`, `Modelfile` and their checksums, compared with the preset in llama.cpp.

    Args:
        model_dir: Output of a Trainer.
        folder: An existing folder; nothing is left in it unless the file is verified.
        gguf_type: Precision of the matrices.

    Raises:
        ModelError: The model is damaged, its family has no GGUF export, or llama.cpp computes
            something else with the file.
    """
    check_llama_cpp()
    check_files(str(model_dir), PRESET_FOLDER, GENERATION)
    text = (model_dir / GENERATION).read_text(encoding="utf-8")
    template = ChatTemplate.from_json(text)
    model = load_model(str(model_dir / PRESET_FOLDER), "float32")
    with tempfile.TemporaryDirectory(prefix=".gguf-", dir=folder) as temporary:
        written = Path(temporary)
        length = PromptFormat.model_validate_json(text).sequence_length
        export_gguf(model, written, template, gguf_type=gguf_type, sequence_length=length)
        verify_gguf(written, gguf_type, Verifier(model, template))
        write_checksums(written)
        # The checksums last: a reader takes the file as complete once they exist.
        names = sorted(p.name for p in written.iterdir() if p.name != CHECKSUMS)
        for name in (*names, CHECKSUMS):
            os.replace(written / name, folder / name)


def main(argv: Sequence[str] | None = None) -> int:
    """Export one model; return 0, or 2 with the reason on standard error."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model_dir", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("gguf_type", choices=get_args(GgufType))
    arguments = parser.parse_args(argv)
    try:
        export_for_serving(arguments.model_dir, arguments.folder, arguments.gguf_type)
    except ModelError as error:
        print(str(error), file=sys.stderr)  # noqa: T201
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
