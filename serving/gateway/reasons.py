"""Reasons of requests at which the tuned model was asked first: its part is never lost.

`model_failed` says that the service answered in its place, and `model_failed:deadline` that nobody
had when the caller's time was over.
"""

from typing import NamedTuple

MODEL_ASKED, MODEL_FAILED = "model", "model_failed"
LEFT, DEADLINE = "client_left", "deadline"


class Reason(NamedTuple):
    """A reason, taken apart.

    Attributes:
        model: `MODEL_FAILED`, or `MODEL_ASKED` where it had not answered yet; empty where the tuned
            model was not asked first, or has answered.
        end: What happened then; empty where the service answered well.
    """

    model: str
    end: str

    @classmethod
    def of(cls, text: str) -> "Reason":
        """Return the parts of a reason."""
        model, _, end = text.partition(":")
        return cls(model, end) if model in (MODEL_ASKED, MODEL_FAILED) else cls("", text)

    @property
    def is_by_caller(self) -> bool:
        """Whether the caller left, or its deadline passed, before there was an answer."""
        return self.end in (LEFT, DEADLINE)


def after(before: str, end: str) -> str:
    """Return the reason of a request that ended otherwise than with a good answer of the service.

    Args:
        before: Why the service would have answered.
        end: What happened.
    """
    model = Reason.of(before).model
    return f"{model}:{end}" if model else end
