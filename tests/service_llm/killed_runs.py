"""What `test_killed` runs in processes of their own, and kills."""

from pathlib import Path

from components.synth_data_gen.aim import uniform_weights
from components.synth_data_gen.answer import Answerer
from components.synth_data_gen.filters.prompt_filter import PromptFilter
from components.synth_data_gen.generate import generate, propose_attributes
from components.synth_data_gen.requests import RequestBuilder
from components.synth_data_gen.settings import SynthSettings
from service_llm.client import open_service_llm
from service_llm.embedding import open_embedder
from service_llm.settings import EmbedderSettings
from service_llm.types import Request
from task.coverage.reader import read_coverage
from task.form import infer_form
from task.task import Task
from tests.service_llm.conftest import Word

REQUESTS = 400


def ask(settings, journal, result):
    """Asks for words; writes them and what they used."""
    requests = [Request(f"word {number}", Word) for number in range(REQUESTS)]
    with open_service_llm(settings, journal_uri=journal, component="c", round=1) as llm:
        rows = sorted(found.value.word for found in llm.map(requests))
        write(result, *rows, llm.usage())


def generate_round(llm_settings, journal, result):
    """SynthDataGen with all that it may ask; writes its rows and what they used."""
    settings = SynthSettings(rows_per_round=60, samples=3, quality_filter=True)
    task = Task(name="support_triage", instruction="Triage the message as one JSON object.")
    rows = read_coverage("data/coverage/smoke")
    seeds = [row for row in rows if row.split == "seed"]
    embedder = EmbedderSettings(**llm_settings.model_dump() | {"model": "stand-in-embedding"})
    where = {"journal_uri": journal, "component": "SynthDataGen", "round": 1}
    with open_service_llm(llm_settings, **where) as llm, open_embedder(embedder, **where) as embed:
        builder = RequestBuilder(task, settings, llm.salt(), seeds)
        found = generate(
            llm,
            builder,
            PromptFilter(rows, [], settings, embed),
            Answerer(llm, builder, infer_form([seed.output for seed in seeds])),
            weights=uniform_weights(seeds),
            attributes=propose_attributes(llm, builder),
            round=1,
        )
        write(result, *found.kept, *found.dropped, llm.usage(), embed.usage())


def write(path, *values):
    Path(path).write_text("\n".join(map(str, values)), encoding="utf-8")
