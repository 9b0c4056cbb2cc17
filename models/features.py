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
# https://docs.mistral.ai/guides/tokenization/ and the model card of Llama 2
INSTRUCTION = TurnTemplate(prefix="[INST] ", suffix=" [/INST]", end="</s>")
# https://www.llama.com/docs/model-cards-and-prompt-formats/meta-llama-3/
LLAMA3 = TurnTemplate(
    prefix="<|start_header_id|>user<|end_header_id|>\n\n",
    suffix="<|eot_id|><|start_header_id|>assistant<|end_header_id|>\n\n",
    end="<|eot_id|>",
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
        preset: See `TrainHParams.preset`. A local folder's `config.json` tells its family, of other
            presets the name does.

    Returns:
        Its family's template; Gemma's where nothing tells the family.
    """
    name = preset
    try:
        config = json.loads((Path(preset) / "config.json").read_text(encoding="utf-8"))
        name = str(config.get("class_name") or config.get("model_type") or preset)
    except (OSError, ValueError, AttributeError):
        pass
    name = re.sub(r"[-_ ]", "", name.lower())
    return next((template for family, template in _FAMILIES if family in name), GEMMA)
