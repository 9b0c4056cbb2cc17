"""`check --online`: one request of each kind, and what had to be adapted, over HTTP."""

import dataclasses
import json

import pytest

from components.synth_data_gen.schemas import AttributeSets, LeakVerdict, ProposedConversations
from core.errors import UserError
from judging.schemas import Verdict, Verdicts
from pipeline.config import load_config
from pipeline.local.standin_server import standin_if_wanted
from pipeline.online_check import check_online, probes_of
from service_llm.probe import Probe, send_probes
from service_llm.settings import ServiceLLMSettings
from service_llm.types import Request
from task.coverage.reader import read_coverage
from tests.service_llm.conftest import ScriptedServer, Word, gemini_reply, openai_reply

REPLIES = {
    "verdicts": '{"verdicts": []}',
    "number": '{"messages": [{"number": 1, "message": "a"}]}',
    "persona": json.dumps({name: ["a"] for name in AttributeSets.model_fields}),
    "own_output": '{"own_output": "a", "difference": "none", "reason": "r", "score": 4}',
    "output": '{"output": "a"}',
    "similarity": '{"reason": "r", "similarity": 5, "correctness_a": 5, "correctness_b": 5}',
}  # fmt: skip
KINDS = ["attributes", "prompts", "answer", "score", "judge", "baseline answer"]


@pytest.fixture
def server():
    server = ScriptedServer()
    server.respond = lambda body, number: good(body)
    yield server
    server.close()


def good(body):
    """What the schema of the request asks for."""
    text = json.dumps(body)
    name = next(name for name in REPLIES if f'"{name}"' in text or f'\\"{name}\\"' in text)
    return openai_reply(REPLIES[name])


@pytest.fixture
def config(server):
    def make(*overrides, url=None):
        price = "{prompt_usd_per_million_tokens: 1, output_usd_per_million_tokens: 2}"
        return load_config(
            "openai-compatible",
            [
                f"service_llm.base_url={url or server.url + '/v1'}",
                f"service_llm.price={price}",
                "service_llm.retry_seconds=0.01",
                "service_llm.max_attempts=2",
                "synth.quality_filter=true",
                *overrides,
            ],
            environ={},
        )

    return make


def test_every_kind_is_sent_once_priced_and_shown(config, server):
    told = check_online(config())
    assert [line.split(":")[0].strip() for line in told.splitlines() if ": works" in line] == KINDS
    assert len(server.bodies) == len(KINDS)
    assert told.count("7 + 3 tokens, 0.00001 USD, answered by local-1\n") == len(KINDS)
    assert '{"output": "a"}' in told
    assert told.endswith("6 replies, 0.00008 USD in all.")


def test_a_model_that_another_one_answers_for_is_warned_of(config, server):
    server.respond = lambda body, number: (200, good(body)[1] | {"model": "gpt-4o-mini"})
    told = check_online(config("service_llm.model=gpt-4o"))
    assert told.count("answered by gpt-4o-mini. Warning: this is another model") == len(KINDS)


def test_the_cost_of_replies_whose_tokens_are_not_counted_is_estimated(config, server):
    def respond(body, number):
        status, reply = good(body)
        return status, {name: value for name, value in reply.items() if name != "usage"}

    server.respond = respond
    told = check_online(config())
    assert told.count("tokens not counted by the service, 0.0") == len(KINDS)
    assert "service, 0.00000 USD" not in told


def test_the_offline_preset_is_checked_against_the_stand_in():
    config = load_config("offline", environ={})
    with standin_if_wanted(config):
        told = check_online(config)
    assert told.count(": works") == 6
    assert "0.00000 USD in all" in told


def test_what_had_to_be_adapted_is_told(config, server):
    def respond(body, number):
        for name in ("temperature", "max_tokens", "response_format"):
            is_schema = body.get("response_format", {}).get("type") == "json_schema"
            if name in body and (name != "response_format" or is_schema):
                error = {"message": f"'{name}' is not supported", "param": name, "code": None}
                return 400, {"error": error}
        return good(body)

    server.respond = respond
    told = check_online(config())
    assert told.count(": works, without temperature and max_tokens and response_format") == 6
    assert len(server.bodies) == 3 + 6


