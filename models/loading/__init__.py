"""Loads models: KerasHub presets, GGUF files, and tiny random models for tests."""
