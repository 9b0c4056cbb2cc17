"""Writes the output folder of a run whose two-layer Gemma has memorized its coverage pairs.

`python -m tests.serving.tiny_run FOLDER [--gguf]`: a process of its own, because it needs
TensorFlow, and what is tested does not.
"""

import argparse
from pathlib import Path

import keras

from core.artifact_files import GENERATION
from core.families import GEMMA
from core.records import CoverageRow
from core.reports.loop import RoundArtifacts
from core.reports.training import UsedHParams
from models import data
from models.checksums import write_checksums
from models.export.gguf_file import export_gguf
from models.generation.generate import Generator
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_preset
from models.training.loop import fit
from tests.evaluation import verdict
from tests.models.tuning import formatted
from tests.records import loop_summary, training_record
from tests.serving.pairs import PAIRS

LENGTH = 256


def train(cache_dir):
    hparams = TrainHParams(
        preset="random:gemma3-tiny", method="full", batch_size=4, epochs=60, learning_rate=3e-3
    )
    keras.utils.set_random_seed(0)
    preset = resolve_preset(hparams.preset, cache_dir)
    model = load_model(preset, "float32")
    rows = data.tokenize(formatted(PAIRS), model.preprocessor.tokenizer, LENGTH, GEMMA).rows
    fit(model, rows, rows, hparams, checkpoints=None, log_dir="")
    return model


def write_run(folder, with_gguf):
    model = train(str(folder / "cache"))
    model_dir = folder / "tfx" / "model" / "Format-Serving"
    exports_dir = folder / "tfx" / "exports"
    model.save_to_preset(str(model_dir / "preset"))
    merged = load_model(str(model_dir / "preset"), "float32")
    if with_gguf:
        export_gguf(merged, exports_dir / "gguf", GEMMA, gguf_type="f32", sequence_length=LENGTH)
        write_checksums(exports_dir)
    (model_dir / GENERATION).write_text(GEMMA.to_json(sequence_length=LENGTH))
    write_checksums(model_dir)
    responses = Generator(merged).respond([prompt for prompt, _ in PAIRS], 48, 4)
    report_dir = folder / "tfx" / "report"
    report_dir.mkdir(parents=True)
    rows = [
        verdict(
            CoverageRow(f"p{number}", prompt, output, ("seed", "holdout")[number % 2]),
            "tuned",
            response == output,
            response=response,
            finish=finish,
        )
        for number, ((prompt, output), (response, finish)) in enumerate(
            zip(PAIRS, responses, strict=True)
        )
    ]
    (report_dir / "verdicts.jsonl").write_text("".join(f"{row.to_json()}\n" for row in rows))
    artifacts = RoundArtifacts(
        model=str(model_dir.parent),
        exports=str(exports_dir),
        report=str(report_dir),
        synthetic="",
        pushed="",
    )
    hparams = UsedHParams(epochs=60, method="full", sequence_length=LENGTH, gguf_type="f32")
    summary = loop_summary(
        [artifacts],
        best_round=1,
        training=training_record(hparams=hparams),
        config={"generation": {"max_output_tokens": 48}},
    )
    (folder / "summary.json").write_text(summary.to_json())


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--gguf", action="store_true")
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    write_run(arguments.folder, arguments.gguf)
