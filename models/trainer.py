"""The Trainer's run_fn: fine-tuning of a causal language model on one machine."""

import json
import os
import time
from typing import Any

import keras
import keras_hub
import tensorflow as tf

from models import data, gemma
from models.backend import check_backend
from models.checkpoints import Checkpoints
from models.distribution import distributed
from models.errors import ModelError
from models.export import TRAINING_FILE, check_exports, export
from models.features import template_for
from models.fitting import fit
from models.hparams import TrainHParams
from models.lora import check_trainable, enable_lora
from models.memory import free_memory
from models.warm_start import check_start, load_factors, load_trained


def run_fn(fn_args: Any) -> None:
    """Fine-tunes a model on Transform's output and exports it.

    Writes to `fn_args.serving_model_dir`: `adapter.lora.h5` (the LoRA factors, where there are
    any), `preset/` (a KerasHub preset with the factors merged in), a folder for each of
    `TrainHParams.exports`, `generation.json` (how the model is prompted), `SHA256SUMS` of all that,
    and `training.json` (what was trained, how fast, the losses, and how each export compares with
    the trained model).
    TensorBoard's files go to `fn_args.model_run_dir`.

    Args:
        fn_args: TFX's `FnArgs`; of `custom_config`, `hparams` is the JSON of `TrainHParams` and
            `checkpoint_dir` the folder or URI where the training is kept while it goes on, and
            taken up from after it was killed. Its `base_model`, where there is one, is the model
            that the training starts from.

    Raises:
        ModelError: Keras' backend or the accelerators are not what the hyperparameters ask for, the
            model to start from cannot be loaded or does not fit, no row can be trained on, or what
            was written is not the model that was trained.
    """
    hparams = TrainHParams.model_validate_json(fn_args.custom_config["hparams"])
    check_backend(hparams.backend)
    with distributed(hparams.distribution, hparams.model_parallel, hparams.batch_size):
        _train(fn_args, hparams)
    free_memory()


def _train(fn_args: Any, hparams: TrainHParams) -> None:
    started = time.monotonic()
    # Before the seed: making a preset that is not in the cache yet draws random numbers, too.
    preset = gemma.resolve_preset(hparams.preset, hparams.cache_dir)
    keras.utils.set_random_seed(hparams.seed)
    dtype = gemma.resolve_dtype(hparams.dtype)
    start = fn_args.base_model or ""
    model = _trainable_model(hparams, preset, dtype, start)
    check_exports(model, hparams)
    template = template_for(hparams.preset)
    train, evaluation = (
        data.tokenize(
            data.read_texts(files), model.preprocessor.tokenizer, hparams.sequence_length, template
        )
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    if not train.rows:
        raise ModelError(
            f"No row is left to train on: {train.too_long} were longer than "
            f"{hparams.sequence_length} tokens. Set training.sequence_length higher, or see why "
            "no examples were generated."
        )
    checkpoints = None
    if hparams.checkpoint_steps:
        identity = (hparams.model_dump_json(), dtype, keras.__version__, start, train, evaluation)
        checkpoints = Checkpoints(fn_args.custom_config["checkpoint_dir"], identity)
    facts = fit(
        model,
        train.rows,
        evaluation.rows,
        hparams,
        checkpoints=checkpoints,
        log_dir=fn_args.model_run_dir,
    )
    facts |= {
        "preset": hparams.preset,
        "dtype": dtype,
        "warm_start": start or None,
        "hparams": hparams.model_dump(),
        "train_rows": len(train.rows),
        "eval_rows": len(evaluation.rows),
        "rows_too_long": train.too_long + evaluation.too_long,
        "versions": _versions(),
    }
    exports = export(
        model,
        fn_args.serving_model_dir,
        template,
        train.rows,
        hparams=hparams,
        # The file of the factors has their scale in it.
        load_base=lambda: _trainable_model(
            hparams.model_copy(update={"lora_alpha": None}), preset, dtype, start=""
        ),
    )
    facts |= {"exports": exports, "seconds": round(time.monotonic() - started, 1)}
    with tf.io.gfile.GFile(os.path.join(fn_args.serving_model_dir, TRAINING_FILE), "w") as file:
        file.write(json.dumps(facts, indent=2))
    if checkpoints:
        checkpoints.clear()


def _trainable_model(hparams: TrainHParams, preset: str, dtype: str, start: str) -> Any:
    if start:
        check_start(start, hparams)
    if hparams.method == "full":
        # The optimizer needs float32 weights; they are computed with in the wanted precision.
        mixed = dtype.replace("bfloat16", "mixed_bfloat16")
        model = load_trained(start, mixed) if start else gemma.load_model(preset, mixed)
        check_trainable(model.backbone)
        return model
    model = gemma.load_model(preset, dtype, hparams.quantization)
    enable_lora(model, hparams)
    if start:
        load_factors(model, start)
    return model


def _versions() -> dict[str, str]:
    return {
        "keras": keras.__version__,
        "keras_hub": keras_hub.__version__,
        "tensorflow": tf.__version__,
        "backend": keras.backend.backend(),
    }
