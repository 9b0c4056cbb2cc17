"""From a path to pairs, and what to say about them."""

import dataclasses
from collections import defaultdict
from collections.abc import Callable, Sequence

import pydantic

from core.errors import UserError
from task.files import SourceFile, read_source
from task.importers.columns import Columns, column_tags, other_columns
from task.importers.envelopes import unwrapped
from task.importers.pairs import field_pair
from task.importers.registry import detect, shape_named
from task.importers.shape import Fields, Pair, Shape, SkippedError
from task.text_files import Record, RowError, UnfinishedError

_LISTED_PLACES = 3
_LISTED_FIELDS = 8


@dataclasses.dataclass(frozen=True)
class Refusal:
    """A row or a file that was left out.

    Attributes:
        place: File and line.
        reason: Why.
        skipped: It is no answer of the service LLM, or not written to its end yet, so nothing is
            wrong with it.
        is_file: It is a whole file, and `place` its name.
    """

    place: str
    reason: str
    skipped: bool = False
    is_file: bool = False


@dataclasses.dataclass(frozen=True)
class Part:
    """What was understood of the files of one shape.

    Attributes:
        shape: The rows' shape.
        files: These files, with format and encoding.
        pairs: In the order of the files, with the tags of columns.
        columns: What became of the columns that the shape does not read.
    """

    shape: Shape
    files: tuple[str, ...]
    pairs: tuple[Pair, ...]
    columns: Columns

    def lines(self) -> list[str]:
        """Say what was read, what became tags, and what is ignored."""
        files = ", ".join(self.files[:_LISTED_PLACES])
        more = f" and {len(self.files) - _LISTED_PLACES} more" if self.files[3:] else ""
        count = "1 pair" if len(self.pairs) == 1 else f"{len(self.pairs)} pairs"
        said = [f"{count} read as {self.shape.title} from {files}{more}."]
        if self.columns.tags:
            said.append(f"Columns used as tags: {', '.join(self.columns.tags)}.")
        if self.columns.ignored:
            said.append(f"Columns ignored: {', '.join(self.columns.ignored)}.")
        return said


@dataclasses.dataclass(frozen=True)
class Imported:
    """The pairs of a source, and what was understood.

    Attributes:
        parts: One for each shape, in the order of their first files.
        refusals: Rows left out.
        ignored: Files of the folder that are no data files.
    """

    parts: tuple[Part, ...]
    refusals: tuple[Refusal, ...]
    ignored: tuple[str, ...] = ()

    @property
    def pairs(self) -> tuple[Pair, ...]:
        """All pairs."""
        return tuple(pair for part in self.parts for pair in part.pairs)

    def lines(self) -> list[str]:
        """Say what was read in which shape, what is ignored, and what was left out."""
        said = [line for part in self.parts for line in part.lines()]
        if self.ignored:
            more = ", …" if self.ignored[_LISTED_FIELDS:] else ""
            said.append(f"Files ignored: {', '.join(self.ignored[:_LISTED_FIELDS])}{more}.")
        return [*said, *_refusal_lines(self.refusals)]


def read_pairs(
    path: str,
    *,
    shape: str | None = None,
    prompt_field: str | None = None,
    output_field: str | None = None,
) -> Imported:
    """Read pairs from a file or folder of any known format and shape, which each file has its own.

    Args:
        path: The file or folder.
        shape: A name in the registry; None finds it.
        prompt_field: With `output_field`, the columns of a table that has no known shape.
        output_field: See `prompt_field`.

    Raises:
        UserError: Nothing can be read, or no row can be used; it says why.
    """
    if (prompt_field is None) != (output_field is None):
        raise UserError("Give --prompt-field and --output-field together.")
    chosen = shape_named(shape) if shape else None
    if prompt_field and output_field:
        chosen = field_pair(prompt_field, output_field)
    source = read_source(path)
    found: dict[str, _Found] = {}
    refusals: list[Refusal] = []
    for file in source.files:
        is_only = len(file.records) == 1
        records = [row for record in file.records for row in unwrapped(record, is_only=is_only)]
        file_shape = chosen or _detected(file, records, refusals)
        if file_shape is None:
            continue
        part = found.setdefault(file_shape.name, _Found(file_shape))
        if part.add(records, refusals):
            part.files.append(f"{file.name} ({file.kind})")
    parts = tuple(part.done() for part in found.values() if part.pairs)
    if not parts:
        shapes = " or ".join(dict.fromkeys(part.shape.title for part in found.values()))
        reasons = "".join(f"\n  {line}" for line in _refusal_lines(refusals))
        raise UserError(f"No row of {path!r} can be used{shapes and f' as {shapes}'}:{reasons}")
    return Imported(parts, tuple(refusals), tuple(source.ignored))


