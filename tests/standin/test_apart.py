import ast
import json
from pathlib import Path

from components.records import CoverageRow
from components.synth_data_gen.decontaminate import CoverageIndex
from components.synth_data_gen.dedup import find_duplicates
from standin.attributes import propose
from standin.compose import compose
from tests.standin.test_messages import wish

ROOT = Path(__file__).parents[2]
LEAK = 0.55  # SynthSettings.leak_similarity


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
    rows = [CoverageRow(line["id"], line["prompt"], line["output"], "seed") for line in lines]
    made = [compose(wish(number), f"apart {number}").text for number in range(500)]
    # The leak filter also meets chance likeness, mostly to very short prompts: it drops those. What
    # must not happen is that the grammar holds a prompt.
    index = CoverageIndex(rows)
    near = [index.nearest(text) for text in made]
    like = [found.id for found in near if found and found.similarity >= LEAK]
    assert len(like) <= 0.2 * len(made), like
    copies = find_duplicates([*(row.prompt for row in rows), *made], 0.6, fixed=len(rows))
    assert not [found for found in copies[len(rows) :] if found and found.of < len(rows)]


def test_proposed_values_are_short_and_several():
    for name, values in propose([]).items():
        assert name == "language" or 6 <= len(values) <= 12
