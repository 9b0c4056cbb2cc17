"""From which confidence on a model's answers are sure."""

from collections.abc import Callable

from core import artifact_files
from core.reports.confidence import ConfidenceReport
from serving.preset import ServedPreset


def known_threshold(
    preset: ServedPreset, model_version: str, slots: int, say: Callable[[str], None]
) -> float | None:
    """Return the threshold of a model: the preset's own, or the one that was chosen for it.

    There is none where `serving.confidence` is not enabled.

    Args:
        preset: The preset.
        model_version: A threshold that was chosen for another model says nothing of this one.
        slots: Likewise: how many requests are computed at once changes the confidence.
        say: Takes why a threshold that was chosen is not used.

    Raises:
        UserError: What was chosen cannot be read.
    """
    settings = preset.settings.confidence
    if not settings.enabled:  # nothing is measured, and no answer would ever be sure
        return None
    file = preset.output_dir / artifact_files.CONFIDENCE
    if settings.threshold is not None or not file.is_file():
        return settings.threshold
    report = ConfidenceReport.read(str(file))
    changes = [
        f"{name} {now}, not {then}"
        for name, then, now in (
            ("the model", report.model_version, model_version),
            ("serving.model.slots", report.slots, slots),
            (
                "serving.confidence.right_percent",
                f"{report.wanted_percent:g}",
                f"{settings.right_percent:g}",
            ),
        )
        if then != now
    ]
    if changes:
        say(
            f"The threshold of confidence in {str(file)!r} is not used: it was chosen for other "
            f"conditions, and now {'; '.join(changes)}. Run `understudy confidence --preset "
            f"{preset.preset}` again."
        )
        return None
    return report.chosen.threshold if report.chosen else None
