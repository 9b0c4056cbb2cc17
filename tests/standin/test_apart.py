import ast
import json
import random
import re
from pathlib import Path

from components.synth_data_gen.filters.decontaminate import CoverageIndex
from core.records import TEST_SPLIT, CoverageRow
from standin.attributes import propose
from standin.compose import compose
from standin.features import words
from standin.situations import situations
from standin.templates import fill_slot, read_sections
from task.coverage.reader import read_coverage
from task.duplicates import find_duplicates
from tests.standin.test_messages import wish

ROOT = Path(__file__).parents[2]
LEAK = 0.5  # SynthSettings.leak_similarity


def test_the_stand_in_imports_nothing_of_the_pipeline():
    for path in (ROOT / "standin").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            names = []
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            own = {name.split(".")[0] for name in names}
            assert not own & {"components", "pipeline", "models", "apps", "benchmarks"}, path


def test_no_message_says_what_a_coverage_prompt_says():
    lines = [
        json.loads(line)
        for path in sorted((ROOT / "data" / "coverage").rglob("*.jsonl"))
        for line in path.read_text(encoding="utf-8").splitlines()
    ]
    rows = [CoverageRow(line["id"], _last_said(line), line["output"], "seed") for line in lines]
    made = [compose(wish(number), f"apart {number}").text for number in range(500)]
    # The leak filter also meets chance likeness, mostly to very short prompts: it drops those. What
    # must not happen is that the grammar holds a prompt.
    index = CoverageIndex(rows)
    near = [index.nearest(text) for text in made]
    like = [found.id for found in near if found and found.similarity >= LEAK]
    assert len(like) <= 0.05 * len(made), like
    copies = find_duplicates([*(row.prompt for row in rows), *made], 0.6, fixed=len(rows))
    assert not [found for found in copies[len(rows) :] if found and found.of < len(rows)]


def _last_said(line):
    """The prompt, or a conversation's last message."""
    return line["prompt"] if "prompt" in line else line["messages"][-1]["content"]


def test_proposed_values_are_short_and_several():
    for name, values in propose([]).items():
        assert name == "language" or 6 <= len(values) <= 12


def test_no_sentence_of_a_test_row_is_in_the_grammar():
    rng = random.Random(0)
    templates = [
        *(situation.template for situation in situations()),
        *(template for section in read_sections("frame").values() for template in section),
    ]
    written = {
        tuple(words(template.write(rng, _filler(rng)))) for template in templates for _ in range(20)
    }
    rows = [
        row
        for row in read_coverage(str(ROOT / "data" / "coverage" / "support_triage"))
        if row.split == TEST_SPLIT
    ]
    assert len(rows) == 200
    sentences = [
        (row.id, tuple(words(text))) for row in rows for text in re.split(r"[.!?\n]+", row.prompt)
    ]
    # Shorter ones, such as "thanks in advance", are anybody's.
    assert not [found for found in sentences if len(found[1]) >= 6 and found[1] in written]


def _filler(rng):
    return lambda name: "Nimbus Cam" if name in ("d", "ds", "o", "p") else fill_slot(name, rng)
