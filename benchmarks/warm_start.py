"""Round 2 trained from the base model or from round 1's: which is better per minute?

`python -m benchmarks.warm_start` prints Markdown tables; it takes about an hour. For each seed
number SynthDataGen makes two rounds of the demo task's rows with the stand-in, and the packaged
Gemma is trained on the first. Round 2 is then trained on all rows from both starts, in turns, for a
quarter of a pass and for a whole one. Minutes are those of `fit`, with tracing and the measurement
of the eval loss; CPU minutes do not depend on what else the machine does. A response counts as
right when all its fields are the desired ones.
"""

import argparse
import json
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks import gemma as shared
from benchmarks import processes
from benchmarks.student import interval

_SEEDS = 5
_ROWS_PER_ROUND = 260
_EVAL_FRACTION = 0.15
_EVAL_BATCHES = 20
_PASSES = (0.25, 1.0)
_STARTS = ("scratch", "warm")
_MAX_OUTPUT_TOKENS = 40
_GENERATED_AT_ONCE = 32
# What makes the two rounds' data needs no good model: a random one trains and answers at once.
_DATA_ONLY = (
    "training.preset=random:gemma3-tiny",
    "training.max_steps=1",
    "training.dtype=float32",
    "training.sequence_length=2048",
    "training.exports=[]",
    "generation.dtype=float32",
    "generation.max_output_tokens=1",
    "synth.aim=false",
    f"synth.rows_per_round={_ROWS_PER_ROUND}",
    f"synth.eval_fraction={_EVAL_FRACTION}",
)


