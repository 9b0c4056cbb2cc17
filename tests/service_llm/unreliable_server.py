"""A service that stalls, resets connections and lies about its quota: `python -m` prints its URL.

What becomes of a request depends on its prompt and on how often that came, so every request is
answered in the end.
"""

import asyncio
import json
import random
from collections import Counter

from aiohttp import web

from tests.published import note, refusal_of

STALL_SECONDS = 60  # longer than any client of the tests waits
_LIES = (
    {},  # no time to wait, as where capacity is shared
    {"Retry-After": "0"},
    {"Retry-After": "-5"},
    {"Retry-After": "0.05"},
    {"Retry-After": "Thu, 01 Jan 1970 00:00:00 GMT"},
    {"Retry-After": "soon"},
)
_TOO_MANY = "Quota exceeded: 0 of 1000000 requests per minute were used."
_asked = Counter()


async def answer(request):
    raw = await request.read()
    note(refusal_of(request.path, raw))
    body = json.loads(raw)
    prompt = body["contents"][0]["parts"][0]["text"]
    _asked[prompt] += 1
    rng = random.Random(f"{prompt}/{_asked[prompt]}")
    fate = rng.random()
    if fate < 0.0005:
        await asyncio.sleep(STALL_SECONDS)
    if fate < 0.01:
        request.transport.abort()
        return web.Response()
    if fate < 0.0125:
        return _error(429, "RESOURCE_EXHAUSTED", _TOO_MANY, rng.choice(_LIES))
    if fate < 0.02:
        return _error(503, "UNAVAILABLE", "overloaded")
    if fate < 0.025:  # a reply that is cut off in the middle
        response = web.StreamResponse(headers={"Content-Length": "500"})
        await response.prepare(request)
        await response.write(b'{"candidates": [')
        request.transport.abort()
        return response
    if fate < 0.03:
        return web.Response(body=b"\x00\xff<html>" * rng.randrange(200))
    text = json.dumps({"word": prompt})
    reply = {
        "candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}],
        "usageMetadata": {"promptTokenCount": 10, "candidatesTokenCount": 5},
        "modelVersion": "unreliable-1",
    }
    return web.json_response(reply)


def _error(code, status, message, headers=None):
    body = {"error": {"code": code, "status": status, "message": message}}
    return web.json_response(body, status=code, headers=headers)


async def main():
    application = web.Application()
    application.router.add_post("/{path:.*}", answer)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    print(f"http://127.0.0.1:{runner.addresses[0][1]}", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main())
