"""`privacy.redact` through a round: nothing personal is sent, written or pushed.

The services are a server on loopback that keeps every body. Training and answering are left out:
they send nothing, and read the artifacts that are looked at here.
"""

import gzip
import io
import json
import random
import re

import pyarrow.parquet
import pytest
from tfx.dsl.components.base.base_executor import BaseExecutor
from tfx.types import standard_artifacts

from components.artifacts import CoverageReport, Exports, Responses
from components.coverage_example_gen.component import CoverageExampleGen
from components.coverage_example_gen.executor import Executor as ReadExecutor
from components.examples_io import read_coverage, read_examples
from components.hf_pusher.executor import Executor as PushExecutor
from components.hf_pusher.settings import PushSettings
from components.llm_evaluator.executor import Executor as EvaluateExecutor
from components.synth_data_gen.executor import Executor as SynthExecutor
from components.synth_data_gen.settings import SynthSettings
from core.records import CoverageRow, ResponseRow
from judging.settings import EvaluatorSettings
from pipeline.pipeline import LOCAL_BEAM_ARGS
from service_llm.settings import EmbedderSettings, ServiceLLMSettings
from task.coverage.logged import write_logged
from task.privacy import PrivacySettings
from tests.scripted_service import scripted, words
from tests.service_llm.conftest import ScriptedServer

# Numbers that the issuing bodies publish as examples; none is a person's.
IBANS = (
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "fr14 2004 1010 0505 0001 3m02 606",
)
PHONES = ("+49 30 901820", "(415) 555-2671", "+442079460958")
DOMAIN = "planted.example"
PLANTED = {
    "EMAIL": [DOMAIN],
    "IBAN": ["de89370400440532013000", "gb29nwbk60161331926819", "fr1420041010050500013m02606"],
    "PHONE": ["4930901820", "4155552671", "442079460958"],
}
WITHOUT_SIGNS = re.compile(r"[^\w.]|_")  # in whatever spelling a number is written


