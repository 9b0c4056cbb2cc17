"""Tuned models behind llama.cpp's server: started, asked, killed, exchanged, retired."""

import asyncio
import http.server
import json
import os
import signal
import subprocess
import sys
import threading

import httpx
import pytest
import yaml

from core.conversation import chat_messages
from core.errors import UserError
from core.families import GEMMA
from pipeline.serving import served_presets
from serving.gateway.checks import contract_problem
from serving.gateway.task import Message
from serving.model.host import TunedModels
from tests.published import note, refusal_of
from tests.serving.conftest import INSTRUCTION, ROOT, add_round, preset_of
from tests.serving.pairs import PAIRS


async def ask(task, message, max_tokens=48):
    body = {
        "model": task.api_model,
        "messages": chat_messages(message),
        "max_tokens": max_tokens,
        "temperature": 0,
    }
    async with httpx.AsyncClient(timeout=60) as client:
        reply = await client.post(f"{task.base_url}/chat/completions", json=body)
    return reply.raise_for_status().json()


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.02)


def serving(folder, work, **settings):
    """Runs `work(models, task)` on the tuned model of a run."""
    states = []

    async def run():
        models = TunedModels(
            [preset_of(folder, **settings)], lambda task, ready, reason: states.append(ready)
        )
        try:
            (task,) = await models.load(None)
            return await work(models, task)
        finally:
            await models.close()

    return asyncio.run(run()), states


def test_the_tuned_model_answers_as_it_was_trained(run_folder):
    async def work(models, task):
        return [await ask(task, prompt) for prompt, _ in PAIRS]

    replies, _ = serving(run_folder, work)
    texts = [reply["choices"][0]["message"]["content"] for reply in replies]
    assert texts == [output for _, output in PAIRS]


def test_the_task_says_what_the_gateway_needs_of_its_model(run_folder):
    async def work(models, task):
        return task

    task, _ = serving(run_folder, work)
    assert (task.round, task.context_length, task.max_output_tokens) == (1, 512, 48)
    assert task.turn_markers == GEMMA.markers
    assert task.learned_turns == 1
    assert task.samples == tuple(prompt for prompt, _ in PAIRS)
    assert len(task.hash) == 8


def test_tokens_are_counted_as_the_server_reads_them(run_folder):
    prompt = "my order <b>does</b> not work 😀"

    async def work(models, task):
        counted = await asyncio.to_thread(task.count_tokens, [Message("user", prompt)])
        return counted, await ask(task, prompt, 1)

    (counted, reply), _ = serving(run_folder, work)
    assert counted == reply["usage"]["prompt_tokens"]


def test_a_conversation_is_counted_as_the_server_reads_it(run_folder):
    turns = [("user", "my order"), ("assistant", "Which <end_of_turn> one?"), ("user", "the last")]
    prompt = json.dumps([{"role": role, "content": text} for role, text in turns])

    async def work(models, task):
        counted = await asyncio.to_thread(task.count_tokens, [Message(*turn) for turn in turns])
        return counted, await ask(task, prompt, 1)

    (counted, reply), _ = serving(run_folder, work)
    assert counted == reply["usage"]["prompt_tokens"]


def test_a_killed_server_comes_back_at_the_same_address(run_folder):
    async def work(models, task):
        first = models.pids(task.name)[-1]
        os.kill(first, signal.SIGKILL)
        await until(lambda: models.pids(task.name)[-1] not in (None, first))
        await until(lambda: models.is_ready(task.name))
        return await ask(task, PAIRS[0][0])

    reply, states = serving(run_folder, work)
    assert reply["choices"][0]["message"]["content"] == PAIRS[0][1]
    assert states == [True, False, True]


def test_a_hanging_server_is_replaced(run_folder, monkeypatch):
    monkeypatch.setattr("serving.model.supervisor._ALIVE_SECONDS", 0.1)

    async def work(models, task):
        first = models.pids(task.name)[-1]
        os.kill(first, signal.SIGSTOP)
        await until(lambda: models.pids(task.name)[-1] not in (None, first))
        await until(lambda: models.is_ready(task.name))
        return await ask(task, PAIRS[1][0])

    reply, _ = serving(run_folder, work)
    assert reply["choices"][0]["message"]["content"] == PAIRS[1][1]


def test_another_round_is_loaded_beside_the_first_and_the_first_retired(run_folder):
    add_round(run_folder, 2)

    async def work(models, task):
        (second,) = await models.load(2)
        both = [await ask(each, PAIRS[2][0]) for each in (task, second)]
        first_pid = models.pids(task.name)[0]
        await models.retire([task])
        await ask(second, PAIRS[2][0])
        return both, second, first_pid

    (both, second, first_pid), _ = serving(run_folder, work)
    assert {reply["choices"][0]["message"]["content"] for reply in both} == {PAIRS[2][1]}
    assert second.round == 2
    with pytest.raises(ProcessLookupError):
        os.kill(first_pid, 0)


def test_a_model_that_answers_otherwise_than_evaluated_is_refused(run_folder):
    file = run_folder / "tfx" / "report" / "verdicts.jsonl"
    rows = [json.loads(line) | {"response": "other"} for line in file.read_text().splitlines()]
    file.write_text("\n".join(map(json.dumps, rows)))

    async def work(models, task):
        raise AssertionError("it was served")

    with pytest.raises(UserError, match="Only 0 of 4 coverage prompts are answered as in the"):
        serving(run_folder, work)


