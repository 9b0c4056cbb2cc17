"""Builds the requests to the service LLM; sending them is left to `generate`.

Text that comes from data or from a model stands inside blocks only, and requests depend on nothing
but their arguments, so a run that is repeated finds every paid reply in the journal.
"""

import dataclasses
import json
from collections.abc import Sequence

from components.records import CoverageRow
from components.service_llm.blocks import block, block_key
from components.service_llm.types import Request
from components.synth_data_gen import templates
from components.synth_data_gen.plan import PlannedRequest
from components.synth_data_gen.schemas import Answer, AttributeSets, ProposedPrompts, QualityScore
from components.synth_data_gen.settings import SynthSettings
from components.task import Task

_ATTRIBUTE_EXAMPLES = 20  # enough to show the range of the seeds; more only costs tokens
# Room in a reply, in tokens. A token is rarely less than a character, so lengths in characters are
# generous bounds; they cost nothing unless they are used.
_LEAST_PROMPT_TOKENS = 256
_LEAST_REPLY_TOKENS = 1024


@dataclasses.dataclass(frozen=True)
class RequestBuilder:
    """Makes the requests of one task.

    Attributes:
        task: What is taken over.
        settings: Temperatures and sizes.
        salt: Random bytes that no author of a text in a block knows.
        seeds: The rows that requests may show; also tell how long replies get.
    """

    task: Task
    settings: SynthSettings
    salt: bytes
    seeds: Sequence[CoverageRow]

    def attributes(self) -> Request:
        """Asks for attribute sets that suit the seeds, evenly picked when they are many."""
        step = max(1, len(self.seeds) // _ATTRIBUTE_EXAMPLES)
        shown = self.seeds[::step][:_ATTRIBUTE_EXAMPLES]
        key = self._key(templates.PROPOSE_ATTRIBUTES, *(seed.id for seed in shown))
        prompt = templates.render(
            templates.PROPOSE_ATTRIBUTES,
            task=self._task(key),
            examples=_examples(shown, key),
        )
        return Request(prompt=prompt, schema=AttributeSets, temperature=0.7, max_output_tokens=4096)

    def prompts(self, planned: PlannedRequest, *, round: int, batch: int) -> Request:
        """Asks for the prompts of one planned request.

        Args:
            planned: What is wanted.
            round: The round, from 1.
            batch: The batch within the round.
        """
        by_id = {seed.id: seed for seed in self.seeds}
        shown = [by_id[seed_id] for seed_id in planned.seed_ids]
        numbers = {seed.id: number for number, seed in enumerate(shown, start=1)}
        wanted = [
            {"like_example": numbers[prompt.like_seed], **prompt.attributes}
            for prompt in planned.wanted
        ]
        parts = (str(round), str(batch), str(planned.number))
        key = self._key(templates.PROPOSE_PROMPTS, *parts)
        prompt = templates.render(
            templates.PROPOSE_PROMPTS,
            task=self._task(key),
            examples=_examples(shown, key),
            plan=block("plan", json.dumps(wanted, ensure_ascii=False), key),
            count=len(wanted),
        )
        return Request(
            prompt=prompt,
            schema=ProposedPrompts,
            temperature=self.settings.temperature,
            max_output_tokens=_LEAST_REPLY_TOKENS + self._prompt_tokens() * len(wanted),
            tag=str(planned.number),
        )

    def answers(self, message: str, shown: Sequence[CoverageRow], *, tag: str) -> list[Request]:
        """Asks for the output of one message, once per sample."""
        key = self._key(templates.ANSWER, message)
        prompt = templates.render(
            templates.ANSWER,
            task=self._task(key),
            examples=_examples(shown, key),
            message=block("message", message, key),
        )
        return [
            Request(
                prompt=prompt,
                schema=Answer,
                temperature=self.settings.answer_temperature,
                max_output_tokens=self._answer_tokens(),
                index=sample,
                tag=tag,
            )
            for sample in range(self.settings.samples)
        ]

    def score(self, message: str, output: str, *, tag: str) -> Request:
        """Asks how good one pair is for training."""
        key = self._key(templates.SCORE, message, output)
        prompt = templates.render(
            templates.SCORE,
            task=self._task(key),
            prompt=block("prompt", message, key),
            output=block("output", output, key),
            rubric=self.settings.quality_rubric.strip() or templates.render(templates.RUBRIC),
        )
        return Request(prompt=prompt, schema=QualityScore, temperature=0.0, tag=tag)

    def _prompt_tokens(self) -> int:
        return max(_LEAST_PROMPT_TOKENS, *(len(seed.prompt) for seed in self.seeds))

    def _answer_tokens(self) -> int:
        return max(_LEAST_REPLY_TOKENS, *(2 * len(seed.output) for seed in self.seeds))

    def _key(self, kind: str, *parts: str) -> str:
        return block_key(self.salt, kind, *parts)

    def _task(self, key: str) -> str:
        return block("task", self.task.text(), key)


def _examples(rows: Sequence[CoverageRow], key: str) -> str:
    lines = (
        json.dumps({"prompt": row.prompt, "output": row.output}, ensure_ascii=False) for row in rows
    )
    return "\n".join(block("example", line, key) for line in lines)
