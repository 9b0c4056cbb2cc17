"""A limiter and a service in simulated time."""

import heapq
import math
import random

from standin.quota import Quota

CHARACTERS = 400  # of a prompt: 100 tokens
MAX_OUTPUT_TOKENS = 2048


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class WindowServer:
    """A service with a sliding window, which counts requests when they arrive."""

    def __init__(self, clock, per_minute=None, tokens=None):
        self.quota = Quota(per_minute, tokens, clock)
        self.refused = 0

    def wait_for(self, tokens):
        wait = self.quota.admit(tokens)
        self.refused += wait > 0
        return wait


def simulate(limiter, clock, server, *, latency, seconds, reply=lambda number: (100, 100),
             first_delay=0.0, jitter=0.0, count=math.inf, watch=lambda: None):  # fmt: skip
    """Runs requests as fast as the limiter lets them; returns when each was answered.

    `reply` gives a reply's prompt and output tokens; `first_delay` is how much longer the first
    request needs to arrive, and `jitter` how much longer any of them at most. `server.wait_for`
    gives 0 for a request that is let through, else what it asks to wait, None for nothing; `watch`
    is called at every event.
    """
    rng = random.Random(0)
    start, sent, answered, events = clock.now, 0, [], []

    def happen(seconds, *event):
        heapq.heappush(events, (clock.now + seconds, *event))

    while clock.now < start + seconds and len(answered) < count:
        expected = limiter.expected_tokens(CHARACTERS, MAX_OUTPUT_TOKENS)
        pause = limiter.try_acquire(expected)
        if pause == 0:
            sent += 1
            delay = first_delay if sent == 1 else rng.uniform(0, jitter)
            happen(delay, sent, "arrives", expected, clock.now, 0.0)
            continue
        due = events[0][0] if events else math.inf
        clock.now = min(due, clock.now + max(pause, 1e-6))
        if clock.now < due:
            continue
        _, number, kind, expected, sent_at, wait = heapq.heappop(events)
        watch()
        tokens = reply(number)
        if kind == "arrives":
            wait = server.wait_for(sum(tokens))
            happen(
                0.01 if wait != 0 else latency * rng.uniform(0.8, 1.2),
                number,
                "ends",
                expected,
                sent_at,
                wait,
            )
        elif wait != 0:
            limiter.quota_exceeded(sent_at, wait)
            limiter.ended(expected)
        else:
            answered.append(clock.now)
            succeed(limiter, sent_at=sent_at, expected=expected, tokens=tokens)
            limiter.ended(expected)
    return answered


def succeed(limiter, *, sent_at=None, expected=200, tokens=(100, 100)):
    limiter.succeeded(
        sent_at=limiter.now() if sent_at is None else sent_at,
        expected_tokens=expected,
        prompt_characters=CHARACTERS,
        prompt_tokens=tokens[0],
        output_tokens=tokens[1],
    )


def warm(limiter):
    """As it is after the first reply."""
    assert limiter.try_acquire(0) == 0
    succeed(limiter)
    limiter.ended(0)
