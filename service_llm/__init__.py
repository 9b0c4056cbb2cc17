"""The service LLM as SynthDataGen and LLMEvaluator use it: paced, journaled, counted."""
