"""The table of model families: a new one is a new row, and what it does not name it does not have.

Functions of `models` stand here by their names only: what reads the table loads no Keras, and an
edit of one export changes no cache key of what only reads the table.
"""

import dataclasses
import json
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from core.artifact_files import GENERATION
from core.base_model import GGUF_PREFIX, RANDOM_PREFIX, License
from core.errors import ModelError
from core.family import (
    ChatTemplate,
    DecoderLayout,
    Family,
    GgufFormat,
    TransformersFormat,
)
from core.room import MAX_SEQUENCE_LENGTH

# https://ai.google.dev/gemma/docs/core/prompt-structure
GEMMA = ChatTemplate(
    prefix="<start_of_turn>user\n",
    suffix="<end_of_turn>\n<start_of_turn>model\n",
    end="<end_of_turn>",
    between="\n",
    markers=("<start_of_turn>", "<end_of_turn>", "<bos>", "<eos>", "<pad>", "<unk>"),
)
# Llama 2's https://huggingface.co/blog/llama2#how-to-prompt-llama-2, without a system prompt, and
# Mistral's up to version 0.2, https://docs.mistral.ai/cookbooks/concept-deep-dive-tokenization-templates.
# Version 0.3 made the markers tokens, which KerasHub's tokenizer does not find in text: it is
# trained with the older form, spelled out.
INSTRUCTION = ChatTemplate(
    prefix="[INST] ",
    suffix=" [/INST]",
    end="</s>",
    markers=("[INST]", "[/INST]", "<s>", "</s>", "<unk>"),
)
_LLAMA3_MARKERS = (
    "<|begin_of_text|>",
    "<|end_of_text|>",
    "<|start_header_id|>",
    "<|end_header_id|>",
    "<|eot_id|>",
    "<|eom_id|>",
    "<|python_tag|>",
)
# https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
LLAMA3 = ChatTemplate(
    prefix="<|start_header_id|>user<|end_header_id|>\n\n",
    suffix="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    end="<|eot_id|>",
    markers=_LLAMA3_MARKERS,
)
# The base models of Llama 3 never saw the tokens of a turn: their embeddings are untrained, and
# LoRA does not train them. Alpaca's words, https://github.com/tatsu-lab/stanford_alpaca, need none.
LLAMA3_BASE = ChatTemplate(
    prefix="### Instruction:\n",
    suffix="\n\n### Response:\n",
    end="<|end_of_text|>",
    between="\n\n",
    markers=_LLAMA3_MARKERS,
)

# https://qwen.readthedocs.io/en/latest/getting_started/concepts.html#control-tokens-chat-template,
# without the system prompt of its own; nothing begins a text.
QWEN = ChatTemplate(
    prefix="<|im_start|>user\n",
    suffix="<|im_end|>\n<|im_start|>assistant\n",
    end="<|im_end|>",
    between="\n",
    markers=("<|im_start|>", "<|im_end|>", "<|endoftext|>"),
)


def _llama_license(
    version: str, folder: str, built_with: str, brand: str = "Llama", prefix: str = "Llama-"
) -> License:
    name = f"{brand} {version}"
    return License(
        id=f"llama{version}",
        name=f"{name} Community License",
        link=f"https://www.llama.com/{folder}/license/",
        notice=f"{built_with}{name} is licensed under the {name} Community License, "
        "Copyright © Meta Platforms, Inc. All Rights Reserved.",
        restrictions="Their use is subject to the Acceptable Use Policy, "
        f"https://www.llama.com/{folder}/use-policy/",
        wants_copy=True,
        name_prefix=prefix,
    )