@dataclasses.dataclass
class _Found:
    """A `Part` that files are still added to."""

    shape: Shape
    files: list[str] = dataclasses.field(default_factory=list)
    pairs: list[tuple[Pair, Fields]] = dataclasses.field(default_factory=list)

    def add(self, records: Sequence[Record], refusals: list[Refusal]) -> bool:
        """Add a file's pairs and refusals; return whether it has pairs."""
        before = len(self.pairs)
        rows = [record.fields for record in records if not isinstance(record.fields, RowError)]
        read = self.shape.reading([row for row in rows if self.shape.matches(row)])
        for record in records:
            result = _read(record, self.shape, read)
            if isinstance(result, Refusal):
                refusals.append(result)
            elif not isinstance(record.fields, RowError):
                self.pairs.append((result, record.fields))
        return len(self.pairs) > before

    def done(self) -> Part:
        columns = other_columns([row for _, row in self.pairs], self.shape)
        tagged = (
            _tagged(pair, column_tags(row, self.shape, columns.tags)) for pair, row in self.pairs
        )
        return Part(self.shape, tuple(self.files), tuple(tagged), columns)


def _detected(
    source: SourceFile, records: Sequence[Record], refusals: list[Refusal]
) -> Shape | None:
    """Find the shape of a file; where it has none, add why it is left out."""
    file = source.name
    rows = [record.fields for record in records if not isinstance(record.fields, RowError)]
    if not rows:
        refusals += [Refusal(r.place, str(r.fields), is_file=r.place == file) for r in records] or [
            Refusal(file, "it has no row", is_file=True)
        ]
        return None
    try:
        return detect(rows)
    except UserError as error:
        reason = str(error).removesuffix(".")
        if source.is_csv:
            reason += ", or give the file a first line that names them: prompt,output"
        refusals.append(Refusal(file, reason, is_file=True))
        return None


def _read(record: Record, shape: Shape, read: Callable[[Fields], Pair]) -> Pair | Refusal:
    if isinstance(record.fields, RowError):
        is_unfinished = isinstance(record.fields, UnfinishedError)
        return Refusal(record.place, str(record.fields), skipped=is_unfinished)
    if not record.fields:
        return Refusal(record.place, "the row is empty", skipped=True)
    if not shape.matches(record.fields):
        fields = ", ".join(list(record.fields)[:_LISTED_FIELDS])
        reason = f"the row does not have the shape {shape.title}; its columns are {fields}"
        if "references" in record.fields:
            reason += " (references are further right answers: give one of them as the output)"
        return Refusal(record.place, reason)
    try:
        return read(record.fields)
    except (ValueError, KeyError, TypeError, AttributeError, IndexError) as error:
        return Refusal(record.place, _reason(error, shape), isinstance(error, SkippedError))


def _reason(error: Exception, shape: Shape) -> str:
    if isinstance(error, pydantic.ValidationError):
        first = error.errors(include_input=False, include_url=False)[0]
        return str(first["msg"]).removeprefix("Value error, ")
    if isinstance(error, ValueError):
        return str(error)
    # A field that is nested otherwise than the shape's documentation says.
    return f"the row does not have the shape {shape.title} ({error!r})"


def _tagged(pair: Pair, tags: Sequence[str]) -> Pair:
    if not tags:
        return pair
    return pair.model_copy(update={"tags": tuple(dict.fromkeys((*pair.tags, *tags)))})


def _refusal_lines(refusals: Sequence[Refusal]) -> list[str]:
    """Write a line for each file, and for each reason one with rows and their first places."""
    places: defaultdict[tuple[bool, str], list[str]] = defaultdict(list)
    for refusal in refusals:
        if not refusal.is_file:
            places[refusal.skipped, refusal.reason].append(refusal.place)
    lines = [f"{r.place} left out: {r.reason}." for r in refusals if r.is_file]
    for (skipped, reason), where in sorted(places.items(), key=lambda item: item[0]):
        verb = "skipped" if skipped else "refused"
        more = f" and {len(where) - _LISTED_PLACES} more" if where[_LISTED_PLACES:] else ""
        count = "1 row" if len(where) == 1 else f"{len(where)} rows"
        lines.append(f"{count} {verb}: {reason} ({'; '.join(where[:_LISTED_PLACES])}{more}).")
    return lines
