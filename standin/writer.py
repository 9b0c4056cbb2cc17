"""Writes one message for one label, in one style."""

import random
import re
from typing import NamedTuple

from standin.labels import Label
from standin.products import spell
from standin.situations import Situation, choices
from standin.styles import Style, apply
from standin.templates import Template, fill_slot, read_sections

_OWN_SITUATION_SHARE = 0.45  # of the messages that name a product: situations of it alone
_URGENT_SITUATION_SHARE = 0.6  # of the urgent messages: urgent by what happened, not by a cue
_PREFIX_SHARE = 0.22  # of the messages with a cue: one more stands before the wish
_SHORT_FORM_SHARE = 0.15  # of the messages that are no mails: greeting, or closing
_MAX_AFTER = 2  # sentences after the wish; the rest of a long message leads up to it
_ENGLISH = "English"
_QUESTIONS = re.compile(
    r"(?:how|where|when|what|which|who|why|can|could|do|does|is|are|will|would|may|has|did|was)\b",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"\b([Aa])(?= (?!one|once|eu)[aeoAEO]\w)")


class _Part(NamedTuple):
    text: str
    is_needed: bool = False


class Writer:
    """Puts a message together.

    Args:
        label: What has to follow from it.
        style: How it looks.
        rng: Draws everything else.
        circumstances: What a plan says about edge cases and difficulty, in lower case.
    """

    def __init__(self, label: Label, style: Style, rng: random.Random, circumstances: str) -> None:
        self._label = label
        self._style = style
        self._rng = rng
        self._circumstances = circumstances
        self._is_named = False
        self._used: list[Template] = []

    def write(self, limit: int | None) -> str:
        """Return the message.

        Args:
            limit: Characters at most, as far as leaving out what is not needed can help.
        """
        situation, cue = self._situation()
        core = self._core(situation, cue)
        before = self._before(situation)
        after = self._after(situation, cue)
        parts = [*before, core, *after]
        while limit and sum(len(part.text) + 1 for part in parts) > limit:
            optional = [part for part in parts if not part.is_needed]
            if not optional:
                break
            parts.remove(self._rng.choice(optional))
        return self._typed(parts)

    def _situation(self) -> tuple[Situation, str]:
        """Return what it is about, and the cue that is needed for the label's priority."""
        priority = self._label.priority
        found = self._choices(priority)
        is_own = self._rng.random() < _URGENT_SITUATION_SHARE or "danger" in self._circumstances
        if priority != "normal" and (not found or not is_own or "deadline" in self._circumstances):
            usual = self._choices("normal")
            return self._pick(usual), priority
        return self._pick(found), ""

    def _choices(self, priority: str) -> tuple[Situation, ...]:
        category, _, product = self._label
        found = choices(category, priority, self._style.language, product)
        return found or choices(category, priority, _ENGLISH, product)

    def _pick(self, found: tuple[Situation, ...]) -> Situation:
        own = [situation for situation in found if situation.product]
        if own and self._rng.random() < _OWN_SITUATION_SHARE:
            return self._rng.choice(own)
        others = [situation for situation in found if not situation.product]
        return self._rng.choice(others or own)

    def _core(self, situation: Situation, cue: str) -> _Part:
        text = _punctuated(self._text(situation.template))
        if cue and situation.language == _ENGLISH and self._rng.random() < _PREFIX_SHARE:
            is_word = text[1:2].islower() and not text.startswith("I'")
            goes_on = text[0].lower() + text[1:] if is_word else text
            text = f"{self._frame(f'cue_{cue}_prefix').text} {goes_on}"
        return _Part(text, is_needed=True)

    def _before(self, situation: Situation) -> list[_Part]:
        parts = []
        if self._style.is_mail or self._rng.random() < self._form_share():
            foreign = "_foreign" if self._style.foreign_greeting else ""
            if situation.language == _ENGLISH:
                parts.append(self._frame(f"greeting{foreign}"))
        if situation.language != _ENGLISH:
            return parts
        if self._label.product and not self._is_named:
            parts.append(self._frame("opening_product")._replace(is_needed=True))
        if "behalf" in self._circumstances:
            parts.append(self._frame("other_person"))
        if "solved before" in self._circumstances:
            parts.append(self._frame("backstory_solved"))
        extras = self._style.extras - min(_MAX_AFTER, (self._style.extras + 1) // 2)
        openings = sum(self._rng.random() < 0.3 for _ in range(extras))
        parts += [self._frame("backstory") for _ in range(extras - openings)]
        parts += [self._frame("opening") for _ in range(openings)]
        return list(dict.fromkeys(parts))

    def _after(self, situation: Situation, cue: str) -> list[_Part]:
        if situation.language != _ENGLISH:
            return [self._cue(cue)] if cue else []
        parts = []
        wish = f"wish_{self._label.category}"
        feeling = f"feeling_{self._style.feeling}" if self._style.feeling else wish
        for _ in range(min(_MAX_AFTER, (self._style.extras + 1) // 2)):
            parts.append(self._frame(self._rng.choice((wish, feeling))))
        if cue:
            parts.insert(self._rng.randint(0, len(parts)), self._cue(cue))
        if "two wishes" in self._circumstances or "second" in self._circumstances:
            kind = "low" if self._label.priority == "high" else "mild"
            parts.append(self._frame(f"secondary_{kind}")._replace(is_needed=True))
        if "order number" in self._circumstances:
            parts.append(
                _Part(self._text(Template("My reference is <ref>, from <day> the <nth>.")))
            )
        if self._style.is_mail or self._rng.random() < self._form_share():
            foreign = "_foreign" if self._style.foreign_greeting else ""
            parts.append(self._frame(f"closing{foreign}"))
            parts.append(_Part(fill_slot("name", self._rng)))
        return list(dict.fromkeys(parts))

    def _form_share(self) -> float:
        return _SHORT_FORM_SHARE if self._style.extras else _SHORT_FORM_SHARE / 3

    def _cue(self, cue: str) -> _Part:
        is_curious = cue == "low" and self._label.category == "how_to" and self._rng.random() < 0.5
        name = "cue_low_curious" if is_curious else f"cue_{cue}"
        return self._frame(name)._replace(is_needed=True)

    def _frame(self, section: str) -> _Part:
        """Return a sentence of a section, none twice in a message."""
        every = read_sections("frame")[section]
        fresh = [template for template in every if template not in self._used] or every
        chosen = self._rng.choice(fresh)
        self._used.append(chosen)
        return _Part(self._text(chosen))

    def _text(self, template: Template) -> str:
        return _tidy(template.write(self._rng, self._fill))

    def _fill(self, name: str) -> str:
        product = self._label.product
        if name not in ("d", "ds", "o", "p"):
            return fill_slot(name, self._rng)
        if product is None:
            nouns = {"d": "nounnull", "ds": "nounsnull", "o": "ordernull", "p": "nounnull"}
            return fill_slot(nouns[name], self._rng)
        if self._is_named and name in ("d", "p") and self._rng.random() < 0.5:
            return fill_slot("nounnull", self._rng)
        self._is_named = True
        spelled = spell(product, self._rng, wrongly="misspell" in self._circumstances)
        if name == "ds":
            return spelled if spelled.endswith("s") else f"{spelled}s"
        return spelled + (fill_slot("ordersuffix", self._rng) if name == "o" else "")

    def _typed(self, parts: list[_Part]) -> str:
        subject = f"{self._frame('subject').text}\n" if self._style.has_subject else ""
        joint = "\n" if self._style.is_mail else " "
        texts = [part.text for part in parts]
        return apply(subject + _joined(texts, joint), self._style, self._rng)


def _joined(texts: list[str], joint: str) -> str:
    """One text; what does not end a sentence goes on in the same line, greetings apart."""
    joined = texts[0]
    for position, text in enumerate(texts[1:]):
        ends = joined[-1] in ".!?" or position == 0 or text == texts[-1]
        joined += f"{joint if ends else ' '}{text}"
    return joined


def _punctuated(text: str) -> str:
    """End a sentence the way it began."""
    is_question = bool(_QUESTIONS.match(text))
    if text[-1] == "." and is_question and not re.search(r"[.,:;!?]", text[:-1]):
        return f"{text[:-1]}?"
    if text[-1] in ".!?":
        return text
    return f"{text}{'?' if is_question else '.'}"


def _tidy(text: str) -> str:
    """Mends what alternatives leave behind: double blanks and marks, `a` before a vowel."""
    text = re.sub(r"\s+", " ", text).strip()
    text = re.sub(r" ([.,!?;:])", r"\1", text)
    text = re.sub(r"([.!?,])[.,]+", r"\1", text)
    text = re.sub(r"(?<=[.!?] )([a-z])", lambda m: m.group(1).upper(), text)
    text = _ARTICLE.sub(r"\1n", text)
    return text[:1].upper() + text[1:]