_LLAMA2_LICENSE = dataclasses.replace(
    _llama_license("2", "llama2", "", prefix=""),
    # As its license spells it.
    notice="Llama 2 is licensed under the LLAMA 2 Community License, Copyright (c) Meta Platforms, "
    "Inc. All Rights Reserved.",
)
_GEMMA_TERMS = License(
    id="gemma",
    name="Gemma Terms of Use",
    link="https://ai.google.dev/gemma/terms",
    notice="Gemma is provided under and subject to the Gemma Terms of Use found at "
    "ai.google.dev/gemma/terms",
    restrictions="Their use is subject to the restrictions in section 3.2 of these terms and to "
    "the Gemma Prohibited Use Policy, ai.google.dev/gemma/prohibited_use_policy; whoever passes "
    "them on has to pass these on, too.",
    wants_copy=True,
)
_APACHE = License("apache-2.0", "Apache License 2.0", "https://www.apache.org/licenses/LICENSE-2.0")
_GEMMA_DECODER = DecoderLayout("attention", "", "rope_layer", scales_embeddings=True)
_LLAMA_DECODER = DecoderLayout(
    "_self_attention_layer", "_", "rotary_embedding_layer", scales_embeddings=False
)

# The first whose pattern is found in a name.
FAMILIES: tuple[Family, ...] = (
    Family(
        tag="gemma",
        pattern="(?<!med)(?<!translate)gemma4",
        backbones=("Gemma4Backbone",),
        chat_template=GEMMA,
        licenses={"": _APACHE},
        contexts={"": 131_072},  # of the smallest; the larger ones read twice as much
    ),
    Family(
        tag="gemma",
        pattern="gemma3",
        backbones=("Gemma3Backbone",),
        chat_template=GEMMA,
        licenses={"": _GEMMA_TERMS},
        contexts={"270m|1b": 32_768, "(4|12|27)b": 131_072},
        hub_ids={
            "gemma3-270m": "google/gemma-3-270m",
            "gemma3_270m": "google/gemma-3-270m",
            "gemma3_instruct_270m": "google/gemma-3-270m-it",
            "gemma3_1b": "google/gemma-3-1b-pt",
            "gemma3_instruct_1b": "google/gemma-3-1b-it",
            "gemma3_4b": "google/gemma-3-4b-pt",
            "gemma3_4b_text": "google/gemma-3-4b-pt",
            "gemma3_instruct_4b": "google/gemma-3-4b-it",
            "gemma3_instruct_4b_text": "google/gemma-3-4b-it",
            "gemma3_12b": "google/gemma-3-12b-pt",
            "gemma3_12b_text": "google/gemma-3-12b-pt",
            "gemma3_instruct_12b": "google/gemma-3-12b-it",
            "gemma3_instruct_12b_text": "google/gemma-3-12b-it",
            "gemma3_27b": "google/gemma-3-27b-pt",
            "gemma3_27b_text": "google/gemma-3-27b-pt",
            "gemma3_instruct_27b": "google/gemma-3-27b-it",
            "gemma3_instruct_27b_text": "google/gemma-3-27b-it",
        },
        decoder=_GEMMA_DECODER,
        sharding="GemmaBackbone",  # the blocks of all generations have the same names
        transformers=TransformersFormat("gemma3", "GemmaTokenizer", pad_token="<pad>"),
        gguf=GgufFormat(
            {"gemma3_text": "gemma3"},
            norm_offset=1,
            sliding_window=True,
            load="gemma3",
        ),
        reads_images=r"(?<![a-z\d.])(4|12|27)b(?![a-z\d])(?!.*text)",
        not_exported={"gemma3n": "its architecture is another one than Gemma 3's"},
        tiny={"gemma3-tiny": "gemma3"},
    ),
    Family(
        tag="gemma",
        pattern="gemma",
        backbones=("GemmaBackbone",),  # of the first and the second generation
        chat_template=GEMMA,
        licenses={"": _GEMMA_TERMS},
        # Not of models that were made from later generations, as medgemma.
        contexts={
            "functiongemma": 32_768,
            "vaultgemma": 1_024,
            r"\bgemma(?!backbone)|(code|shield|scale)gemma": 8_192,
        },
        hub_ids={
            "gemma2_2b_en": "google/gemma-2-2b",
            "gemma2_instruct_2b_en": "google/gemma-2-2b-it",
            "gemma2_9b_en": "google/gemma-2-9b",
            "gemma2_instruct_9b_en": "google/gemma-2-9b-it",
            "gemma2_27b_en": "google/gemma-2-27b",
            "gemma2_instruct_27b_en": "google/gemma-2-27b-it",
            "gemma_2b_en": "google/gemma-2b",
            "gemma_instruct_2b_en": "google/gemma-2b-it",
            "gemma_1.1_instruct_2b_en": "google/gemma-1.1-2b-it",
            "gemma_7b_en": "google/gemma-7b",
            "gemma_instruct_7b_en": "google/gemma-7b-it",
            "gemma_1.1_instruct_7b_en": "google/gemma-1.1-7b-it",
        },
        decoder=_GEMMA_DECODER,
        sharding="GemmaBackbone",
        reads_images=r"(med|translate)gemma.*(?<![a-z\d.])(4|12|27)b(?![a-z\d])(?!.*text)",
        transformers=TransformersFormat("gemma", "GemmaTokenizer", pad_token="<pad>"),
        gguf=GgufFormat({"gemma": "gemma", "gemma2": "gemma2"}, norm_offset=1, sliding_window=True),
        tiny={"gemma2-tiny": "gemma2", "gemma-tiny": "gemma"},
    ),
    Family(
        tag="llama",
        pattern="llama3",
        backbones=("Llama3Backbone",),
        chat_template=LLAMA3,
        base_chat_template=LLAMA3_BASE,
        licenses={
            r"llama3\.3": _llama_license("3.3", "llama3_3", "Built with Llama. "),
            r"llama3\.2": _llama_license("3.2", "llama3_2", "Built with Llama. "),
            r"llama3\.1": _llama_license("3.1", "llama3_1", "Built with Llama. "),
            "llama3": _llama_license(
                "3", "llama3", "Built with Meta Llama 3. ", "Meta Llama", "Llama-3-"
            ),
        },
        contexts={r"llama3\.\d": 131_072, "llama3": 8_192},
        hub_ids={
            "llama3_8b_en": "meta-llama/Meta-Llama-3-8B",
            "llama3_instruct_8b_en": "meta-llama/Meta-Llama-3-8B-Instruct",
            "llama3.1_8b": "meta-llama/Llama-3.1-8B",
            "llama3.1_instruct_8b": "meta-llama/Llama-3.1-8B-Instruct",
            "llama3.2_1b": "meta-llama/Llama-3.2-1B",
            "llama3.2_instruct_1b": "meta-llama/Llama-3.2-1B-Instruct",
            "llama3.2_3b": "meta-llama/Llama-3.2-3B",
            "llama3.2_instruct_3b": "meta-llama/Llama-3.2-3B-Instruct",
        },
        decoder=_LLAMA_DECODER,
        sharding="LlamaBackbone",
        transformers=TransformersFormat("llama"),
        gguf=GgufFormat({"llama": "llama"}, pairs_rotary=True),
        saved_model=False,  # KerasHub splits by another pattern in a graph
        tiny={"llama3-tiny": "llama3"},
    ),
    Family(
        tag="mistral",
        pattern="mistral|magistral",
        backbones=("MistralBackbone",),
        chat_template=INSTRUCTION,
        licenses={"mistral.*7b|mistralnemo|magistralsmall": _APACHE},
        contexts={
            "magistral": 40_960,
            "mistralnemo": 131_072,
            r"mistral.*(0\.[23].*7b|7b.*0\.[23])": 32_768,
            "mistral.*7b": 8_192,
        },
        hub_ids={
            "mistral_7b_en": "mistralai/Mistral-7B-v0.1",
            "mistral_0.3_7b_en": "mistralai/Mistral-7B-v0.3",
            "mistral_instruct_7b_en": "mistralai/Mistral-7B-Instruct-v0.1",
            "mistral_0.2_instruct_7b_en": "mistralai/Mistral-7B-Instruct-v0.2",
            "mistral_0.3_instruct_7b_en": "mistralai/Mistral-7B-Instruct-v0.3",
        },
        decoder=_LLAMA_DECODER,
        sharding="LlamaBackbone",  # the same names as Llama's
        transformers=TransformersFormat("mistral"),
        gguf=GgufFormat({"mistral": "llama"}, pairs_rotary=True),
        not_exported={
            r"mistral.*(0\.3.*7b|7b.*0\.3)": "version 0.3 reads [INST] as one token, and is "
            "trained here with it spelled out"
        },
        tiny={"mistral-tiny": "mistral"},
    ),
    Family(
        tag="llama",
        pattern=r"llama|vicuna1\.5",
        backbones=("LlamaBackbone",),
        chat_template=INSTRUCTION,
        licenses={r"llama2|vicuna1\.5": _LLAMA2_LICENSE},
        contexts={r"(llama2|vicuna1\.5)(?!.*\dk)": 4_096},  # "-16k" and "-32k" were extended
        hub_ids={
            "llama2_7b_en": "meta-llama/Llama-2-7b-hf",
            "llama2_instruct_7b_en": "meta-llama/Llama-2-7b-chat-hf",
        },
        decoder=_LLAMA_DECODER,
        sharding="LlamaBackbone",
        transformers=TransformersFormat("llama"),
        gguf=GgufFormat({"llama": "llama"}, pairs_rotary=True),
        tiny={"llama2-tiny": "llama2"},
    ),
    Family(
        tag="qwen",
        pattern=r"qwen(2\.5|3(?!\.))|qwenbackbone|qwen3backbone|qwentiny",
        backbones=("QwenBackbone", "Qwen3Backbone"),
        chat_template=QWEN,
        # Qwen 2.5 3B and 72B have licenses of their own.
        licenses={r"qwen3|qwen2\.5.*(?<![\d.])(0\.5|1\.5|7|14|32)b": _APACHE},
        contexts={r"qwen(2\.5|3)": 32_768},
        hub_ids={
            "qwen2.5_0.5b_en": "Qwen/Qwen2.5-0.5B",
            "qwen2.5_instruct_0.5b_en": "Qwen/Qwen2.5-0.5B-Instruct",
            "qwen2.5_3b_en": "Qwen/Qwen2.5-3B",
            "qwen2.5_7b_en": "Qwen/Qwen2.5-7B",
            "qwen2.5_instruct_32b_en": "Qwen/Qwen2.5-32B-Instruct",
            "qwen2.5_instruct_72b_en": "Qwen/Qwen2.5-72B-Instruct",
            "qwen3_0.6b_en": "Qwen/Qwen3-0.6B",
            "qwen3_1.7b_en": "Qwen/Qwen3-1.7B",
            "qwen3_4b_en": "Qwen/Qwen3-4B",
            "qwen3_8b_en": "Qwen/Qwen3-8B",
            "qwen3_14b_en": "Qwen/Qwen3-14B",
            "qwen3_32b_en": "Qwen/Qwen3-32B",
        },
        saved_model=False,
        tiny={"qwen-tiny": "qwen"},
    ),
)
_INSTRUCTED = re.compile(r"(?<![a-z])(it|instruct|instruction|chat)(?![a-z])", re.IGNORECASE)


