"""Builds the requests to the service LLM; `generate` sends them.

Text from data or from a model appears inside blocks only. Requests depend on their arguments alone,
so a repeated run finds every paid reply in the journal.
"""

import dataclasses
import functools
from collections.abc import Iterable, Mapping, Sequence

from components.synth_data_gen import templates
from components.synth_data_gen.plan import PlannedRequest, make_plan
from components.synth_data_gen.schemas import (
    Answer,
    AttributeSets,
    LeakVerdict,
    ProposedConversations,
    ProposedPrompts,
    QualityScore,
)
from components.synth_data_gen.settings import SynthSettings
from core.conversation import has_turns
from core.example_budget import example_line, fitting, tokens_of
from core.records import CoverageRow
from service_llm.blocks import block, block_key
from service_llm.types import Request
from task.task import Task

_ATTRIBUTE_EXAMPLES = 20  # enough to show the range of the seeds; more only costs tokens
_SCORE_EXAMPLES = 2  # show the form; always the same, so that they can be cached
# Room in a reply, in tokens. A token is rarely less than a character, so lengths in characters are
# generous bounds; they cost nothing unless they are used.
_MIN_PROMPT_TOKENS = 256
_MIN_REPLY_TOKENS = 1024
# Places in the number of a request for prompts, which services read as 31 bits.
_ROUND, _BATCH = 10_000_000, 100_000
_BETWEEN = " | "


