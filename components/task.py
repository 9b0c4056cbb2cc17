"""What the service LLM is told about the task that is taken over."""

import pydantic


class Task(pydantic.BaseModel, frozen=True, extra="forbid"):
    """The task as the service LLM sees it when it generates and judges.

    Attributes:
        name: Short name, for example `support_triage`; also names the Hub repositories.
        instruction: What a good answer is, in the words one would give a new colleague.
    """

    name: str = pydantic.Field(pattern=r"^[a-z][a-z0-9_]*$", max_length=40)
    instruction: str = pydantic.Field(min_length=1)

    @property
    def title(self) -> str:
        """The name for people: `support_triage` becomes "Support triage"."""
        return self.name.replace("_", " ").capitalize()

    def text(self) -> str:
        """The `task` block of a request: the name on the first line, then the instruction."""
        return f"{self.name}\n{self.instruction.strip()}"
