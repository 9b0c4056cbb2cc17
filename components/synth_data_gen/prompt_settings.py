"""Settings of prompt texts that replace those of this component."""

from typing import Annotated

import pydantic
from pydantic import BeforeValidator

from service_llm.prompt_files import reader


class SynthPrompts(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """Files with prompt texts that replace those of SynthDataGen; None keeps its own."""

    propose_attributes: Annotated[
        str | None, BeforeValidator(reader({"task", "examples"}, {"task"}))
    ] = None
    """Asks for the values that plans draw from. May use `task` and `examples`."""

    propose_prompts: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "plan", "count"}, {"task", "plan"}))
    ] = None
    """Asks for new messages, one for each object of the `plan`, each with its `number`. May use
    `task`, `examples`, `plan` and `count`."""

    answer: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "message"}, {"task", "message"}))
    ] = None
    """Asks for the output of a message. May use `task`, `examples` and `message`."""

    score: Annotated[
        str | None,
        BeforeValidator(
            reader({"task", "examples", "prompt", "output", "rubric"}, {"task", "prompt", "output"})
        ),
    ] = None
    """Asks how good a pair is. May use `task`, `examples`, `prompt`, `output` and `rubric`."""

    rubric: Annotated[str | None, BeforeValidator(reader((), ()))] = None
    """The scale of `score`; `synth.quality_rubric`, where set, comes first."""

    propose_conversations: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "plan", "count"}, {"task", "plan"}))
    ] = None
    """The text of `propose_prompts` where seeds have several turns: asks for conversations, each
    with its `number` and its `turns`."""

    answer_conversation: Annotated[
        str | None, BeforeValidator(reader({"task", "examples", "message"}, {"task", "message"}))
    ] = None
    """The text of `answer` where seeds have several turns."""

    def text(self, name: str) -> str | None:
        """Return the text that replaces one of `templates`, if any."""
        return self.model_dump().get(name)