def plain_name(name: str) -> str:
    """Return a model's name as patterns are compared with it."""
    return re.sub(r"[-_ ]", "", name.lower())


def family_named(name: str) -> Family | None:
    """Return the family whose pattern is found in the name of a model or of a class of KerasHub."""
    found = (family for family in FAMILIES if re.search(family.pattern, plain_name(name)))
    return next(found, None)


def family_of(backbone: object) -> Family | None:
    """Return the family that a backbone's class belongs to."""
    name = type(backbone).__name__
    return next((family for family in FAMILIES if name in family.backbones), None)


def follows_instructions(preset: str) -> bool:
    """Return whether a base model's name says that it was tuned to answer in turns."""
    return _INSTRUCTED.search(preset) is not None


def chat_template_for(preset: str) -> ChatTemplate:
    """Return the chat template of a base model.

    Args:
        preset: See `TrainHParams.preset`. A folder with a model of this pipeline says itself how it
            is prompted; the `config.json` of another folder names its family, of other presets the
            name does.

    Raises:
        ModelError: Nothing names a family of the table.
    """
    folder = Path(preset)
    for parent in (folder, folder.parent):
        if folder.is_dir() and (parent / GENERATION).is_file():
            return ChatTemplate.from_json((parent / GENERATION).read_text(encoding="utf-8"))
    config = _folder_config(preset)
    name = _named_by(preset, config)
    is_published = not config and not preset.startswith(RANDOM_PREFIX)
    family = _family_of_preset(preset, config)
    if family is None:
        known = ", ".join(dict.fromkeys(family.tag for family in FAMILIES))
        raise ModelError(
            f"training.preset is {preset!r}, which names none of the model families ({known}), so "
            "its chat template is not known. Choose a model with the family in its name, or a "
            "folder with a config.json that names its class. docs/extend/model_family.md adds a "
            "family."
        )
    if family.base_chat_template and is_published and "instruct" not in name.lower():
        return family.base_chat_template
    return family.chat_template


