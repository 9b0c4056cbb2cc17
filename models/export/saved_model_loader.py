"""Loads a SavedModel and calls it, with TensorFlow and TensorFlow Text alone; run as a script.

It reads a request as JSON from standard input and writes the model's answers as its last line.
"""

import json
import sys
from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    import tensorflow as tf


class Request(TypedDict):
    """What is asked."""

    folder: str  # of the SavedModel
    prompts: list[str]
    limits: list[int]  # maximum tokens of each response
    answers: str  # file that the logits are written to


def answer(request: Request) -> dict[str, list[str]]:
    """Call every signature.

    Returns:
        `prompt_texts`, `responses` and `finish` of each prompt; `custom_ops`, those that TensorFlow
        alone does not have.
    """
    import numpy as np
    import tensorflow as tf

    custom_ops = _unknown_ops(request["folder"])
    import tensorflow_text  # noqa: F401  registers its ops

    signatures = tf.saved_model.load(request["folder"]).signatures
    prompts = tf.constant(request["prompts"], tf.string)
    logits = signatures["next_token_logits"](prompts=prompts)["logits"]
    np.savez(request["answers"], logits=logits.numpy())
    answers = [
        signatures["with_limit"](prompts=prompts[i : i + 1], max_output_tokens=tf.constant(limit))
        for i, limit in enumerate(request["limits"])
    ]
    texts = signatures["format"](prompts=prompts)["prompt_texts"]
    return {
        "custom_ops": custom_ops,
        "prompt_texts": _strings(texts),
        "responses": [text for found in answers for text in _strings(found["responses"])],
        "finish": [text for found in answers for text in _strings(found["finish"])],
    }


def _unknown_ops(folder: str) -> list[str]:
    """Return the ops of a SavedModel that are not registered in this process."""
    from tensorflow.core.protobuf import saved_model_pb2
    from tensorflow.python.framework import op_def_registry

    saved_model = saved_model_pb2.SavedModel()
    with open(f"{folder}/saved_model.pb", "rb") as file:
        saved_model.ParseFromString(file.read())
    ops = {
        node.op
        for meta_graph in saved_model.meta_graphs
        for nodes in (
            meta_graph.graph_def.node,
            *(function.node_def for function in meta_graph.graph_def.library.function),
        )
        for node in nodes
    }
    functions = {
        function.signature.name
        for meta_graph in saved_model.meta_graphs
        for function in meta_graph.graph_def.library.function
    }
    return sorted(op for op in ops - functions if op_def_registry.get(op) is None)


def _strings(tensor: "tf.Tensor") -> list[str]:
    return [value.decode("utf-8", "replace") for value in tensor.numpy().tolist()]


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(answer(json.load(sys.stdin))) + "\n")
