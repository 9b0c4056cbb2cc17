"""SynthDataGen: synthetic prompts and outputs, written and answered by the service LLM."""
