"""Requests to the stand-in as its clients write them."""

import json

import httpx

KEY = "qwzkfp"
SCHEMAS = {
    "attributes": ["persona", "difficulty", "length", "tone", "format", "language", "edge_case"],
    "prompts": ["messages"],
    "answer": ["output"],
    "score": ["own_output", "difference", "reason", "score"],
    "judge": ["reason", "similarity", "correctness_a", "correctness_b"],
    "leak": ["reason", "same_as"],
}


def block(name, text, key=KEY):
    mark = f" {key}" if key else ""
    return f"<{name}{mark}>\n{text}\n</{name}{mark}>"


def output(category="defect", priority="normal", product="Nimbus Cam"):
    return json.dumps({"category": category, "priority": priority, "product": product})


def body(kind, *blocks, task="support_triage", key=KEY, **config):
    parts = [block("task", f"{task}\nTriage the message.", key), *blocks]
    properties = {name: {"type": "STRING"} for name in SCHEMAS[kind]}
    schema = {"responseMimeType": "application/json", "responseSchema": {"properties": properties}}
    return {
        "contents": [{"role": "user", "parts": [{"text": "\n\n".join(parts)}]}],
        "generationConfig": {**schema, **config},
    }


def answer_body(message, **config):
    return body("answer", block("message", message), **config)


def judge_body(prompt, answer_a, answer_b, key=KEY):
    texts = {"prompt": prompt, "answer_a": answer_a, "answer_b": answer_b}
    return body("judge", *(block(name, text, key) for name, text in texts.items()), key=key)


def leak_body(candidate, *tests):
    numbered = [block(f"test_message_{n}", text) for n, text in enumerate(tests, start=1)]
    return body("leak", block("candidate", candidate), *numbered)


def prompts_body(count=8, **config):
    outputs = (output(), output("billing", "high", None), output("how_to", "low", None))
    plan = [(n % 3 + 1, "two sentences") for n in range(count)]
    return body("prompts", examples_block(*outputs), plan_block(*plan), **config)


def examples_block(*outputs):
    lines = (f'{n}. "Hm." => {given}' for n, given in enumerate(outputs, start=1))
    return block("examples", "\n".join(lines))


def plan_block(*wanted):
    lines = (f"{n} | {like} | {length}" for n, (like, length) in enumerate(wanted, start=1))
    return block("plan", "\n".join(["number | like_example | length", *lines]))


def post(server, request, model="stand-in-demo"):
    url = f"{server.url}/v1beta/models/{model}:generateContent"
    return httpx.post(url, json=request, timeout=30)


def told(response):
    """The JSON object in a Gemini reply."""
    assert response.status_code == 200, response.text
    return json.loads(response.json()["candidates"][0]["content"]["parts"][0]["text"])
