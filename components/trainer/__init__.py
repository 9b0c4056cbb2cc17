"""TFX's Trainer, told by a URI which earlier model a training starts from."""
