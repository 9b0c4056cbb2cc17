"""A checkpoint that Hugging Face transformers, vLLM and TGI load, from a KerasHub model."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import keras
import keras_hub
import tokenizers
from keras_hub.models import CausalLM
from keras_hub.tokenizers import Tokenizer

from core.family import ChatTemplate, TransformersFormat
from models import data
from models.export.chat_templates import jinja_chat_template
from models.export.fast_tokenizer import write_fast_tokenizer
from models.export.hf_state_dict import Weights, hf_state_dict
from models.export.support import TRANSFORMERS_VERSION, family_with
from models.export.verification import Verification, Verifier

_SENTENCEPIECE_FILE = "tokenizer.model"
_TOKENIZERS_FILE = "tokenizer.json"


def export_transformers(model: CausalLM, folder: Path, template: ChatTemplate) -> None:
    """Write weights, configuration, tokenizer and chat template.

    Args:
        model: One without LoRA: the factors would be left out.
        folder: Local folder.
        template: How the model is prompted.

    Raises:
        ModelError: There is no transformers export for the model's family.
    """
    family = family_with(model.backbone, "transformers")
    assert family.transformers is not None
    config, weights = hf_state_dict(model.backbone)
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer = model.preprocessor.tokenizer
    start, end = int(tokenizer.start_token_id), int(tokenizer.end_token_id)
    turn_end = data.end_token_id(tokenizer, template)
    stops = [end] if turn_end == end else [end, turn_end]
    config |= {"bos_token_id": start, "eos_token_id": end}
    _write_json(folder / "config.json", config | {"transformers_version": TRANSFORMERS_VERSION})
    _write_json(folder / "generation_config.json", {"bos_token_id": start, "eos_token_id": stops})
    _save_weights(weights, folder / "model.safetensors")
    _write_tokenizer(tokenizer, folder, template, family.transformers)


def verify_transformers(folder: Path, verifier: Verifier) -> Verification:
    """Load a checkpoint again and compare it with the trained model.

    Raises:
        ModelError: Weights or tokenizer of the checkpoint are others.
    """
    texts = [str(prompt.formatted) for prompt in verifier.fixed]
    starts = [prompt.tokens[0] for prompt in verifier.fixed]
    tokens = zip(starts, checkpoint_tokens(folder, texts), strict=True)
    verifier.check_tokens(folder.name, [(start, *ids) for start, ids in tokens])
    backbone = keras_hub.models.Backbone.from_preset(str(folder), dtype=verifier.dtype)
    return verifier.compare_model(folder.name, backbone)


def checkpoint_tokens(folder: Path, texts: Sequence[str]) -> list[list[int]]:
    """Tokenize each text as transformers does, without special tokens around it."""
    fast = tokenizers.Tokenizer.from_file(str(folder / _TOKENIZERS_FILE))
    return [fast.encode(text, add_special_tokens=False).ids for text in texts]


def _write_json(path: Path, values: Mapping[str, object]) -> None:
    path.write_text(json.dumps(values, indent=2), encoding="utf-8")


def _save_weights(weights: Weights, path: Path) -> None:
    if keras.backend.backend() == "jax":
        from safetensors.flax import save_file
    else:
        from safetensors.tensorflow import save_file
    tensors = {name: keras.ops.convert_to_tensor(tensor) for name, tensor in weights.items()}
    save_file(tensors, str(path), metadata={"format": "pt"})


def _write_tokenizer(
    tokenizer: Tokenizer,
    folder: Path,
    template: ChatTemplate,
    family: TransformersFormat,
) -> None:
    start, end = (
        str(tokenizer.id_to_token(int(token)))
        for token in (tokenizer.start_token_id, tokenizer.end_token_id)
    )
    config: dict[str, object] = {
        "bos_token": start,
        "eos_token": end,
        "add_bos_token": True,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "chat_template": jinja_chat_template(template),
    }
    proto = getattr(tokenizer, "proto", None)
    if proto is None:
        tokenizer._maybe_initialized_tokenizers()
        config |= {"tokenizer_class": "PreTrainedTokenizerFast"}
        (folder / _TOKENIZERS_FILE).write_text(_with_start(tokenizer, start), encoding="utf-8")
    else:
        (folder / _SENTENCEPIECE_FILE).write_bytes(proto)
        config |= {
            "tokenizer_class": family.tokenizer_class,
            "unk_token": "<unk>",
            "pad_token": family.pad_token,
            "added_tokens_decoder": write_fast_tokenizer(
                folder / _SENTENCEPIECE_FILE, folder / _TOKENIZERS_FILE
            ),
        }
    _write_json(folder / "tokenizer_config.json", config)


def _with_start(tokenizer: Tokenizer, start: str) -> str:
    """Return KerasHub's tokenizer in the format of `tokenizers`, with the start token added."""
    values = json.loads(tokenizer._tokenizer.to_str())
    token = {"SpecialToken": {"id": start, "type_id": 0}}
    values["post_processor"] = {
        "type": "TemplateProcessing",
        "single": [token, {"Sequence": {"id": "A", "type_id": 0}}],
        "pair": [token, *({"Sequence": {"id": i, "type_id": n}} for n, i in enumerate("AB"))],
        "special_tokens": {
            start: {"id": start, "ids": [int(tokenizer.start_token_id)], "tokens": [start]}
        },
    }
    return json.dumps(values, ensure_ascii=False)
