"""How many tokens the prompts of the demo task have, against those of earlier versions.

Usage: python -m benchmarks.prompt_tokens

The same rows are put into the prompt texts as they are and as they were before, with the blocks and
examples of that time, and counted with Gemma's tokenizer. A prefix that all requests of a kind
share can be cached by the provider; it is shown apart. Ends with an error where a row or a verdict
saves less than 30 %, or a row with the quality filter less than that with a cache.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.plan import PlannedRequest
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.schemas import AttributeSets
from core.conversation import json_value
from core.records import HOLDOUT_SPLIT, SEED_SPLIT, CoverageRow, ResponseRow
from core.text import common_start
from judging.examples import ExamplePool
from judging.requests import JudgedResponse
from judging.requests import RequestBuilder as JudgeRequests
from models.loading.tokenizer import load_tokenizer
from pipeline.config import Config, load_config
from service_llm.prompt_files import render
from standin.attributes import propose
from task.coverage.reader import read_coverage
from task.examples import Examples

_ROWS = 64  # that are counted of each kind
_SAVED = 0.3
ROW, CHECKED, VERDICT = "kept row", "kept row with quality filter", "verdict"
_ROOT = Path(__file__).parents[1]
_SYNTH, _JUDGING = (_ROOT / f"{room}/prompts" for room in ("components/synth_data_gen", "judging"))
_KEY = "3f9a6c01d27be845"  # as long as they were
# The versions of the texts, by the kind of request, in the two generations before this one.
FORMER: Mapping[str, Mapping[str, str]] = {
    "first": {"prompts": "v1", "answer": "v1", "score": "v1", "rubric": "v1", "judge": "v1"},
    "second": {"prompts": "v2", "answer": "v2", "score": "v1", "rubric": "v2", "judge": "v2"},
}


class Count(NamedTuple):
    """Mean tokens of a kind of request, those of the prefix that all share, and characters."""

    tokens: float
    shared: int
    characters: float


class Use(NamedTuple):
    """Tokens for a row or verdict: all, and those that no earlier request has begun with."""

    tokens: float
    anew: float


class Rows:
    """Requests of the demo about the same rows, in all versions.

    Args:
        config: The demo's.
    """

    def __init__(self, config: Config) -> None:
        self.task = config.task
        rows = read_coverage(config.coverage_dir)
        self.seeds = [row for row in rows if row.split == SEED_SPLIT]
        self.asked = [row for row in rows if row.split == HOLDOUT_SPLIT][:_ROWS]
        attributes = AttributeSets.model_validate(propose([row.prompt for row in self.seeds]))
        self._builder = RequestBuilder(config.task, config.synth, b"0" * 32, self.seeds)
        self._judge = JudgeRequests(config.task, config.evaluator, b"0" * 32)
        self._planned = self._builder.plan(
            uniform_weights(self.seeds), attributes, round=1, batch=0, prompts=_ROWS
        )
        self._shown = Examples(self.seeds).shown(
            [row.prompt for row in self.asked], wanted=6, tokens=config.synth.max_example_tokens
        )
        responses = [
            ResponseRow(row.id, row.prompt, row.output, row.split, row.tags, row.output, "stop")
            for row in (*self.seeds, *self.asked)
        ]
        self._pool = ExamplePool(responses)
        self._responses = responses[len(self.seeds) :]

    def now(self) -> dict[str, list[str]]:
        """Return the prompts as they are, by kind."""
        build = self._builder
        return {
            "prompts": [build.prompts(p, round=1, batch=0).prompt for p in self._planned],
            "answer": [
                build.answers(row.prompt, shown, tag="")[0].prompt
                for row, shown in zip(self.asked, self._shown, strict=True)
            ],
            "score": [build.score(row.prompt, row.output, tag="").prompt for row in self.asked],
            "judge": [self._judge.judge(judged, 0, tag="").prompt for judged in self._judged()],
            "baseline": [self._judge.answer(r, self._pool, tag="").prompt for r in self._responses],
        }

    def before(self, versions: Mapping[str, str]) -> dict[str, list[str]]:
        """Return the prompts as they were, by kind; the service's baseline as its answers."""
        answers = [
            self._filled(_SYNTH, "answer", versions, examples=_examples(shown), message=row.prompt)
            for row, shown in zip(self.asked, self._shown, strict=True)
        ]
        rubric = render(_SYNTH / f"rubric.{versions['rubric']}.jinja").strip()
        return {
            "prompts": [self._plan(planned, versions) for planned in self._planned],
            "answer": answers,
            "score": [
                self._filled(
                    _SYNTH, "score", versions, prompt=row.prompt, output=row.output, rubric=rubric
                )
                for row in self.asked
            ],
            "judge": [
                self._filled(
                    _JUDGING, "judge", versions,
                    prompt=judged.prompt, answer_a=judged.output, answer_b=judged.response,
                )
                for judged in self._judged()
            ],
            "baseline": answers,
        }  # fmt: skip

    def _judged(self) -> list[JudgedResponse]:
        """Return each row with the output of the next one as the response."""
        others = self.asked[1:] + self.asked[:1]
        return [
            JudgedResponse(row.prompt, row.output, other.output)
            for row, other in zip(self.asked, others, strict=True)
        ]

    def _plan(self, planned: PlannedRequest, versions: Mapping[str, str]) -> str:
        by_id = {seed.id: seed for seed in self.seeds}
        numbers = {seed_id: n for n, seed_id in enumerate(planned.seed_ids, start=1)}
        wanted = [
            {"number": n, "like_example": numbers[w.like_seed], **w.attributes}
            for n, w in enumerate(planned.wanted, start=1)
        ]
        return render(
            _SYNTH / f"propose_prompts.{versions['prompts']}.jinja",
            task=_block("task", self.task.text()),
            examples=_examples([by_id[seed_id] for seed_id in planned.seed_ids]),
            plan=_block("plan", json.dumps(wanted, ensure_ascii=False)),
            count=len(wanted),
        )

    def _filled(self, folder: Path, name: str, versions: Mapping[str, str], **texts: str) -> str:
        ready = {key: texts.pop(key) for key in ("examples", "rubric") if key in texts}
        blocks = {key: _block(key, text) for key, text in texts.items()}
        file = folder / f"{name}.{versions[name]}.jinja"
        return render(file, task=_block("task", self.task.text()), **ready, **blocks)


