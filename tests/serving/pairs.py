"""Coverage pairs that the two-layer Gemma of `tests.serving.tiny_run` memorizes."""

PAIRS = (
    ("my order does not work", '{"category": "defect", "priority": "normal"}'),
    ("my account is locked, please help", '{"category": "account", "priority": "high"}'),
    ("I was charged for it twice", '{"category": "billing", "priority": "high"}'),
    ("how do I set up the camera", '{"category": "how_to", "priority": "low"}'),
)
