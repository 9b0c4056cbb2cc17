"""The names of the files in artifacts and in a run's output folder, one place for all rooms."""

# Responses
RESPONSES = "responses.jsonl"
GENERATION_TIMES = "generation_times.json"

# CoverageReport and ModelBlessing
COVERAGE_REPORT = "coverage_report.json"
VERDICTS = "verdicts.jsonl"
TEST_VERDICTS = "test_verdicts.jsonl"  # of the split that is judged once
EVALUATION_PAGE = "evaluation.html"
BLESSED = "BLESSED"
NOT_BLESSED = "NOT_BLESSED"

# Synthetic Examples
ATTRIBUTES = "attributes.yaml"
QUARANTINE = "quarantine.jsonl"
SYNTHESIS = "synthesis.json"
CARD = "README.md"  # also that of a pushed repository
DATASET_PAGE = "index.html"

# Model and Exports
SERVING_FOLDER = "Format-Serving"  # TFX's `path_utils.serving_model_dir`
TRAINING = "training.json"
GENERATION = "generation.json"
CHECKSUMS = "SHA256SUMS"  # as `sha256sum --check` reads it
ADAPTER = "adapter.lora.h5"
PRESET_FOLDER = "preset"
EXPORTS = "exports.json"

# PushedModel and the repositories
PUSHED = "pushed.json"
MARKER = "understudy.json"
SPACE = "space.json"

# The output folder of a local run
SUMMARY = "summary.json"
RUN_PAGE = "report.html"
PREVIOUS_RUN_PAGE = "report.previous.html"  # of the run before, once another one has started
LOG = "run.log"
CONFIDENCE = "serving/confidence.json"
SWEEP = "sweep.json"
VERDICT = "verdict.json"
VERDICT_PAGE = "verdict.html"
CUTOVER = "cutover.json"
CANDIDATES = "candidates.jsonl"
WATCH = "watch.json"
WATCH_PAGE = "watch.html"
