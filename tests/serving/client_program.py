"""An application with a client of its own environment; it imports nothing of the project.

`python client_program.py CLIENT URL MODEL INSTRUCTION PROMPT` prints who answered each way of
asking, as JSON.
"""

import asyncio
import json
import sys


def ask_google_genai(url, model, instruction, prompt):
    from google import genai
    from google.genai import types

    client = genai.Client(api_key="a-key", http_options={"base_url": url})
    config = types.GenerateContentConfig(system_instruction=instruction)
    schema = {"type": "OBJECT", "properties": {"category": {"type": "STRING"}}}
    structured = types.GenerateContentConfig(
        system_instruction=instruction,
        response_mime_type="application/json",
        response_schema=schema,
    )
    asked = {"model": model, "contents": prompt}

    def joined(chunks):
        chunks = list(chunks)
        return "".join(chunk.text or "" for chunk in chunks), chunks[-1].model_version

    whole = client.models.generate_content(**asked, config=config)
    shaped = client.models.generate_content(**asked, config=structured)
    streamed = joined(client.models.generate_content_stream(**asked, config=config))

    async def work():
        answer = await client.aio.models.generate_content(**asked, config=config)
        stream = await client.aio.models.generate_content_stream(**asked, config=config)
        return answer, [chunk async for chunk in stream]

    answer, chunks = asyncio.run(work())
    on_vertex = vertex_client(url, project="p-1", location="europe-west4")
    of_vertex = on_vertex.models.generate_content(**asked, config=config)
    return {
        "whole": [whole.text, whole.model_version],
        "structured": [shaped.text, shaped.model_version],
        "stream": streamed,
        "async": [answer.text, answer.model_version],
        "async stream": joined(chunks),
        "vertex": [of_vertex.text, of_vertex.model_version],
        "vertex stream": joined(on_vertex.models.generate_content_stream(**asked, config=config)),
        "vertex without a project": refused(vertex_client(url), asked),
    }


def vertex_client(url, **place):
    import google.auth.credentials
    from google import genai

    class Token(google.auth.credentials.Credentials):
        def refresh(self, request):
            self.token = "ya29.token"

    options = {"base_url": url, "headers": {"Authorization": "Bearer ya29.token"}}
    own = {"credentials": Token(), **place} if place else {}
    return genai.Client(vertexai=True, http_options=options, **own)


def refused(client, asked):
    """What the gateway says to a client that it cannot serve."""
    from google.genai import errors

    try:
        answer = client.models.generate_content(**asked)
    except errors.ClientError as error:
        return [str(error.message), "refused"]
    return [answer.text, answer.model_version]


def ask_openai(url, model, instruction, prompt):
    import openai

    messages = [
        {"role": "system", "content": instruction},
        {"role": "user", "content": prompt},
    ]
    asked = {"model": model, "messages": messages}
    options = {"base_url": f"{url}/v1", "api_key": "a-key", "max_retries": 0}
    client = openai.OpenAI(**options)
    schema = {"type": "object", "properties": {"category": {"type": "string"}}}
    shape = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}

    def joined(chunks):
        chunks = list(chunks)
        pieces = [choice.delta.content or "" for chunk in chunks for choice in chunk.choices]
        return "".join(pieces), chunks[0].model

    whole = client.chat.completions.create(**asked)
    shaped = client.chat.completions.create(**asked, response_format=shape)
    streamed = joined(client.chat.completions.create(**asked, stream=True))

    async def work():
        async with openai.AsyncOpenAI(**options) as own:
            answer = await own.chat.completions.create(**asked)
            stream = await own.chat.completions.create(**asked, stream=True)
            return answer, [chunk async for chunk in stream]

    answer, chunks = asyncio.run(work())
    return {
        "whole": [whole.choices[0].message.content, whole.model],
        "structured": [shaped.choices[0].message.content, shaped.model],
        "stream": streamed,
        "async": [answer.choices[0].message.content, answer.model],
        "async stream": joined(chunks),
    }


if __name__ == "__main__":
    client, *arguments = sys.argv[1:]
    ask = ask_openai if client.startswith("openai") else ask_google_genai
    print(json.dumps(ask(*arguments)))
