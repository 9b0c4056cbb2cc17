"""ResponseGen: a model's answers to every coverage prompt."""
