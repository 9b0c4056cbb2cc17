"""Names of the features and the turn template; what else touches text takes both from here."""

import dataclasses
import json
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