@dataclasses.dataclass(frozen=True)
class RequestBuilder:
    """The requests of one task.

    Attributes:
        task: The task that the model takes over.
        settings: Temperatures and sizes.
        salt: Random bytes that no author of a text in a block knows.
        seeds: The rows that requests may show; their lengths bound those of replies.
        max_reply_tokens: Maximum tokens that the service LLM may be asked for in a reply.
    """

    task: Task
    settings: SynthSettings
    salt: bytes
    seeds: Sequence[CoverageRow]
    max_reply_tokens: int = 128_000

    def plan(
        self,
        weights: Mapping[str, float],
        attributes: AttributeSets,
        *,
        round: int,
        batch: int,
        prompts: int,
    ) -> list[PlannedRequest]:
        """Plan requests whose examples and replies fit; see `make_plan`."""
        room = (self.max_reply_tokens - _MIN_REPLY_TOKENS) // self._prompt_tokens
        count = max(1, min(self.settings.prompts_per_request, room))
        return make_plan(
            weights,
            attributes,
            self.settings.model_copy(update={"prompts_per_request": count}),
            round=round,
            batch=batch,
            prompts=prompts,
            tokens={seed.id: tokens_of(seed) for seed in self.seeds},
        )

    @functools.cached_property
    def has_conversations(self) -> bool:
        """Whether seeds have several turns, so that new prompts are to have them, too."""
        return any(has_turns(seed.prompt) for seed in self.seeds)

    def attributes(self) -> Request:
        """Ask for attribute sets that suit the seeds, evenly picked when they are many."""
        step = max(1, len(self.seeds) // _ATTRIBUTE_EXAMPLES)
        shown = fitting(
            self.seeds[::step][:_ATTRIBUTE_EXAMPLES], tokens=self.settings.max_example_tokens
        )
        key = self._key(templates.PROPOSE_ATTRIBUTES)
        prompt = templates.render(
            templates.PROPOSE_ATTRIBUTES,
            self.settings,
            task=self._task(key),
            examples=_examples(shown, key),
        )
        return Request(prompt=prompt, schema=AttributeSets, temperature=0.7, max_output_tokens=4096)

    def prompts(self, planned: PlannedRequest, *, round: int, batch: int) -> Request:
        """Ask for the prompts of one planned request.

        Args:
            planned: What is wanted.
            round: The round, from 1.
            batch: The batch within the round.
        """
        by_id = {seed.id: seed for seed in self.seeds}
        shown = [by_id[seed_id] for seed_id in planned.seed_ids]
        numbers = {seed.id: number for number, seed in enumerate(shown, start=1)}
        wanted = [(numbers[prompt.like_seed], prompt.attributes) for prompt in planned.wanted]
        text = templates.PROPOSE_PROMPTS
        schema: type[ProposedPrompts | ProposedConversations] = ProposedPrompts
        if self.has_conversations:
            text, schema = templates.PROPOSE_CONVERSATIONS, ProposedConversations
        key = self._key(text)
        prompt = templates.render(
            text,
            self.settings,
            task=self._task(key),
            examples=_examples(shown, key, numbered=True),
            plan=block("plan", _plan_table(wanted), key),
            count=len(wanted),
        )
        return Request(
            prompt=prompt,
            schema=schema,
            temperature=self.settings.temperature,
            max_output_tokens=self._at_most(_MIN_REPLY_TOKENS + self._prompt_tokens * len(wanted)),
            # Two plans may read the same, where attributes are open and all seeds are shown.
            index=_ROUND * round + _BATCH * batch + planned.number,
            tag=str(planned.number),
        )

    def answers(self, message: str, shown: Sequence[CoverageRow], *, tag: str) -> list[Request]:
        """Ask for the output of one message, once per sample.

        Args:
            message: The message.
            shown: Seeds to show, the most important last; those that do not fit are left out.
            tag: Returned with the results.
        """
        shown = fitting(shown[::-1], tokens=self.settings.max_example_tokens)[::-1]
        text = templates.ANSWER_CONVERSATION if self.has_conversations else templates.ANSWER
        key = self._key(text)
        prompt = templates.render(
            text,
            self.settings,
            task=self._task(key),
            examples=_examples(shown, key),
            message=block("message", message, key),
        )
        return [
            Request(
                prompt=prompt,
                schema=Answer,
                temperature=self.settings.answer_temperature,
                max_output_tokens=self._at_most(self._answer_tokens),
                index=sample,
                tag=tag,
            )
            for sample in range(self.settings.samples)
        ]

    def score(self, message: str, output: str, *, tag: str) -> Request:
        """Ask how good one pair is for training."""
        key = self._key(templates.SCORE)
        prompt = templates.render(
            templates.SCORE,
            self.settings,
            task=self._task(key),
            examples=_examples(self._score_examples, key),
            prompt=block("prompt", message, key),
            output=block("output", output, key),
            rubric=templates.render(templates.RUBRIC, self.settings).strip(),
        )
        return Request(
            prompt=prompt,
            schema=QualityScore,
            temperature=0.0,
            max_output_tokens=self._at_most(self._answer_tokens + _MIN_REPLY_TOKENS),
            tag=tag,
        )

    def leak(self, message: str, rows: Sequence[CoverageRow], *, tag: str) -> Request:
        """Ask the judge whether a message restates one of the coverage rows' prompts."""
        key = self._key(templates.JUDGE_LEAK)
        tests = (
            block(f"test_message_{number}", row.prompt, key)
            for number, row in enumerate(rows, start=1)
        )
        prompt = templates.render(
            templates.JUDGE_LEAK,
            self.settings,
            task=self._task(key),
            candidate=block("candidate", message, key),
            tests="\n".join(tests),
        )
        return Request(prompt=prompt, schema=LeakVerdict, temperature=0.0, tag=tag)

    @functools.cached_property
    def _score_examples(self) -> list[CoverageRow]:
        step = max(1, len(self.seeds) // _SCORE_EXAMPLES)
        shown = self.seeds[::step][:_SCORE_EXAMPLES]
        return fitting(shown, tokens=self.settings.max_example_tokens)

    @functools.cached_property
    def _prompt_tokens(self) -> int:
        return max(_MIN_PROMPT_TOKENS, *(len(seed.prompt) for seed in self.seeds))

    @functools.cached_property
    def _answer_tokens(self) -> int:
        return max(_MIN_REPLY_TOKENS, *(2 * len(seed.output) for seed in self.seeds))

    def _at_most(self, tokens: int) -> int:
        return min(tokens, self.max_reply_tokens)

    def _key(self, kind: str) -> str:
        return block_key(self.salt, kind)

    def _task(self, key: str) -> str:
        return block("task", self.task.text(), key)


def _examples(rows: Iterable[CoverageRow], key: str, *, numbered: bool = False) -> str:
    lines: Iterable[str] = map(example_line, rows)
    if numbered:
        lines = (f"{number}. {line}" for number, line in enumerate(lines, start=1))
    return block("examples", "\n".join(lines), key)


def _plan_table(wanted: Sequence[tuple[int, Mapping[str, str]]]) -> str:
    """Write a plan as a table, since names of attributes in each line are a third of its tokens."""
    names = list(dict.fromkeys(name for _, attributes in wanted for name in attributes))
    lines = [_BETWEEN.join(("number", "like_example", *names))]
    for number, (like, attributes) in enumerate(wanted, start=1):
        values = [" ".join(attributes.get(n, "").replace("|", "/").split()) for n in names]
        while values and not values[-1]:
            values.pop()
        lines.append(_BETWEEN.join((str(number), str(like), *values)))
    return "\n".join(lines)
