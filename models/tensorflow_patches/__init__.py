"""Changes to Keras' and TensorFlow's own behaviour; `core.optimizations` has a switch for each."""
