"""The nodes of a round, on this machine and on Vertex AI."""

NODES = (
    "CoverageExampleGen",
    "SynthDataGen",
    "StatisticsGen",
    "SchemaGen",
    "ExampleValidator",
    "Transform",
    "Trainer",
    "ResponseGen",
    "BaseResponseGen",
    "FewShotResponseGen",
    "LLMEvaluator",
    "Exporter",
    "HFPusher",
)
