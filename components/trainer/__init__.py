"""TFX's Trainer, given the URI of an earlier model to start from."""
