"""Replies of a service LLM to every request of a run, by the schema that is asked for."""

import json
import random
import re

from tests.service_llm.conftest import openai_reply

_SYLLABLES = ("ba", "ke", "lo", "mi", "nu", "ra", "se", "ti", "vo", "zu", "pa", "do")


def words(rng, count):
    """Words of no language, so that no two texts are alike."""
    return " ".join("".join(rng.choices(_SYLLABLES, k=3)) for _ in range(count))


def scripted(outputs, is_good=lambda prompt, output: True):
    """Return a function for `ScriptedServer.respond`, which answers with the outputs of seeds.

    Args:
        outputs: Of the seeds.
        is_good: Whether a row has a good score, of its prompt and output.
    """

    def reply(body, number):
        rng = random.Random(number)
        properties = body["response_format"]["json_schema"]["schema"]["properties"]
        if "persona" in properties:
            value = {name: [f"{name} {n}" for n in range(3)] for name in properties}
        elif "messages" in properties:
            wanted = int(re.search(r"All (\d+) messages", body["messages"][-1]["content"])[1])
            value = {
                "messages": [{"number": n + 1, "message": words(rng, 40)} for n in range(wanted)]
            }
        elif "own_output" in properties:
            text = body["messages"][-1]["content"]
            asked, own = (
                re.search(rf"<{name} (\w+)>\n(.*?)\n</{name} \1>", text, re.DOTALL)[2]
                for name in ("prompt", "output")
            )
            score = 5 if is_good(asked, own) else 2
            value = {"own_output": own, "difference": "none", "reason": "Read.", "score": score}
        elif "same_as" in properties:
            value = {"reason": "They ask for different things.", "same_as": 0}
        elif "output" in properties:
            value = {"output": rng.choice(outputs)}
        else:
            scores = {name: 4 for name in properties if name != "reason"}
            value = {"reason": "They say the same.", **scores}
        return openai_reply(json.dumps(value))

    return reply