def test_a_file_that_llama_cpp_cannot_load_says_so(run_folder):
    (run_folder / "tfx" / "exports" / "SHA256SUMS").unlink()
    file = run_folder / "tfx" / "exports" / "gguf" / "model.gguf"
    file.write_bytes(file.read_bytes()[:5000])

    async def work(models, task):
        raise AssertionError("it was served")

    with pytest.raises(UserError, match=r"ended with status 1 .*model-round-1\.log"):
        serving(run_folder, work)


def test_the_server_ends_with_its_parent(run_folder, tmp_path):
    # The parent is killed, so nothing of it can end the server.
    script = f"""
import asyncio, os, sys
from pathlib import Path
from serving.model.host import TunedModels
from tests.serving.conftest import preset_of

async def main():
    models = TunedModels([preset_of(Path({str(run_folder)!r}))])
    (task,) = await models.load(None)
    print(models.pids(task.name)[-1], flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
    parent = subprocess.Popen(
        [sys.executable, "-c", script], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    asyncio.run(until(lambda: not _lives(pid)))


def _lives(pid):
    try:
        return "Z" not in open(f"/proc/{pid}/stat").read().split(") ")[1][:1]
    except FileNotFoundError:
        return False


class _OtherServer(http.server.BaseHTTPRequestHandler):
    """An OpenAI-compatible server that tells neither tokens nor its context."""

    def do_GET(self):
        body = {"data": [{"id": "theirs"}]} if self.path == "/v1/models" else None
        self._send(body)

    def do_POST(self):
        raw = self.rfile.read(int(self.headers["Content-Length"]))
        reply = {
            "choices": [{"message": {"content": "hi"}, "finish_reason": "stop"}],
            "usage": {"prompt_tokens": 3},
        }
        is_chat = self.path == "/v1/chat/completions"
        if is_chat:
            note(refusal_of(self.path, raw))
        self._send(reply if is_chat else None)

    def _send(self, body):
        self.send_response(200 if body else 404)
        content = json.dumps(body).encode()
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *args):
        pass


@pytest.fixture
def other_server():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), _OtherServer)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


def test_anothers_server_needs_no_run_and_no_name(other_server, tmp_path):
    async def work(models, task):
        return task

    task, _ = serving(tmp_path, work, model={"url": other_server})
    assert (task.base_url, task.api_model, task.round) == (other_server, "theirs", 0)
    assert task.count_tokens([Message("user", "unknown")]) == 0


def test_anothers_server_that_serves_another_model_is_refused(other_server, run_folder):
    async def work(models, task):
        raise AssertionError("it was served")

    with pytest.raises(UserError, match=r"Only 0 of 4 .*serves another model"):
        serving(run_folder, work, model={"url": other_server})


SCHEMA = {"type": "object", "required": ["kind"], "properties": {"kind": {"enum": ["a", "b"]}}}


@pytest.fixture
def from_disk(other_server, tmp_path):
    """The task that is served of a preset in a file, with so many seeds."""

    def from_disk(seeds, **task):
        (tmp_path / "coverage").mkdir()
        rows = [
            {
                "id": f"p{number}",
                "prompt": f"Message {number}",
                "output": json.dumps({"kind": "ab"[number % 2], "total": number}),
                "split": "seed" if number < seeds else "holdout",
            }
            for number in range(seeds + 10)
        ]
        text = "\n".join(map(json.dumps, rows))
        (tmp_path / "coverage" / "rows.jsonl").write_text(text)
        values = {
            "extends": "smoke",
            "coverage_dir": str(tmp_path / "coverage"),
            "output_dir": str(tmp_path / "output"),
            "task": {"name": "kinds", "instruction": INSTRUCTION} | task,
            "service_llm": {"provider": "gemini", "model": "m", "base_url": "http://127.0.0.1:9"},
            "serving": {"model": {"url": other_server}},
        }
        (tmp_path / "kinds.yaml").write_text(yaml.safe_dump(values))

        async def load(presets):
            models = TunedModels(presets)
            try:
                return (await models.load(None))[0]
            finally:
                await models.close()

        with served_presets([str(tmp_path / "kinds.yaml")], []) as presets:
            return asyncio.run(load(presets))

    return from_disk


def test_the_schema_of_a_preset_is_the_contract_with_few_seeds_too(from_disk):
    task = from_disk(10, output_schema=SCHEMA)
    assert contract_problem(task, '{"kind": "c"}') == "$.kind breaks enum"
    assert contract_problem(task, "Sorry, no.") == "it is not JSON"
    assert contract_problem(task, '{"kind": "a"}') is None


def test_the_schema_of_a_preset_overrules_what_the_seeds_would_say(from_disk):
    task = from_disk(30, output_schema=SCHEMA)
    assert contract_problem(task, '{"kind": "a", "total": "three"}') is None
    assert contract_problem(task, '{"kind": "c"}')


@pytest.mark.parametrize(("seeds", "is_refused"), [(24, False), (25, True)])
def test_without_a_schema_25_seeds_make_the_contract(from_disk, seeds, is_refused):
    task = from_disk(seeds)
    assert bool(contract_problem(task, "Sorry, no.")) == is_refused
    assert contract_problem(task, '{"kind": "a", "total": 3}') is None
