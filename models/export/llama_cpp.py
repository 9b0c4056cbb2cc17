"""Compares a GGUF file with the trained model in llama.cpp itself."""

import dataclasses
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import TypedDict

import numpy as np

from core.errors import ModelError
from models import data
from models.export.gguf_file import GGUF_FILE, GgufType
from models.export.verification import Prompt, Verification, Verifier, refusal

_ERROR_LINE = re.compile(r"[\d.]+ E |\w*Error\b")
_SERVER = Path(__file__).with_name("llama_cpp_server.py")
# Share of the largest logit. llama.cpp rounds to 8 bits of mantissa, or multiplies with activations
# of 8 bits; in float32 it still keeps some products in half precision.
_TOLERANCE = {"f32": 0.01, "bf16": 0.1, "q8_0": 0.15}


Step = list[tuple[int, float]] | None  # see `llama_cpp_server.LlamaCpp.next_token`


class _Answers(TypedDict):
    """What llama.cpp answers; see `llama_cpp_server.answer`."""

    tokens: list[list[int]]
    prompts: list[str]
    steps: list[list[Step]]


def verify_gguf(folder: Path, gguf_type: GgufType, verifier: Verifier) -> Verification:
    """Load a GGUF file in llama.cpp's server, in a process of its own.

    Tokens and chat template have to be those of the training; then llama.cpp is given the trained
    model's continuations and has to find each token the likeliest.

    Raises:
        ModelError: llama.cpp cannot load it, or it is another model.
    """
    found = _ask(folder / GGUF_FILE, verifier)
    verifier.check_tokens(folder.name, found["tokens"])
    if found["prompts"] != [prompt.formatted for prompt in verifier.fixed]:
        raise refusal(folder.name, "come with another chat template")
    logits = [
        _logits(prompt, steps, verifier.stops)
        for prompt, steps in zip(verifier.prompts, found["steps"], strict=True)
    ]
    tolerance = max(verifier.tolerance, _TOLERANCE[gguf_type])
    compared = verifier.compare(folder.name, logits, tolerance)
    unknown = sum(step == [] for steps in found["steps"] for step in steps)
    return dataclasses.replace(compared, tokens=compared.tokens - unknown)


def _logits(prompt: Prompt, steps: list[Step], stops: set[int]) -> data.Array:
    """Compute logits from the log probabilities of the likeliest tokens, at each position.

    A token that is not among them is less likely than each of them. Where llama.cpp ends the turn,
    all that is known is that one of the tokens that do is the likeliest; of a part of a character
    nothing is known.
    """
    found = np.array(prompt.logits)
    ends = sorted(stops)
    for logits, top in zip(found, steps, strict=True):
        if top is None:
            logits[ends[int(logits[ends].argmax())]] = logits.max()
            others = np.delete(np.arange(len(logits)), ends)
            logits[others] = np.minimum(logits[others], np.nextafter(logits[ends].max(), -np.inf))
            continue
        if not top:
            continue
        total = logits.max() + np.log(np.exp(logits - logits.max()).sum())
        ids = [token for token, _ in top]
        theirs = np.array([probability for _, probability in top]) + total
        np.minimum(logits, theirs.min(), out=logits)
        logits[ids] = theirs
    return found


def _reason(log: str) -> str:
    """Return llama.cpp's own error lines, or the last line of its log."""
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if _ERROR_LINE.match(line)]
    return " ".join(errors[:3] or lines[-1:])[:800]


def _ask(file: Path, verifier: Verifier) -> _Answers:
    request = {
        "file": str(file),
        "fixed": [[prompt.text, prompt.formatted] for prompt in verifier.fixed],
        "rows": [[prompt.tokens, prompt.continuation] for prompt in verifier.prompts],
    }
    done = subprocess.run(
        [sys.executable, str(_SERVER)],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise ModelError(
            f"llama.cpp cannot generate from the GGUF file: {_reason(done.stderr)} Leave gguf out "
            "of training.exports. The training is kept in its checkpoint and not repeated."
        )
    answer: _Answers = json.loads(done.stdout.splitlines()[-1])
    return answer
