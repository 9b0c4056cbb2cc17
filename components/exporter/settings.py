"""The settings of Exporter, a part of the hyperparameters of the training."""

import pydantic


class ExportSettings(
    pydantic.BaseModel, frozen=True, extra="ignore", use_attribute_docstrings=True
):
    """What a blessed model is written as; the other hyperparameters are the Trainer's."""

    exports: tuple[str, ...]
    """The formats; see `TrainHParams.exports`."""

    gguf_type: str
    """Precision of the matrices in a GGUF file."""
