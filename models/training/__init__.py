"""LoRA fine-tuning: the run_fn, the training loop and its checkpoints."""
