"""The form of outputs: inferred from the seeds or given as a JSON Schema, and checked."""

from task.form.inference import infer_form, what_labels_lack
from task.form.output_form import Misfit, OutputForm, describe_fields
from task.form.values import JsonStyle, loads

__all__ = [
    "JsonStyle",
    "Misfit",
    "OutputForm",
    "describe_fields",
    "infer_form",
    "loads",
    "what_labels_lack",
]
