"""What becomes of the jobs of a loop, and what the loop keeps of them."""

import json

SECRET = "projects/team/secrets/hf-token/versions/1"
RATES = {1: 40.0, 2: 62.5, 3: 81.0}
REGISTRY_PATH = "team/understudy/pipeline"


def finish(cloud, job, *, blessed_at=70.0):
    """Let a job be done at once, with the artifacts of a round."""
    number = job["runtimeConfig"]["parameterValues"]["round"]
    rate = RATES[number]
    folder = f"pipelines/{job['name'].rpartition('/')[2]}"
    outputs = {
        "SynthDataGen": {"synthetic": {}},
        "Trainer": {"model": {}},
        "LLMEvaluator": {
            "report": {"coverage_rate": rate, "round": number},
            "blessing": {"blessed": int(rate >= blessed_at)},
        },
        "HFPusher": {"pushed_model": {}},
    }
    details = [
        {
            "taskId": str(index),
            "taskName": name,
            "state": "SUCCEEDED",
            "outputs": {
                key: {
                    "artifacts": [
                        {"uri": f"gs://team-bucket/{folder}/{name}/{key}", "metadata": metadata}
                    ]
                }
                for key, metadata in artifacts.items()
            },
        }
        for index, (name, artifacts) in enumerate(outputs.items())
    ]
    for file in ("SynthDataGen/synthetic/synthesis", "LLMEvaluator/report/coverage_report"):
        name = f"{folder}/{file}.json"
        cloud.buckets["team-bucket"][name] = json.dumps({"usage": {"cost_usd": 0.25}}).encode()
        cloud.generations["team-bucket", name] = 1
    job["jobDetail"] = {"taskDetails": details}
    job["state"] = "PIPELINE_STATE_SUCCEEDED"


def fail(job, message):
    job["state"] = "PIPELINE_STATE_FAILED"
    job["jobDetail"] = {
        "taskDetails": [
            {"taskId": "1", "taskName": "SynthDataGen", "state": "SUCCEEDED"},
            {
                "taskId": "2",
                "taskName": "Trainer",
                "state": "FAILED",
                "error": {"code": 8, "message": message},
            },
        ]
    }


def state(cloud):
    return json.loads(cloud.buckets["team-bucket"]["pipelines/loops/support-triage/state.json"])
