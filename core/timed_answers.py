"""A model's answers with the time that they took, from the model to the component that asked."""

from core.reports.operation import GenerationTimes

Sample = tuple[str, str]  # response, "stop" or "length"


class TimedAnswers(list[list[Sample]]):
    """For each prompt its samples; `times` says how long they took.

    A generate function may return a plain list instead; then nothing is known of the time.
    """

    def __init__(self, answers: list[list[Sample]], times: GenerationTimes) -> None:
        super().__init__(answers)
        self.times = times
