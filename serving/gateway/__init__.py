"""The gateway: passes the service LLM's answers through, and fails over to the tuned model."""
