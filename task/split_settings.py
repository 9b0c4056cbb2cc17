"""How the coverage rows that name no split are assigned one."""

import pydantic


class SplitSettings(pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True):
    """How the coverage rows that name no split are assigned one."""

    test_percent: int | None = pydantic.Field(None, ge=0, le=90)
    """Share of the rows that are judged once, after the loop, in percent: the split `test`. It is
    filled only with rows that no run has judged. None means 25 from 120 rows on, and 0 below."""