@pytest.mark.parametrize(
    ("text", "told_of_it"),
    [
        (
            "max_tokens is too large: this model supports at most 1000 completion tokens.",
            "more than 1000 output tokens",
        ),
        (
            "This model's maximum context length is 4000 tokens and your request has 3000 input "
            "tokens.",
            "more than 4000 tokens of prompt and reply",
        ),
    ],
    ids=["output", "context"],
)
@pytest.mark.parametrize("provider", ["gemini", "openai"])
def test_a_limit_of_tokens_that_was_learned_is_told(server, provider, text, told_of_it):
    reply = {"gemini": gemini_reply, "openai": openai_reply}[provider]('{"word": "a"}')
    server.respond = lambda body, number: (
        (400, {"error": {"code": 400, "message": text}}) if number == 1 else reply
    )
    settings = ServiceLLMSettings(provider=provider, model="m", base_url=server.url)
    (result,) = send_probes(settings, [Probe("word", Request("a", Word))])
    assert (result.problem, result.adaptations) == ("", (told_of_it,))


def test_a_wrong_address_fails_with_the_address_to_set(config, server):
    server.respond = lambda body, number: (
        200,
        {"error": "Unexpected endpoint or method. (POST /chat/completions)"},
    )
    with pytest.raises(UserError, match=rf"like {server.url}/v1\.") as raised:
        check_online(config(url=server.url))
    assert str(raised.value).count(": FAILED") == 6
    assert "0 replies, 0.00000 USD in all." in str(raised.value)
    assert "would fail or lose rows at: attributes, prompts" in str(raised.value)


@pytest.mark.parametrize(
    ("reply", "problem"),
    [
        (openai_reply("Sure! Here you go."), "cannot be read as JSON of the schema"),
        (openai_reply('{"output": "', "length"), "cut off at its limit of tokens"),
        ((503, {"error": {"message": "Loading model"}}), "503 Loading model"),
        ((401, {"error": {"message": "No key"}}), "401 No key"),
    ],
    ids=["prose", "cut", "503", "401"],
)
def test_what_does_not_work_is_told_kind_by_kind(config, server, reply, problem):
    server.respond = lambda body, number: (
        reply if '"similarity"' in json.dumps(body) else good(body)
    )
    with pytest.raises(UserError, match=problem) as raised:
        check_online(config())
    assert str(raised.value).count(": works") == 5
    assert "  judge: FAILED" in str(raised.value)
    assert str(raised.value).endswith("lose rows at: judge.")


def test_judge_and_embedder_are_asked_by_their_own_settings(config, server):
    judge = ScriptedServer()
    judge.respond = lambda body, number: good(body)
    values = f"provider: openai, model: big, base_url: {judge.url}/v1"
    told = check_online(config(f"judge={{{values}}}"))
    judge.close()
    assert [len(server.bodies), len(judge.bodies)] == [5, 1]
    assert "judge: big (openai)" in told
    assert "unknown price" in told


def test_an_embedder_is_asked_for_one_vector(config, server):
    embedder = ScriptedServer()
    embedder.respond = lambda body, number: (
        200,
        {
            "object": "list",
            "model": "local-embedding",
            "data": [{"object": "embedding", "index": 0, "embedding": [1.0, 0.5]}],
            "usage": {"prompt_tokens": 3, "total_tokens": 3},
        },
    )
    values = f"provider: openai, model: local-embedding, base_url: {embedder.url}/v1"
    told = check_online(config(f"embedder={{{values}}}"))
    embedder.close()
    assert [len(server.bodies), len(embedder.bodies)] == [6, 1]
    assert "embedder: local-embedding (openai)" in told
    assert "  embedding: works" in told
    embedder = f"{{{values.removesuffix('/v1')}}}"
    with pytest.raises(UserError, match="embedding: FAILED"):
        check_online(config(f"embedder={embedder}"))


