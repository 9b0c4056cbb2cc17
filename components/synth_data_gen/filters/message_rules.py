"""Refuses messages that no user of the task would send: in a strange language, or to a machine.

Languages are those of the seeds. The rule on words to a machine is off where a coverage prompt, of
seeds or holdout, breaks it: users of the task do that.
"""

import re
from collections.abc import Callable, Sequence

from core.conversation import user_text
from core.records import SEED_SPLIT, CoverageRow
from task.language import infer_languages

LANGUAGE = "language"
INJECTION = "injection"
_TO_A_MACHINE = re.compile(
    r"\b(?:ignore|disregard|forget|override)\b[^.\n]{0,30}\b(?:previous|above|prior|earlier|all|"
    r"your|the)\b[^.\n]{0,20}\b(?:instructions?|prompts?|rules|guidelines|directions)\b"
    r"|\bignoriere?\b[^.\n]{0,40}\b(?:anweisungen|regeln|instruktionen)\b"
    r"|\bignore[rz]?\b[^.\n]{0,20}\b(?:instructions|consignes)\b"
    r"|\bignor[ae]\b[^.\n]{0,20}\b(?:instrucciones|istruzioni)\b"
    r"|\b(?:system|developer)\s+(?:prompt|message|note|instruction)s?\b"
    r"|\b(?:you are|act as) (?:now )?an? (?:ai|llm|language model|assistant|chatbot)\b"
    r"|<\|?(?:im_start|im_end|system|assistant|user|endoftext)\|?>|<(?:start|end)_of_turn>"
    r"|\[/?INST\]|</?(?:task|examples?|message|prompt|output|plan)(?: [a-z]{6})?>",
    re.IGNORECASE,
)

Rule = Callable[[str], str | None]


def message_rules(coverage: Sequence[CoverageRow]) -> dict[str, Rule]:
    """Return, by reason, what says why a message breaks a rule, or None when it does not.

    Args:
        coverage: Seeds and holdout rows; languages are those of the seeds.
    """
    texts = [user_text(row.prompt) for row in coverage]
    seeds = [
        text for text, row in zip(texts, coverage, strict=True) if row.split == SEED_SPLIT
    ] or texts
    languages = infer_languages(seeds, of="prompt")
    rules: dict[str, Rule] = {LANGUAGE: languages.problem}
    if not any(map(_order_in, texts)):
        rules[INJECTION] = _order_in
    return rules


def _order_in(text: str) -> str | None:
    found = _TO_A_MACHINE.search(text)
    return f"speaks to a machine: {found[0][:60]!r}" if found else None
