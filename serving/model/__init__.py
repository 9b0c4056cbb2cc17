"""The tuned model of a preset behind an OpenAI-compatible server on this machine."""