def _named_by(preset: str, config: Mapping[str, Any]) -> str:
    return str(config.get("class_name") or config.get("model_type") or preset)


def _family_of_preset(preset: str, config: Mapping[str, Any]) -> Family | None:
    own = _gguf_family() if preset.startswith(GGUF_PREFIX) else None
    return own or family_named(_named_by(preset, config))


def _last_name(preset: str) -> str:
    """Return the name at the end of a path, URL or handle, without the version behind it."""
    parts = [part for part in preset.removeprefix(GGUF_PREFIX).split("/") if part]
    if len(parts) > 1 and parts[-1].isdecimal():
        parts.pop()
    return parts[-1].lower() if parts else ""


def _reads_images(family: Family, preset: str, config: Mapping[str, Any]) -> bool:
    """Whether a model has a part for images, by its configuration, or by its name without one."""
    if preset.startswith(GGUF_PREFIX):  # of which the texts' part alone is read
        return False
    if config:
        inner = config.get("config")
        of_keras = inner.get("vision_encoder") if isinstance(inner, dict) else None
        return bool(config.get("vision_config") or of_keras)
    name = _last_name(preset)
    return bool(family.reads_images) and re.search(family.reads_images, name) is not None


def why_not_exported(preset: str, formats: Iterable[str]) -> dict[str, str]:
    """Return the formats that a base model cannot be written in, each with the reason.

    Args:
        preset: See `TrainHParams.preset`. Nothing is known of one that names no family.
        formats: See `TrainHParams.exports`.
    """
    config = _folder_config(preset)
    family = _family_of_preset(preset, config)
    if family is None:
        return {}
    name = plain_name(f"{_last_name(preset)} {_named_by('', config)}")
    images = _reads_images(family, preset, config)
    found = {export: family.why_no_export(name, export, reads_images=images) for export in formats}
    return {export: why for export, why in found.items() if why}


