"""What a backend makes of the same weights and rows: `python -m tests.models.on_backend CACHE`.

Prints JSON. It is run on its own, because a process has one Keras backend, and JAX fixes the number
of its devices when it is loaded.
"""

import contextlib
import json
import sys
import tempfile
from typing import Any

import keras
import numpy as np

from core.families import GEMMA
from models import data
from models.distribution import distributed
from models.generation.generate import Generator
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_preset
from models.tensorflow_patches.lora_forward import lora_forward
from models.training.checkpoints import TrainingCheckpoints
from models.training.loop import fit
from models.training.lora import enable_lora
from tests.models.tuning import PAIRS, PRESET, formatted

PLAIN = {"batch_size": 3, "epochs": 4, "learning_rate": 0.03, "lora_rank": 4}
ACCUMULATED = PLAIN | {"batch_size": 1, "gradient_accumulation": 4, "lora_targets": "all-linear"}
RESUMED = PLAIN | {"batch_size": 4, "checkpoint_steps": 1, "lora_dropout": 0.2}
# On several devices a last batch that cannot be divided is among the batches.
DIVIDED = PLAIN | {"batch_size": 4, "epochs": 2}
ALL_WEIGHTS = DIVIDED | {"method": "full", "learning_rate": 1e-3}
FIVE = (*PAIRS, ("the lamp is dark", "defect"))
PROMPTS = [prompt for prompt, _ in PAIRS]


def model_of(cache: str, hparams: TrainHParams) -> Any:
    """The tiny Gemma with factors from numpy's generator, which does not depend on the backend."""
    model = load_model(resolve_preset(PRESET, cache), "float32", hparams.quantization)
    if hparams.method == "full":
        return model
    enable_lora(model, hparams)
    rng = np.random.default_rng(3)
    for variable in model.backbone.trainable_variables:
        is_second = "lora_kernel_b" in variable.path
        variable.assign(rng.normal(0, 0.0 if is_second else 0.1, variable.shape))
    return model


def train(cache: str, changes: dict[str, Any], checkpoints: Any = None, pairs=PAIRS) -> Any:
    """Trains on the pairs; gives the model and what `fit` has told."""
    hparams = TrainHParams(**{"preset": PRESET} | changes)
    keras.utils.set_random_seed(hparams.seed)
    model = model_of(cache, hparams)
    rows = data.tokenize(formatted(pairs), model.preprocessor.tokenizer, 128, GEMMA).rows
    return model, fit(model, rows, rows, hparams, checkpoints=checkpoints)


def told(model: Any, facts: dict[str, Any]) -> dict[str, Any]:
    """Facts of a training that another one can be compared with."""
    keys = ("steps", "losses", "eval_losses", "best_step", "tokens", "resumed_at")
    weights = sum(float(np.abs(np.asarray(v)).sum()) for v in model.backbone.trainable_variables)
    return {**{key: facts[key] for key in keys}, "weights": weights}


def responses(model: Any) -> list[tuple[str, str]]:
    """Greedy ones."""
    return Generator(model).respond(PROMPTS, 16, 4)


class Interrupted(TrainingCheckpoints):
    """Ends the training after its third checkpoint; keeps the states of the dropout."""

    def __init__(self, folder: str) -> None:
        super().__init__(folder, ["test"])
        self.states: list[Any] = []

    def save(self, checkpoint: Any) -> None:
        super().save(checkpoint)
        self.states.append([state.tolist() for state in checkpoint.arrays["dropout"]])
        if len(self.states) == 3:
            raise InterruptedError


def resumed(cache: str) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        interrupted = Interrupted(folder)
        with contextlib.suppress(InterruptedError):
            train(cache, RESUMED, interrupted)
        facts = told(*train(cache, RESUMED, TrainingCheckpoints(folder, ["test"])))
    return {"facts": facts, "states": interrupted.states}


def dropout_draws(cache: str) -> list[bool]:
    """Whether a layer's output changes from call to call: while training, and else."""
    model = model_of(cache, TrainHParams(preset=PRESET, **PLAIN))
    for variable in model.backbone.trainable_variables:
        variable.assign(np.ones(variable.shape))
    layer = next(x for x in model.backbone._flatten_layers() if getattr(x, "lora_enabled", False))
    x = np.ones((1, 3, layer.kernel.shape[1]), "float32")
    with lora_forward(model, 0.5, seed=0):
        return [
            not np.array_equal(*(np.asarray(layer(x, training=training)) for _ in range(2)))
            for training in (True, False)
        ]


def layout(model: Any) -> dict[str, list[str | None]]:
    """By the path of a weight, the mesh's axes that it is divided along."""
    return {
        v.path: list(v.value.sharding.spec)
        for v in model.backbone.variables
        if hasattr(v.value.sharding, "spec")
    }


def on_devices(cache: str) -> dict[str, Any]:
    """The same training on one device and on four."""
    found = {}
    for name, kind, together, changes in (
        ("one, lora", "none", None, DIVIDED),
        ("data, lora", "data", None, DIVIDED),
        ("model, lora", "model", None, DIVIDED),
        ("both, lora", "model", 2, DIVIDED),
        ("one, full", "none", None, ALL_WEIGHTS),
        ("both, full", "model", 2, ALL_WEIGHTS),
    ):
        with distributed(kind, together, 4):
            model, facts = train(cache, changes, pairs=FIVE)
            found[name] = {**told(model, facts), "layout": layout(model)}
            if name in ("one, lora", "both, lora"):  # each compiles anew
                found[name]["responses"] = responses(model)
    return found


def main() -> None:
    cache = sys.argv[1]
    model, facts = train(cache, PLAIN)
    found = {
        "plain": {**told(model, facts), "responses": responses(model)},
        "accumulated": told(*train(cache, ACCUMULATED)),
    }
    if keras.backend.backend() == "jax":
        found |= {
            "unbroken": told(*train(cache, RESUMED)),
            "resumed": resumed(cache),
            "dropout draws": dropout_draws(cache),
            "devices": len(keras.distribution.list_devices()),
            "on devices": on_devices(cache),
        }
    print(json.dumps(found))


if __name__ == "__main__":
    main()
