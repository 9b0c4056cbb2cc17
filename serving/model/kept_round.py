"""The round of a run whose model takes over, as `summary.json` in the output folder has it."""

from pathlib import Path
from typing import Self

import pydantic

from core import artifact_files
from core.errors import UserError
from core.jsonl import read_rows
from core.records import VerdictRow
from core.reports.coverage import TUNED
from core.reports.loop import LoopSummary


class _Generation(pydantic.BaseModel):
    max_output_tokens: int


class _Config(pydantic.BaseModel):
    generation: _Generation


class KeptRound(pydantic.BaseModel, frozen=True):
    """A round and where its model lies.

    Attributes:
        round: Number of the round, from 1.
        model_dir: Folder that the Trainer wrote.
        exports_dir: Folder that the Exporter wrote; None where the round was not blessed.
        report_dir: Folder of the CoverageReport.
        sequence_length: Tokens of a row at most in the training.
        max_output_tokens: Tokens of a response at most in the evaluation.
        gguf_type: Precision of an exported GGUF file's matrices.
        blessed: Whether the model passed the gate.
    """

    round: int
    model_dir: Path
    exports_dir: Path | None
    report_dir: Path
    sequence_length: int
    max_output_tokens: int
    gguf_type: str
    blessed: bool

    @classmethod
    def find(cls, output_dir: Path, round: int | None = None) -> Self:
        """Return the best round of a run, or the one with a number.

        Args:
            output_dir: The run's output folder.
            round: The number; None for the best one.

        Raises:
            UserError: There is no such round, or its model is not on this machine.
        """
        summary = _read_summary(output_dir)
        entries = {entry.round: entry for entry in summary.rounds}
        number = summary.best_round if round is None else round
        if number not in entries:
            raise UserError(
                f"There is no round {number} in {str(output_dir / artifact_files.SUMMARY)!r}, "
                f"which has {', '.join(map(str, sorted(entries)))}. Choose one with --round."
            )
        entry = entries[number]
        model_dir = Path(entry.artifacts.model) / artifact_files.SERVING_FOLDER
        if not model_dir.is_dir():
            raise UserError(
                f"The model of round {number} is not at {str(model_dir)!r}. Copy it there, or set "
                "serving.model.url to a server that has it loaded."
            )
        return cls(
            round=number,
            model_dir=model_dir,
            exports_dir=Path(entry.artifacts.exports) if entry.artifacts.exports else None,
            report_dir=Path(entry.artifacts.report),
            sequence_length=entry.training.hparams.sequence_length,
            max_output_tokens=_Config.model_validate(summary.config).generation.max_output_tokens,
            gguf_type=entry.training.hparams.gguf_type,
            blessed=entry.blessed,
        )

    def answered(self) -> list[VerdictRow]:
        """Return the coverage prompts, each with the tuned model's first response."""
        file = self.report_dir / artifact_files.VERDICTS
        try:
            text = file.read_text(encoding="utf-8")
        except OSError as error:
            raise UserError(
                f"The verdicts of round {self.round} cannot be read from {str(file)!r}: "
                f"{error.strerror}. Restore the file from a copy."
            ) from error
        rows = read_rows(text, str(file), VerdictRow.from_json)
        first = {row.id: row for row in reversed(rows) if row.model == TUNED}
        return list(reversed(first.values()))


def _read_summary(output_dir: Path) -> LoopSummary:
    file = output_dir / artifact_files.SUMMARY
    if not file.exists():
        raise UserError(
            f"There is no {str(file)!r}, so no tuned model to serve. Run the pipeline first (make "
            "run PRESET=my_task.yaml), or set serving.model.url to a server that has the model "
            "loaded."
        )
    return LoopSummary.read(str(file)).at(str(output_dir))
