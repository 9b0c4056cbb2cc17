"""Switches of the changes to Keras' and TensorFlow's own behaviour (`models/tensorflow_patches`).

Each may be switched off, to find out what it is worth or whether it is the cause of a fault: the
result stays the same within rounding, and takes more time or memory.
"""

import pydantic


class LoadingOptimizations(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """Optimizations of every loaded model, on the TensorFlow backend."""

    in_place_loading: bool = True
    """Read large weights in parts into the memory that the model holds, over zeros instead of
    random values, and keep Keras' garbage collections to new objects."""

    untransposed_output_head: bool = True
    """Multiply by tied embeddings in their stored layout, without a transposed copy."""

    lora_forward: bool = True
    """Project all tokens of a batch in one matrix product, and through the two LoRA factors one
    after the other instead of adding their product to the kernel."""


class TrainingOptimizations(LoadingOptimizations):
    """Optimizations of the training; all but `lora_forward` on the TensorFlow backend only."""

    recomputed_gelu: bool = True
    """Recompute gated GELUs in the backward pass instead of keeping their activations."""

    recomputed_rms_norm: bool = True
    """Recompute Gemma's RMS norms in the backward pass, where their scale is frozen."""

    recomputed_attention: bool = True
    """Recompute the attention weights in the backward pass; 2 to 4 % of a step."""

    chunked_cross_entropy: bool = True
    """Compute the loss and its gradient by chunks of the vocabulary, without storing all logits,
    where the output weights are frozen token embeddings."""

    fused_adam: bool = True
    """Update each weight by TensorFlow's Adam kernel instead of fifty operations."""

    traced_blocks: bool = True
    """Trace decoder blocks of the same structure once."""


class GenerationOptimizations(LoadingOptimizations):
    """Optimizations of the generation, on the TensorFlow backend."""

    cached_decoding: bool = True
    """Decode with a cache in which every row has its own position, and which is updated in place,
    instead of by KerasHub's loop."""

    packed_output_table: bool = True
    """In float32 on a CPU, copy the output weights into the order in which few rows are multiplied
    fastest."""
