"""The takeover: a gateway between an application and its service LLM, and the tuned model."""