def personal(number):
    """A sentence with a mail address, a phone number and an IBAN, and the same as JSON."""
    mail, phone, iban = f"ada{number}@{DOMAIN}", PHONES[number % 3], IBANS[number // 3 % 3]
    text = f"Reach me at {mail} or {phone}, refund to {iban}, please."
    return text, json.dumps({"mail": mail.upper(), "phone": phone, "iban": iban})


def pair(number, split):
    text, output = personal(number)
    said = words(random.Random(number), 12)
    first = [
        {"role": "user", "content": f"{said} {text}"},
        {"role": "assistant", "content": f"Is {text} right?"},
    ]
    turns = first if number % 4 == 0 else []  # of held-out rows alone
    return {
        "id": f"{split}-{number}",
        "messages": [*turns, {"role": "user", "content": f"{said}: {text}"}],
        "output": output,
        "references": [json.dumps({"mail": f"ada{number}@{DOMAIN}", "phone": None, "iban": None})],
        "tags": [f"agent:bob@{DOMAIN}"],
        "split": split,
    }


@pytest.fixture
def server():
    server = ScriptedServer()
    yield server
    server.close()


def answers(outputs):
    """Replies to every request; a vector's numbers follow its text."""
    reply = scripted(outputs)

    def respond(body, number):
        if "input" not in body:
            return reply(body, number)
        rng = random.Random(str(body["input"]))
        data = [
            {"object": "embedding", "index": n, "embedding": [rng.gauss(0, 1) for _ in range(32)]}
            for n in range(len(body["input"]))
        ]
        usage = {"prompt_tokens": 3, "total_tokens": 3}
        return 200, {"object": "list", "model": "m", "data": data, "usage": usage}

    return respond


def at(artifact, path):
    path.mkdir(parents=True, exist_ok=True)
    artifact.uri = str(path)
    return artifact


def read(folder, output, privacy):
    """CoverageExampleGen."""
    artifact = at(standard_artifacts.Examples(), output)
    component = CoverageExampleGen(str(folder), code_version="1", privacy=privacy.model_dump_json())
    context = ReadExecutor.Context(
        beam_pipeline_args=list(LOCAL_BEAM_ARGS), tmp_dir=str(output), unique_id="1"
    )
    ReadExecutor(context).Do({}, {"examples": [artifact]}, dict(component.exec_properties))
    return artifact


@pytest.fixture
def run_round(tmp_path, server, source, task):
    """A round over rows and logged exchanges that hold personal data; returns its artifacts."""

    def run_round(privacy):
        folder = tmp_path / "own"
        folder.mkdir()
        rows = [pair(n, "seed" if n % 2 else "holdout") for n in range(12)]
        text = "".join(json.dumps(row) + "\n" for row in rows)
        (folder / "rows.jsonl").write_text(text, encoding="utf-8")
        write_logged(folder, [logged(n) for n in range(100, 103)])
        out = tmp_path / "out"
        coverage = read(folder, out / "coverage", privacy)
        found = read_coverage(coverage.uri)
        server.respond = answers([row.output for row in found if row.split == "seed"])
        asked = {"provider": "openai", "model": "m", "base_url": f"{server.url}/v1"}
        llm = ServiceLLMSettings(**asked, requests_per_minute=60_000).model_dump_json()
        common = {
            "service_llm": llm,
            "embedder": EmbedderSettings(**asked, requests_per_minute=60_000).model_dump_json(),
            "task": task.model_dump_json(),
            "journal_uri": str(tmp_path / "journal"),
            "round": 1,
            "report_uri": "",
            "code_version": "",
        }
        synthetic = at(standard_artifacts.Examples(), out / "synthetic")
        settings = SynthSettings(
            rows_per_round=6, train_on_rest=True, leak_judge=True, edge_case_fraction=0
        )
        context = SynthExecutor.Context(beam_pipeline_args=list(LOCAL_BEAM_ARGS))
        SynthExecutor(context).Do(
            {"coverage": [coverage]},
            {"synthetic": [synthetic]},
            {**common, "judge_llm": llm, "history_uri": "", "settings": settings.model_dump_json()},
        )
        responses = at(Responses(), out / "responses")
        answered = [
            ResponseRow(r.id, r.prompt, r.output, r.split, r.tags, f"{r.output} ", "stop", 0,
                        r.references)
            for r in found
        ]  # fmt: skip
        text = "".join(f"{row.to_json()}\n" for row in answered)
        (out / "responses" / "responses.jsonl").write_text(text, encoding="utf-8")
        report, blessing = CoverageReport(), standard_artifacts.ModelBlessing()
        evaluator = EvaluatorSettings(votes=1, gate={"threshold_percent": 0})
        EvaluateExecutor().Do(
            {"responses": [responses]},
            {
                "report": [at(report, out / "report")],
                "blessing": [at(blessing, out / "blessing")],
            },
            {**common, "settings": evaluator.model_dump_json()},
        )
        model = at(standard_artifacts.Model(), source.model_dir.parent)
        push = PushSettings(destination="local", local_hub_dir=str(out / "hub"), push_dataset=True)
        PushExecutor(BaseExecutor.Context()).Do(
            {
                "exports": [at(Exports(), source.exports_dir)],
                "model": [model],
                "model_blessing": [blessing],
                "report": [report],
                "synthetic": [synthetic],
            },
            {"pushed_model": [at(standard_artifacts.PushedModel(), out / "pushed")]},
            {
                "settings": push.model_dump_json(),
                "task": task.model_dump_json(),
                "privacy": privacy.model_dump_json(),
                "round": 1,
                "code_version": "",
            },
        )
        return out

    return run_round


def logged(number):
    text, output = personal(number)
    said = words(random.Random(number), 14)
    return CoverageRow(f"log-{number}", f"{said} {text}", output, "logged", (f"by@{DOMAIN}",))


def texts_of(folder):
    """The text of every file, unpacked."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = path.read_bytes()
        if path.suffix == ".gz":
            data = gzip.decompress(data)
        if path.suffix == ".parquet":
            data = str(pyarrow.parquet.read_table(io.BytesIO(data)).to_pylist()).encode()
        found[str(path.relative_to(folder))] = data.decode("utf-8", "replace")
    return found


def planted_in(text):
    text = WITHOUT_SIGNS.sub("", text.lower())
    return {kind for kind, values in PLANTED.items() if any(value in text for value in values)}


def kind_of(body):
    """What a request asks for: the name of its schema, or vectors."""
    return "vectors" if "input" in body else body["response_format"]["json_schema"]["name"]


def test_nothing_personal_is_sent_written_or_pushed(run_round, server):
    out = run_round(PrivacySettings(redact=True))
    asked = {kind_of(body) for body in server.bodies}
    assert {"vectors", "LeakVerdict", "QualityScore", "Answer", "Verdict"} < asked
    for body in server.bodies:
        assert planted_in(json.dumps(body)) == set(), body
    files = texts_of(out)
    assert {name: kinds for name, text in files.items() if (kinds := planted_in(text))} == {}

    # Every step had placeholders before it: prompts, answers, judge, leak judge, vectors.
    with_placeholders = {kind_of(b) for b in server.bodies if "[IBAN_1]" in json.dumps(b)}
    assert with_placeholders == asked
    trained = read_examples(str(out / "synthetic"), "train")
    kept = [row for row in trained if json.loads(row["provenance"])["source"] == "logged"]
    assert kept
    for row in kept:
        assert "[EMAIL_1]" in row["prompt"]
        assert json.loads(row["output"]) == {
            "mail": "[EMAIL_1]", "phone": "[PHONE_1]", "iban": "[IBAN_1]",
        }  # fmt: skip
    pushed = [
        text for name, text in files.items() if name.startswith("hub") and "[EMAIL_1]" in text
    ]
    assert len(pushed) >= 3, "rows, verdicts and the card"


@pytest.mark.slow
def test_without_redaction_the_same_look_finds_all_of_it_in_each_kind_of_request(run_round, server):
    out = run_round(PrivacySettings())
    found = {kind: set() for kind in map(kind_of, server.bodies)}
    for body in server.bodies:
        found[kind_of(body)] |= planted_in(json.dumps(body))
    assert all(kinds == set(PLANTED) for kinds in found.values()), found
    files = {name for name, text in texts_of(out).items() if planted_in(text) == set(PLANTED)}
    assert {name.partition("/")[0] for name in files} >= {"coverage", "synthetic", "report", "hub"}
