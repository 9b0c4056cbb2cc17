"""The Trainer's run_fn: fine-tuning of a causal language model on one machine."""

import math
import os
import time
from collections.abc import Mapping, Sequence
from typing import Protocol

import keras
import keras_hub
import tensorflow as tf
from keras_hub.models import CausalLM

from core import artifact_files
from core.errors import ModelError
from core.families import chat_template_for, context_length
from core.reports.training import TrainingRecord
from core.room import MIN_SEQUENCE_LENGTH, with_head_room
from models import data
from models.backend import check_backend
from models.control_tokens import split_control_tokens, with_control_tokens
from models.distribution import distributed
from models.export.support import check_formats
from models.export.trained_model import write_trained_model
from models.hparams import TrainHParams
from models.loading.load import load_model, resolve_dtype, resolve_preset
from models.memory import free_memory
from models.training.checkpoints import TrainingCheckpoints
from models.training.loop import fit
from models.training.lora import check_trainable, enable_lora
from models.training.warm_start import check_start, load_factors, load_trained


class FnArgs(Protocol):
    """What is used of TFX's `FnArgs`."""

    train_files: Sequence[str]  # patterns
    eval_files: Sequence[str]
    serving_model_dir: str
    model_run_dir: str  # for TensorBoard's files
    base_model: str | None  # URI of a trained model to start from
    # `hparams`, the JSON of `TrainHParams`, and `checkpoint_dir`, the folder or URI from which a
    # training that was killed is resumed
    custom_config: Mapping[str, str]


def run_fn(fn_args: FnArgs) -> None:
    """Fine-tune a model on Transform's output and write it.

    Writes to `fn_args.serving_model_dir`: `adapter.lora.h5` (the LoRA factors, if any), `preset/`
    (a KerasHub preset with the factors merged in), `generation.json` (the chat template),
    `SHA256SUMS` of all that, and `training.json` (what was trained, how fast, the losses, and how
    what was written compares with the model in memory). `TrainHParams.exports` are written by the
    Exporter; here it is only checked that they can be.

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


def _train(fn_args: FnArgs, hparams: TrainHParams) -> None:
    started = time.monotonic()
    # Before the seed: making a preset that is not in the cache yet draws random numbers, too.
    preset = resolve_preset(hparams.preset, hparams.cache_dir)
    keras.utils.set_random_seed(hparams.seed)
    dtype = resolve_dtype(hparams.dtype)
    start = fn_args.base_model or ""
    model = _trainable_model(hparams, preset, dtype, start)
    check_formats(model, hparams.exports)
    tokenizer = model.preprocessor.tokenizer
    template = with_control_tokens(chat_template_for(hparams.preset), tokenizer)
    train, evaluation = (
        data.tokenize(
            split_control_tokens(data.read_texts(files), template),
            tokenizer,
            hparams.sequence_length,
            template,
        )
        for files in (fn_args.train_files, fn_args.eval_files)
    )
    if not train.rows:
        raise ModelError(
            f"No training rows remain: {train.too_long} exceed "
            f"{hparams.sequence_length} tokens. Increase training.sequence_length, or find out "
            "why no examples were generated."
        )
    # A run sets it from the coverage rows where it can read them (pipeline.lengths).
    length = hparams.sequence_length or with_head_room(
        max(len(row.tokens) for row in (*train.rows, *evaluation.rows)),
        context_length(hparams.preset),
        MIN_SEQUENCE_LENGTH,
    )
    hparams = hparams.model_copy(update={"sequence_length": length})
    checkpoints = None
    if hparams.checkpoint_steps:
        identity = (hparams.model_dump_json(), dtype, keras.__version__, start, train, evaluation)
        checkpoints = TrainingCheckpoints(fn_args.custom_config["checkpoint_dir"], identity)
    facts = {
        **fit(
            model,
            train.rows,
            evaluation.rows,
            hparams,
            checkpoints=checkpoints,
            log_dir=fn_args.model_run_dir,
        ),
        "parameters": _parameters(model, hparams),
        "preset": hparams.preset,
        "dtype": dtype,
        "warm_start": start or None,
        "hparams": hparams.model_dump(),
        "train_rows": len(train.rows),
        "eval_rows": len(evaluation.rows),
        "rows_too_long": train.too_long + evaluation.too_long,
        "versions": {
            "keras": keras.__version__,
            "keras_hub": keras_hub.__version__,
            "tensorflow": tf.__version__,
            "backend": keras.backend.backend(),
        },
    }
    facts["exports"] = write_trained_model(
        model,
        fn_args.serving_model_dir,
        template,
        train.rows,
        sequence_length=length,
        # The file of the factors has their scale in it.
        load_base=lambda: _trainable_model(
            hparams.model_copy(update={"lora_alpha": None}), preset, dtype, start=""
        ),
        optimizations=hparams.optimizations,
    )
    facts["seconds"] = round(time.monotonic() - started, 1)
    path = os.path.join(fn_args.serving_model_dir, artifact_files.TRAINING)
    with tf.io.gfile.GFile(path, "w") as file:
        file.write(TrainingRecord.model_validate(facts).to_json())
    if checkpoints:
        checkpoints.clear()


def _parameters(model: CausalLM, hparams: TrainHParams) -> int:
    """Count the weights of the model itself: LoRA's are merged into them."""
    own = (w for w in model.backbone.weights if hparams.method == "full" or not w.trainable)
    return sum(math.prod(weight.shape) for weight in own)


def _trainable_model(hparams: TrainHParams, preset: str, dtype: str, start: str) -> CausalLM:
    if start:
        check_start(start, hparams)
    if hparams.method == "full":
        # The optimizer needs float32 weights; the forward pass has the wanted precision.
        mixed = dtype.replace("bfloat16", "mixed_bfloat16")
        model = (
            load_trained(start, mixed, hparams)
            if start
            else load_model(preset, mixed, optimizations=hparams.optimizations)
        )
        check_trainable(model.backbone)
        return model
    model = load_model(preset, dtype, hparams.quantization, hparams.optimizations)
    enable_lora(model, hparams)
    if start:
        load_factors(model, start)
    return model
