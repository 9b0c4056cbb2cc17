"""The model: text to features, Gemma in KerasHub, training with LoRA, and generation."""