def _gguf_family() -> Family | None:
    """Return the family whose GGUF files are loaded, whatever they are called, if it is one."""
    found = [family for family in FAMILIES if family.gguf and family.gguf.load]
    return found[0] if len(found) == 1 else None


def context_length(preset: str) -> int:
    """Return how many tokens a base model reads at most, prompt and response together.

    Args:
        preset: See `TrainHParams.preset`. The `config.json` of a folder says it where transformers
            wrote it; of other presets the family's table does, by the model's name.

    Returns:
        Its context length; `MAX_SEQUENCE_LENGTH` where that is longer or not known.
    """
    config = _folder_config(preset)
    text_config = config.get("text_config")
    inner = text_config if isinstance(text_config, dict) else config
    known = inner.get("max_position_embeddings")
    is_file = preset.startswith(GGUF_PREFIX)
    name = plain_name(_last_name(preset) if config or is_file else preset)
    family = _gguf_family() if is_file else family_named(str(config.get("class_name") or preset))
    if not isinstance(known, int) and family:
        found = (n for pattern, n in family.contexts.items() if re.search(pattern, name))
        known = next(found, None)
    return min(known, MAX_SEQUENCE_LENGTH) if isinstance(known, int) else MAX_SEQUENCE_LENGTH


def _folder_config(preset: str) -> dict[str, Any]:
    """Return the `config.json` of a folder with a model; empty where there is none."""
    try:
        config = json.loads(Path(preset, "config.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return config if isinstance(config, dict) else {}
