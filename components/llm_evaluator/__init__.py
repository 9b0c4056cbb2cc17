"""LLMEvaluator: how many of a model's responses cover their prompts, as the service LLM judges."""
