"""The settings of privacy."""

import pydantic

from task.privacy.named_entities import what_is_missing


class PrivacySettings(
    pydantic.BaseModel, frozen=True, extra="forbid", use_attribute_docstrings=True
):
    """What is done about personal data in coverage rows."""

    redact: bool = False
    """Replace personal data with typed placeholders, such as `[EMAIL_1]`, before anything leaves
    this machine."""
    phone_regions: tuple[str, ...] = ("US", "GB", "DE", "FR")
    """Countries whose phone numbers are found without their `+` and country code, as ISO 3166-1
    codes."""

    presidio_models: dict[str, str] = {}
    """spaCy's model for each language in which Microsoft Presidio also finds names of people and
    places, such as `{en: en_core_web_lg}`; needs `pip install '.[presidio]'`."""

    @pydantic.field_validator("presidio_models")
    @classmethod
    def _are_installed(cls, models: dict[str, str]) -> dict[str, str]:
        if missing := what_is_missing(models):
            raise ValueError(missing)
        return models

    @pydantic.field_validator("phone_regions")
    @classmethod
    def _are_known(cls, regions: tuple[str, ...]) -> tuple[str, ...]:
        import phonenumbers

        for region in regions:
            if region not in phonenumbers.SUPPORTED_REGIONS:
                raise ValueError(
                    f"{region!r} is not a region with phone numbers; use a code such as DE or US"
                )
        return regions
