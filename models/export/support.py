"""Which formats a model can be written in; nothing is written here.

The Trainer asks before it trains. What writes the formats is not imported, so that an edit of it
trains nothing again.
"""

import importlib.util
from collections.abc import Collection

import keras
from keras_hub.models import Backbone, CausalLM, CausalLMPreprocessor

from core.errors import ModelError
from core.families import family_of
from core.family import Family

# What every config.json says that transformers may come across. Without a version it takes the
# tokenizer for one of Mistral's faulty ones, and advises a flag that changes the tokens.
TRANSFORMERS_VERSION = "5.0.0"


def check_formats(model: CausalLM, formats: Collection[str]) -> None:
    """Raise unless a model can be written in some formats: better before the training.

    Args:
        model: The model that is going to be trained.
        formats: See `TrainHParams.exports`.

    Raises:
        ModelError: It cannot.
    """
    for name in sorted({"transformers", "gguf"}.intersection(formats)):
        family_with(model.backbone, name)
    if "saved_model" in formats:
        check_saved_model(model.preprocessor)
    if "gguf" in formats:
        check_llama_cpp()


def family_with(backbone: Backbone, format_name: str) -> Family:
    """Return a backbone's family, which has `transformers` or `gguf`.

    Raises:
        ModelError: The family has no such export.
    """
    family = family_of(backbone)
    is_text_only = getattr(backbone, "vision_encoder", None) is None
    if family is None or getattr(family, format_name) is None or not is_text_only:
        raise ModelError(
            f"There is no export to {format_name} for {type(backbone).__name__}. Leave "
            f"{format_name} out of training.exports, or choose a text model of Gemma, Mistral or "
            "Llama."
        )
    return family


def check_saved_model(preprocessor: CausalLMPreprocessor) -> None:
    """Raise unless a model's tokenizer can be part of a SavedModel.

    Raises:
        ModelError: It cannot, on this backend or at all.
    """
    if keras.backend.backend() != "tensorflow":
        raise ModelError(
            f"A SavedModel is written with KERAS_BACKEND=tensorflow, not {keras.backend.backend()}."
            " Leave saved_model out of training.exports."
        )
    if getattr(preprocessor.tokenizer, "proto", None) is None:
        # KerasHub's byte-pair tokenizer splits by another pattern in a graph: GPT-2's, not Llama's.
        raise ModelError(
            f"{type(preprocessor.tokenizer).__name__} splits text differently inside a "
            "SavedModel than in training. Leave saved_model out of training.exports for Llama 3; "
            "vLLM and TGI serve the transformers checkpoint."
        )


def check_llama_cpp() -> None:
    """Raise unless llama.cpp is installed.

    Raises:
        ModelError: It is not.
    """
    if importlib.util.find_spec("xllamacpp") is None:
        raise ModelError(
            "A GGUF file is checked with llama.cpp, which is not installed. Run `pip install "
            "xllamacpp`, or leave gguf out of training.exports."
        )