def main() -> None:
    """Run the seeds and print the tables, or be the process of one of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, default=_SEEDS, help="at least 2")
    parser.add_argument("--output", type=Path, default=Path("output/benchmark-warm-start"))
    parser.add_argument("--child", type=int, metavar="SEED")
    arguments = parser.parse_args()
    if arguments.child is not None:
        print(json.dumps(_run(arguments.child, arguments.output)))
        return
    found = []
    for seed in range(arguments.seeds):
        folder = arguments.output.resolve() / f"seed-{seed}"
        result = folder / "result.json"
        if not result.exists():  # an interrupted benchmark resumes
            processes.progress(f"warm_start: seed {seed + 1} of {arguments.seeds}")
            values = processes.ours(
                "warm_start", "--child", str(seed), "--output", str(folder.resolve())
            )
            result.write_text(json.dumps(values), encoding="utf-8")
        found.append(json.loads(result.read_text(encoding="utf-8")))
    print(_tables(found))


def _tables(found: Sequence[dict[str, Any]]) -> str:
    before = statistics.fmean(result["before"]["right_percent"] for result in found)
    lines = [
        f"{len(found)} seed numbers, {_ROWS_PER_ROUND} rows a round. After round 1 on average "
        f"{before:.1f} % of the holdout responses are right. Means of round 2:\n",
        "| passes | start | steps | minutes | CPU minutes | eval loss | right (%) |",
        "|---|---|---|---|---|---|---|",
    ]
    for passes in _PASSES:
        for start in _STARTS:
            values = [result["round_2"][f"{start} {passes}"] for result in found]
            mean = {key: statistics.fmean(v[key] for v in values) for key in values[0]}
            lines.append(
                f"| {passes:g} | {start} | {mean['steps']:.0f} | {mean['minutes']:.1f} | "
                f"{mean['cpu_minutes']:.1f} | {mean['eval_loss']:.4f} | "
                f"{mean['right_percent']:.1f} |"
            )
    lines += [
        "\nDifferences of the same seed number, mean and 95 % interval:\n",
        "| difference | CPU minutes | eval loss | right (points) |",
        "|---|---|---|---|",
    ]
    short, whole = (f"{passes}" for passes in _PASSES)
    for one, other in (
        (f"warm {short}", f"scratch {short}"),
        (f"warm {whole}", f"scratch {whole}"),
        (f"warm {short}", f"scratch {whole}"),
    ):
        differences = [
            interval([r["round_2"][one][key] - r["round_2"][other][key] for r in found])
            for key in ("cpu_minutes", "eval_loss", "right_percent")
        ]
        cells = " | ".join(
            format(difference, digits)
            for difference, digits in zip(differences, (".1f", ".3f", ".1f"), strict=True)
        )
        lines.append(f"| {one} minus {other} | {cells} |")
    return "\n".join(lines)


def _run(seed: int, folder: Path) -> dict[str, Any]:
    import keras

    from models.generation.generate import Generator
    from models.loading.load import (
        load_model,
        resolve_dtype,
        resolve_preset,
    )
    from models.training.lora import enable_lora
    from pipeline.config import load_config

    first, second, evaluation = _rounds(seed, folder)
    hparams = load_config("offline").training.model_copy(
        update={"seed": seed, "eval_batches": _EVAL_BATCHES, "checkpoint_steps": None}
    )
    keras.utils.set_random_seed(seed)
    preset = resolve_preset(shared.PRESET, shared.CACHE_DIR)
    model = load_model(preset, resolve_dtype("auto"))
    enable_lora(model, hparams)
    trained = _Trained(model, Generator(model), hparams, evaluation)
    fresh = trained.factors()
    before = trained.train(first, passes=1.0)
    starts = {"scratch": fresh, "warm": trained.factors()}
    round_2 = {}
    for number, passes in enumerate(_PASSES):
        # Which one goes first alternates, so that a drift of the machine harms both.
        order = _STARTS if (seed + number) % 2 == 0 else _STARTS[::-1]
        for start in order:
            trained.start_from(starts[start])
            round_2[f"{start} {passes}"] = trained.train(second, passes=passes)
    return {"before": before, "round_2": round_2}


def _rounds(seed: int, folder: Path) -> list[list[tuple[str, str]]]:
    """Prompts and outputs: train rows of round 1, of both rounds, and eval rows of both."""
    from components.examples_io import read_examples
    from pipeline.config import load_config
    from pipeline.local.output_dir import claim
    from pipeline.local.run import LocalRounds
    from pipeline.local.standin_server import standin_if_wanted

    config = load_config(
        "offline", [*_DATA_ONLY, f"synth.seed={seed}", f"output_dir={folder}"], environ={}
    )
    with claim(folder) as paths, standin_if_wanted(config):
        rounds = LocalRounds(config, paths)
        first = rounds.submit(1, "", "")
        second = rounds.submit(2, first.synthetic_uri, first.report_uri)
    return [
        [(str(row["prompt"]), str(row["output"])) for row in read_examples(uri, split)]
        for uri, split in (
            (first.synthetic_uri, "train"),
            (second.synthetic_uri, "train"),
            (second.synthetic_uri, "eval"),
        )
    ]


class _Trained:
    """One model in memory, trained again and again, and measured on the holdout."""

    def __init__(
        self, model: Any, generator: Any, hparams: Any, evaluation: list[tuple[str, str]]
    ) -> None:
        from task.coverage.reader import read_coverage

        self._model = model
        self._generator = generator
        self._hparams = hparams
        self._eval_rows = self._tokenized(evaluation)
        pairs = read_coverage("data/coverage/support_triage")
        self._holdout = [pair for pair in pairs if pair.split == "holdout"]

    def factors(self) -> list[Any]:
        return [variable.numpy().copy() for variable in self._model.backbone.trainable_variables]

    def start_from(self, factors: list[Any]) -> None:
        variables = self._model.backbone.trainable_variables
        for variable, value in zip(variables, factors, strict=True):
            variable.assign(value)

    def train(self, pairs: list[tuple[str, str]], *, passes: float) -> dict[str, float | None]:
        from models.training.batching import n_steps
        from models.training.loop import fit

        rows = self._tokenized(pairs)
        whole, _ = n_steps(len(rows), self._hparams)
        hparams = self._hparams.model_copy(update={"max_steps": max(1, round(whole * passes))})
        started, cpu_started = time.monotonic(), time.process_time()
        facts = fit(self._model, rows, self._eval_rows, hparams)
        return {
            "steps": facts["steps"],
            "minutes": (time.monotonic() - started) / 60,
            "cpu_minutes": (time.process_time() - cpu_started) / 60,
            "eval_loss": facts["eval_loss"],
            "right_percent": self._right_percent(),
        }

    def _right_percent(self) -> float:
        from judging.scorers import json_fields

        prompts = [pair.prompt for pair in self._holdout]
        samples = self._generator.respond(prompts, _MAX_OUTPUT_TOKENS, _GENERATED_AT_ONCE)
        right = [
            json_fields(pair.output, text) == 1.0
            for pair, (text, _) in zip(self._holdout, samples, strict=True)
        ]
        return 100 * statistics.fmean(right)

    def _tokenized(self, pairs: list[tuple[str, str]]) -> Any:
        from core.families import GEMMA
        from models import data

        texts = [(f"{GEMMA.prefix}{p}{GEMMA.suffix}", f"{o}{GEMMA.end}") for p, o in pairs]
        tokenizer = self._model.preprocessor.tokenizer
        return data.tokenize(texts, tokenizer, self._hparams.sequence_length).rows


if __name__ == "__main__":
    main()
