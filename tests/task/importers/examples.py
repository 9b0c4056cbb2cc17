"""Rows of every shape, written for these tests after the documentation of each.

The address of the documentation stands in the shape's entry of the registry, and is checked there.
"""

import json

PROMPTS = [
    "My lamp arrived broken.",
    "Where is my parcel?",
    "How do I reset my password?",
    "I was charged twice.",
    "The kettle leaks.",
    "Please delete my account.",
]
ANSWERS = ["defect", "shipping", "account", "billing", "defect", "account"]
CHATS = list(zip(PROMPTS, ANSWERS, strict=True))
SYSTEM = "Sort the message."


def openai(question, answer, **extra):
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": question},
            {"role": "assistant", "content": answer},
        ]
    } | extra


def chat_completion(answer):
    message = {"role": "assistant", "content": answer, "refusal": None, "tool_calls": None}
    choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "gpt-4.1",
        "choices": [choice],
    }


def asked(question):
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": question}]


def langchain(kind, content):
    return {
        "lc": 1,
        "type": "constructor",
        "id": ["langchain", "schema", "messages", f"{kind}Message"],
        "kwargs": {"content": content, "type": kind.lower(), "tool_calls": []},
    }


def otlp_value(value):
    return {"stringValue": value}


def otlp_span(number, attributes, name="chat gemini-2.5-flash"):
    return {
        "traceId": f"{number:032x}",
        "spanId": f"{number:016x}",
        "name": name,
        "kind": 3,
        "attributes": [{"key": key, "value": otlp_value(v)} for key, v in attributes.items()],
    }


def text_parts(text):
    return [{"type": "text", "content": text}]


def otel_attributes(question, answer):
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.conversation.id": f"c-{question}",
        "gen_ai.system_instructions": json.dumps(text_parts(SYSTEM)),
        "gen_ai.input.messages": json.dumps([{"role": "user", "parts": text_parts(question)}]),
        "gen_ai.output.messages": json.dumps(
            [{"role": "assistant", "parts": text_parts(answer), "finish_reason": "stop"}]
        ),
    }


def otlp(all_spans):
    return {"resourceSpans": [{"resource": {}, "scopeSpans": [{"scope": {}, "spans": all_spans}]}]}


# By shape: the rows. Each gives the pairs of CHATS, with or without the system message.
ROWS = {
    "understudy": [
        {"prompt": q, "output": a, "id": f"r{n}", "tags": ["en"]} for n, (q, a) in enumerate(CHATS)
    ],
    "alpaca": [{"instruction": SYSTEM, "input": q, "output": a} for q, a in CHATS],
    "dolly": [
        {"instruction": q, "context": "", "response": a, "category": "classification"}
        for q, a in CHATS
    ],
    "sharegpt": [
        {
            "system": SYSTEM,
            "conversations": [{"from": "human", "value": q}, {"from": "gpt", "value": a}],
        }
        for q, a in CHATS
    ],
    "openai-messages": [openai(q, a) for q, a in CHATS],
    "openai-preference": [
        {
            "input": {"messages": asked(q), "tools": [], "parallel_tool_calls": True},
            "preferred_output": [{"role": "assistant", "content": a}],
            "non_preferred_output": [{"role": "assistant", "content": "no idea"}],
        }
        for q, a in CHATS
    ],
    "preference": [
        {"prompt": asked(q), "chosen": [{"role": "assistant", "content": a}], "rejected": "no"}
        for q, a in CHATS
    ],
    "gemini-tuning": [
        {
            "systemInstruction": {"role": "system", "parts": [{"text": SYSTEM}]},
            "contents": [
                {"role": "user", "parts": [{"text": q}]},
                {"role": "model", "parts": [{"text": a}]},
            ],
        }
        for q, a in CHATS
    ],
    "prompt-completion": [{"prompt": q, "completion": f" {a}"} for q, a in CHATS],
    "input/output": [{"input": q, "output": a} for q, a in CHATS],
    "question/answer": [{"question": q, "answer": a} for q, a in CHATS],
    "text_input/output": [{"text_input": q, "output": a} for q, a in CHATS],
    "openai-stored-completions": [
        chat_completion(a) | {"messages": asked(q), "metadata": {"session_id": q[:3]}}
        for q, a in CHATS
    ],
    "litellm": [
        {
            "id": f"chatcmpl-{n}",
            "trace_id": f"t{n}",
            "call_type": "acompletion",
            "status": "success",
            "model_group": "gemini-flash",
            "request_tags": ["prod"],
            "messages": asked(q),
            "response": chat_completion(a),
        }
        for n, (q, a) in enumerate(CHATS)
    ],
    "langfuse": [
        {
            "id": f"o{n}",
            "traceId": f"t{n}",
            "type": "GENERATION",
            "level": "DEFAULT",
            "sessionId": f"s{n // 2}",
            "input": asked(q),
            "output": {"role": "assistant", "content": a},
        }
        for n, (q, a) in enumerate(CHATS)
    ],
    "langsmith": [
        {
            "id": f"run-{n}",
            "run_type": "llm",
            "trace_id": f"t{n}",
            "session_id": "the-project",
            "tags": ["prod"],
            "error": None,
            "extra": {"metadata": {"thread_id": f"s{n // 2}"}},
            "inputs": {"messages": [[langchain("System", SYSTEM), langchain("Human", q)]]},
            "outputs": {"generations": [[{"text": a, "message": langchain("AI", a)}]]},
        }
        for n, (q, a) in enumerate(CHATS)
    ],
    "helicone": [
        {
            "request_id": f"h{n}",
            "request_body": {"model": "gpt-4o", "messages": asked(q)},
            "response_body": chat_completion(a),
            "response_status": 200,
            "request_properties": {"Helicone-Session-Id": f"s{n // 2}", "plan": "free"},
        }
        for n, (q, a) in enumerate(CHATS)
    ],
    "opentelemetry": [
        otlp([otlp_span(n, otel_attributes(q, a)) for n, (q, a) in enumerate(CHATS)])
    ],
    "openinference": [
        {
            "name": "generate_content",
            "span_kind": "LLM",
            "status_code": "OK",
            "context.span_id": f"{n:016x}",
            "context.trace_id": f"t{n // 2}",
            "attributes.openinference.span.kind": "LLM",
            "attributes.llm.model_name": "gemini-2.5-flash",
            "attributes.llm.input_messages": [
                {"message.role": m["role"], "message.content": m["content"]} for m in asked(q)
            ],
            "attributes.llm.output_messages": [{"message.role": "model", "message.content": a}],
            "attributes.input.value": json.dumps({"messages": asked(q)}),
            "attributes.output.value": a,
        }
        for n, (q, a) in enumerate(CHATS)
    ],
    "capture": [
        {
            "schema_version": 1,
            "id": f"x{n}",
            "time": "2026-11-02T10:00:00Z",
            "task": "sort",
            "protocol": "gemini",
            "stream": False,
            "session": f"s{n // 2}",
            "messages": [{"role": "system", "text": SYSTEM}, {"role": "user", "text": q}],
            "service": {
                "text": a,
                "status": 200,
                "milliseconds": 812,
                "first_byte_milliseconds": 300,
                "usage": {"prompt_tokens": 30, "output_tokens": 3},
                "model_version": "gemini-2.5-flash-001",
            },
            "model": None,
            "served_by": "service",
            "reason": "ok",
        }
        for n, (q, a) in enumerate(CHATS)
    ],
}
