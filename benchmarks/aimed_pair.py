"""One pair of the benchmark `aimed`: round 1, then round 2 with aim and without.

Usage: python -m benchmarks.aimed_pair SEED ROWS FOLDER

SynthDataGen and LLMEvaluator are the real executors; the model is the packaged Gemma, trained by
the Trainer's `fit` and asked by ResponseGen's `Generator`. What costs time and changes no figure is
left out: data validation, exports, the responses of other models. Prints one line of JSON.
"""

import argparse
import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
from tfx.types.standard_artifacts import Examples, ModelBlessing

from benchmarks import processes
from benchmarks.aimed import ARMS, GROUPS
from components.artifacts import CoverageReport, Responses
from components.examples_io import Features, read_examples, write_examples
from components.llm_evaluator.executor import Executor as LLMEvaluator
from components.synth_data_gen.executor import Executor as SynthDataGen
from core.families import GEMMA
from core.records import COVERAGE_SPLITS, ResponseRow
from judging.settings import GateSettings
from models import data
from models.generation.generate import Generator
from models.loading.load import (
    load_model,
    resolve_dtype,
    resolve_preset,
)
from models.training.loop import fit
from models.training.lora import enable_lora
from pipeline.config import Config, load_config
from pipeline.local.standin_server import standin_if_wanted
from pipeline.pipeline import LOCAL_BEAM_ARGS
from task.coverage.reader import read_coverage

_PRESET = "offline"
_EVALUATOR = {"baselines": (), "judge_exact_matches": False, "gate": GateSettings()}


class Student:
    """The packaged Gemma with LoRA factors, which can be trained again from their first values.

    Args:
        config: Its hyperparameters and generation settings are used; the seed number of its plans
            is that of the factors and of the order of the rows, too.
    """

    def __init__(self, config: Config) -> None:
        self._hparams = config.training.model_copy(update={"seed": config.synth.seed})
        self._generation = config.generation
        keras.utils.set_random_seed(config.synth.seed)
        preset = resolve_preset(self._hparams.preset, self._hparams.cache_dir)
        self._model = load_model(preset, resolve_dtype(self._hparams.dtype))
        enable_lora(self._model, self._hparams)
        self._first = [(v, v.numpy()) for v in self._model.backbone.trainable_variables]
        self._generator = Generator(self._model)

    def train(self, rows: Mapping[str, Sequence[Features]]) -> None:
        """Trains from the first values on, as the Trainer does in every round."""
        for variable, value in self._first:
            variable.assign(value)
        fit(
            self._model,
            self._tokenized(rows["train"]),
            self._tokenized(rows["eval"]),
            self._hparams,
        )

    def _tokenized(self, rows: Sequence[Features]) -> tuple[data.TokenizedRow, ...]:
        texts = [
            (f"{GEMMA.prefix}{row['prompt']}{GEMMA.suffix}", f"{row['output']}{GEMMA.end}")
            for row in rows
        ]
        tokenizer = self._model.preprocessor.tokenizer
        return data.tokenize(texts, tokenizer, self._hparams.sequence_length).rows

    def respond(self, prompts: list[str]) -> list[tuple[str, str]]:
        """Response and finish of each prompt."""
        settings = self._generation
        assert settings.max_output_tokens is not None  # the offline preset sets it
        return self._generator.respond(prompts, settings.max_output_tokens, settings.batch_size)


