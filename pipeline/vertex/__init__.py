"""Rounds on Vertex AI Pipelines: the same DAG, compiled, submitted and followed."""