def test_the_judge_is_asked_about_a_leak_where_a_run_would_ask_it(config):
    asked = config("synth.leak_judge=true", "judge={provider: openai, model: big}")
    rows = read_coverage(asked.coverage_dir)
    schemas = {p.kind: p.request.schema for p in probes_of(asked, rows)["judge"]}
    assert schemas == {"leak judge": LeakVerdict, "judge": Verdict}
    assert not any("leak" in p.kind for some in probes_of(config(), rows).values() for p in some)


def with_references(rows, count):
    """The first rows with another right answer, longer than those without."""
    return [
        dataclasses.replace(row, references=("zweitens",)) if number < count else row
        for number, row in enumerate(sorted(rows, key=lambda row: -len(row.prompt)))
    ]


@pytest.mark.parametrize(
    ("overrides", "count", "kinds"),
    [
        ([], 0, {"judge": Verdict}),
        ([], 3, {"judge": Verdict, "judge of several right answers": Verdict}),
        ([], None, {"judge of several right answers": Verdict}),
        (["evaluator.rows_per_request=4"], 0, {"judge of several rows": Verdicts}),
        (
            ["evaluator.rows_per_request=4"],
            3,
            {"judge of several rows": Verdicts, "judge of several right answers": Verdict},
        ),
    ],
    ids=["alone", "references", "references alone", "rows", "rows and references"],
)
def test_the_judge_is_asked_in_each_way_in_which_a_run_asks_it(config, overrides, count, kinds):
    asked = config(*overrides)
    rows = read_coverage(asked.coverage_dir)
    rows = with_references(rows, len(rows) if count is None else count)
    probes = [p for p in probes_of(asked, rows)["service_llm"] if p.kind.startswith("judge")]
    assert {probe.kind: probe.request.schema for probe in probes} == kinds
    for probe in probes:
        is_several = probe.request.schema is Verdicts
        assert ("zweitens" in probe.request.prompt) == probe.kind.endswith("right answers")
        assert probe.request.max_output_tokens == 2048 * (4 if is_several else 1)


def test_a_judge_of_several_rows_that_does_not_work_is_told(config, server):
    told = check_online(config("evaluator.rows_per_request=2"))
    assert "  judge of several rows: works" in told
    server.respond = lambda body, number: (
        openai_reply("{}") if '"verdicts"' in json.dumps(body) else good(body)
    )
    with pytest.raises(UserError, match="lose rows at: judge of several rows"):
        check_online(config("evaluator.rows_per_request=2"))


def test_conversations_are_proposed_where_a_run_would_propose_them(config):
    """However long they are beside the other rows."""
    asked = config()
    rows = read_coverage(asked.coverage_dir)
    seed = max((row for row in rows if row.split == "seed"), key=lambda row: len(row.prompt))
    turns = '{"role": "user", "content": "%s"}' % ("a" * 500)
    turns = f'[{turns}, {{"role": "assistant", "content": "b"}}, {turns}]'
    rows = [dataclasses.replace(row, prompt=turns) if row is seed else row for row in rows]
    schemas = [probe.request.schema for probe in probes_of(asked, rows)["service_llm"]]
    assert ProposedConversations in schemas


def test_requests_are_small(config):
    asked = config()
    probes = probes_of(asked, read_coverage(asked.coverage_dir)).values()
    assert sum(len(probe.request.prompt) for some in probes for probe in some) < 20_000


def test_what_a_run_would_redact_is_not_sent(config, server, tmp_path):
    rows = [
        {"id": f"r{n}", "prompt": f"Mail anna{n}@mail.example about {n}", "output": "ok",
         "split": split}
        for n, split in enumerate(["seed", "seed", "holdout", "holdout"])
    ]  # fmt: skip
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    check_online(config(f"coverage_dir={tmp_path}", "privacy.redact=true"))
    assert len(server.bodies) == len(KINDS)
    assert "mail.example" not in json.dumps(server.bodies)