class Rounds:
    """Runs rounds with one model.

    Args:
        config: `synth.seed` is the seed number of everything.
        folder: Where artifacts and journals are kept.
    """

    def __init__(self, config: Config, folder: Path) -> None:
        self._config = config.model_copy(
            # What other models answer, and what needs no judge, changes no figure here.
            update={"evaluator": config.evaluator.model_copy(update=_EVALUATOR)}
        )
        self._folder = folder
        self._rows = read_coverage(config.coverage_dir)
        self._coverage = _artifact(Examples, folder / "coverage")
        by_split = {
            split: [
                {"id": r.id, "prompt": r.prompt, "output": r.output, "tags": json.dumps(r.tags)}
                for r in self._rows
                if r.split == split
            ]
            for split in COVERAGE_SPLITS
        }
        write_examples(self._coverage, by_split, span=0)
        self._student = Student(config)

    def run(self, name: str, *, number: int, aim: bool, after: str = "") -> dict[str, Any]:
        """Run a round that continues the one named `after`; empty for the first round.

        Returns:
            `rates` (strict, in percent by group of coverage prompts), `calls` (of this round's
            generation) and `rows` (of all rounds so far).
        """
        folder = self._folder / name
        if after:
            # Salt and paid replies of the round before, and a count of calls of its own.
            shutil.copytree(self._folder / after / "journal", folder / "journal")
        earlier = self._folder / after if after else None
        synthetic = self._generate(folder, number, aim, earlier)
        self._student.train({s: read_examples(synthetic.uri, s) for s in ("train", "eval")})
        summary = json.loads(Path(synthetic.uri, "synthesis.json").read_text(encoding="utf-8"))
        result = {
            "rates": self._evaluate(folder, number, earlier),
            "calls": summary["usage"]["calls"],
            "rows": summary["total_rows"],
        }
        processes.progress(f"{name}: {result}, dropped {summary['dropped']}")
        return result

    def _generate(self, folder: Path, number: int, aim: bool, earlier: Path | None) -> Examples:
        synthetic = _artifact(Examples, folder / "synthetic")
        settings = self._config.synth.model_copy(update={"aim": aim})
        SynthDataGen(SynthDataGen.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS))).Do(
            {"coverage": [self._coverage]},
            {"synthetic": [synthetic]},
            {
                **self._shared_properties(folder, number),
                "settings": settings.model_dump_json(),
                "history_uri": str(earlier / "synthetic") if earlier else "",
                "report_uri": str(earlier / "report") if earlier else "",
            },
        )
        return synthetic

    def _evaluate(self, folder: Path, number: int, earlier: Path | None) -> dict[str, float]:
        responses = _artifact(Responses, folder / "responses")
        answers = self._student.respond([row.prompt for row in self._rows])
        lines = [
            ResponseRow(r.id, r.prompt, r.output, r.split, r.tags, text, finish).to_json()  # type: ignore[arg-type]
            for r, (text, finish) in zip(self._rows, answers, strict=True)
        ]
        Path(responses.uri, "responses.jsonl").write_text("\n".join(lines), encoding="utf-8")
        report = _artifact(CoverageReport, folder / "report")
        LLMEvaluator().Do(
            {"responses": [responses]},
            {"report": [report], "blessing": [_artifact(ModelBlessing, folder / "blessing")]},
            {
                **self._shared_properties(folder, number),
                "settings": self._config.evaluator.model_dump_json(),
                "report_uri": str(earlier / "report") if earlier else "",
            },
        )
        text = Path(report.uri, "coverage_report.json").read_text(encoding="utf-8")
        strict = json.loads(text)["strict"]["tuned"]
        return {group: strict[group]["rate"]["rate_percent"] for group in GROUPS}

    def _shared_properties(self, folder: Path, number: int) -> dict[str, Any]:
        return {
            "service_llm": self._config.service_llm.model_dump_json(),
            "task": self._config.task.model_dump_json(),
            "journal_uri": str(folder / "journal"),
            "round": number,
        }


def _artifact(kind: type[Any], folder: Path) -> Any:
    folder.mkdir(parents=True, exist_ok=True)
    artifact = kind()
    artifact.uri = str(folder)
    return artifact


def main() -> None:
    """Run the pair unless its result exists, and print it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("seed", type=int)
    parser.add_argument("rows", type=int)
    parser.add_argument("folder", type=Path)
    arguments = parser.parse_args()
    result = arguments.folder / "pair.json"
    if not result.exists():
        shutil.rmtree(arguments.folder, ignore_errors=True)  # of a run that was interrupted
        config = load_config(
            _PRESET, [f"synth.rows_per_round={arguments.rows}", f"synth.seed={arguments.seed}"]
        )
        with standin_if_wanted(config):
            rounds = Rounds(config, arguments.folder.resolve())
            pair = {"first": rounds.run("first", number=1, aim=False)}
            for arm, aim in ARMS.items():
                pair[arm] = rounds.run(arm, number=2, aim=aim, after="first")
        result.write_text(json.dumps(pair) + "\n", encoding="utf-8")
    print(result.read_text(encoding="utf-8").strip())


if __name__ == "__main__":
    main()
