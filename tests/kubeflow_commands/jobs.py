"""What becomes of the jobs of a loop, and what the loop keeps of them."""

import json

from core.usage import Usage
from tests import records

SECRET = "projects/team/secrets/hf-token/versions/1"
RATES = {1: 40.0, 2: 62.5, 3: 81.0}
REGISTRY_PATH = "team/understudy/pipeline"


def vertex_settings(cloud, **values):
    """Return the flags of a team's project; a value of None leaves a setting out."""
    settings = {
        "service_llm.vertex_project": "team",
        "vertex.project": "team",
        "vertex.pipeline_root": "gs://team-bucket/pipelines",
        "vertex.image": f"{cloud.host}/{REGISTRY_PATH}:1",
        "vertex.trainer_image": f"{cloud.host}/{REGISTRY_PATH}:1-cuda",
        "vertex.secrets": f"{{HF_TOKEN: {SECRET}}}",
        **{key.replace("__", "."): value for key, value in values.items()},
    }
    return [f"--set={key}={value}" for key, value in settings.items() if value is not None]


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
        "Exporter": {"exports": {}},
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
    usage, same = Usage(5, 10, 10, 0.25), records.rate(3, 4, 30.1, 95.4)
    models = {"tuned": records.rates(same, same, same)}
    for file, record in (
        ("SynthDataGen/synthetic/synthesis.json", records.synthesis_record(usage=usage)),
        (
            "LLMEvaluator/report/coverage_report.json",
            records.coverage_report(models, usage=usage),
        ),
    ):
        name = f"{folder}/{file}"
        cloud.buckets["team-bucket"][name] = record.to_json().encode()
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
