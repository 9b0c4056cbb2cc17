"""Names of the features and the turn template; what else touches text takes both from here."""

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, Self

# Features of the synthetic Examples that are read.
PROMPT = "prompt"
OUTPUT = "output"
# Features that Transform writes.
PROMPT_TEXT = "prompt_text"
RESPONSE_TEXT = "response_text"
GENERATION_FILE = "generation.json"  # a template, beside the model that is prompted with it


@dataclasses.dataclass(frozen=True)
class TurnTemplate:
    """How a prompt and a response are written for a model.

    Attributes:
        prefix: What stands before a prompt; the beginning-of-sequence token is not part of it.
        suffix: What stands between a prompt and its response.
        end: What ends a response; a model that writes it has finished.
    """

    prefix: str
    suffix: str
    end: str

    def to_json(self, **facts: Any) -> str:
        """The template as JSON, with further facts; `stop` holds `end`."""
        return json.dumps(
            {"prefix": self.prefix, "suffix": self.suffix, "stop": [self.end], **facts}, indent=2
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """The template that `to_json` wrote."""
        values = json.loads(text)
        return cls(values["prefix"], values["suffix"], values["stop"][0])


# https://ai.google.dev/gemma/docs/core/prompt-structure
GEMMA = TurnTemplate(
    prefix="<start_of_turn>user\n",
    suffix="<end_of_turn>\n<start_of_turn>model\n",
    end="<end_of_turn>",
)
# Llama 2's https://huggingface.co/blog/llama2#how-to-prompt-llama-2, without a system prompt, and
# Mistral's up to version 0.2, https://docs.mistral.ai/cookbooks/concept-deep-dive-tokenization-templates.
# Version 0.3 made tokens of the markers, which KerasHub's tokenizer does not find in text: it is
# trained with the older form, spelled out.
INSTRUCTION = TurnTemplate(prefix="[INST] ", suffix=" [/INST]", end="</s>")
# https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
LLAMA3 = TurnTemplate(
    prefix="<|start_header_id|>user<|end_header_id|>\n\n",
    suffix="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    end="<|eot_id|>",
)
# The base models of Llama 3 never saw the tokens of a turn: their embeddings are untrained, and
# LoRA does not train them. Alpaca's words, https://github.com/tatsu-lab/stanford_alpaca, need none.
LLAMA3_BASE = TurnTemplate(
    prefix="### Instruction:\n",
    suffix="\n\n### Response:\n",
    end="<|end_of_text|>",
)
# The first that a model's name contains; names are compared in lower case without - _ and spaces.
_FAMILIES = (
    ("gemma", GEMMA),
    ("llama3", LLAMA3),
    ("llama2", INSTRUCTION),
    ("mistral", INSTRUCTION),
    ("llama", INSTRUCTION),
)


_INSTRUCTED = re.compile(r"(?<![a-z])(it|instruct|instruction|chat)(?![a-z])", re.IGNORECASE)


def follows_instructions(preset: str) -> bool:
    """Whether a base model's name says that it was tuned to answer in turns.

    Args:
        preset: See `TrainHParams.preset`.
    """
    return _INSTRUCTED.search(preset) is not None


def template_for(preset: str) -> TurnTemplate:
    """The turn template of a base model.

    Args:
        preset: See `TrainHParams.preset`. A folder with a model of this pipeline says itself how it
            is prompted; another folder's `config.json` tells its family, of other presets the
            name does.

    Returns:
        Its family's template; Gemma's where nothing tells the family. Base models that were not
        tuned to instructions are given the template that their family's tuned ones have, but for
        Llama 3.
    """
    folder = Path(preset)
    for parent in (folder, folder.parent):
        if folder.is_dir() and (parent / GENERATION_FILE).is_file():
            return TurnTemplate.from_json((parent / GENERATION_FILE).read_text(encoding="utf-8"))
    name, is_published = preset, not preset.startswith("random:")
    try:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        name = str(config.get("class_name") or config.get("model_type") or preset)
        is_published = False
    except (OSError, ValueError, AttributeError):
        pass
    name = re.sub(r"[-_ ]", "", name.lower())
    template = next((template for family, template in _FAMILIES if family in name), GEMMA)
    if template is LLAMA3 and is_published and "instruct" not in name:
        return LLAMA3_BASE
    return template