def _block(name: str, text: str) -> str:
    return f'<{name} key="{_KEY}">\n{text}\n</{name} key="{_KEY}">'


def _examples(rows: Sequence[CoverageRow]) -> str:
    lines = (
        json.dumps({"prompt": json_value(row.prompt), "output": row.output}, ensure_ascii=False)
        for row in rows
    )
    return "\n".join(_block("example", line) for line in lines)


def counted(prompts: Mapping[str, Sequence[str]]) -> dict[str, Count]:
    """Count the tokens of each kind with Gemma's tokenizer."""
    tokenizer = load_tokenizer("packaged:gemma3-270m", ".cache", download=False)
    if tokenizer is None:
        raise SystemExit("The packaged Gemma, whose tokenizer counts, is not installed.")
    found = {}
    for kind, texts in prompts.items():
        tokens = sum(tokenizer.count(texts)) / len(texts)
        shared = tokenizer.count([common_start(texts)])[0]
        found[kind] = Count(tokens, shared, sum(map(len, texts)) / len(texts))
    return found


def uses(counts: Mapping[str, Count], per_request: float) -> dict[str, Use]:
    """Return the tokens of a kept row, with and without its check, and of a verdict."""
    written, answer, score = counts["prompts"], counts["answer"], counts["score"]
    tokens = written.tokens / per_request + answer.tokens
    shared = written.shared / per_request + answer.shared
    return {
        ROW: Use(tokens, tokens - shared),
        CHECKED: Use(tokens + score.tokens, tokens + score.tokens - shared - score.shared),
        VERDICT: Use(counts["judge"].tokens, counts["judge"].tokens - counts["judge"].shared),
    }


def savings(now: Use, before: Use) -> tuple[float, float]:
    """Return the shares saved: of all tokens, and where shared prefixes are cached, 0 to 1."""
    return 1 - now.tokens / before.tokens, 1 - now.anew / before.anew


def main() -> None:
    """Print the tables."""
    config = load_config("offline", [], environ={})
    rows = Rows(config)
    now = counted(rows.now())
    former = {name: counted(rows.before(versions)) for name, versions in FORMER.items()}
    print(
        f"Tokens of prompts by Gemma's tokenizer, mean of {_ROWS} rows of the demo. The texts of"
        " the first and second version are filled with the same rows, in the blocks and examples of"
        " that time.\n"
    )
    print("| request | first | second | now | of these a shared prefix | characters a token |")
    print("|---|---|---|---|---|---|")
    for kind, count in now.items():
        cells = [f"{former[name][kind].tokens:.0f}" for name in FORMER]
        ratio = count.characters / count.tokens
        print(
            f"| {kind} | {' | '.join(cells)} | {count.tokens:.0f} | {count.shared} | {ratio:.2f} |"
        )
    print("\n| for | first | second | now | saved | saved where shared prefixes are cached |")
    print("|---|---|---|---|---|---|")
    per_request = config.synth.prompts_per_request
    were = {name: uses(counts, per_request) for name, counts in former.items()}
    least = 1.0
    for name, use in uses(now, per_request).items():
        saved = [savings(use, were[key][name]) for key in FORMER]
        # The check now solves the row first and sees examples, which costs what it brings.
        least = min(least, *(part[1 if name == CHECKED else 0] for part in saved))
        cells = [
            *(f"{were[key][name].tokens:.0f}" for key in FORMER),
            f"{use.tokens:.0f}",
            *(", ".join(f"{part[place]:.0%}" for part in saved) for place in (0, 1)),
        ]
        print(f"| {name} | {' | '.join(cells)} |")
    if least < _SAVED:
        raise SystemExit(f"Only {least:.1%} of the tokens are saved, less than {_SAVED:.0%}.")


if __name__ == "__main__":
    main()
