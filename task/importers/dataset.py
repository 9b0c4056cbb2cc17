"""From imported pairs to the rows of a coverage dataset."""

import dataclasses
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING

from core.conversation import Conversation
from core.errors import UserError
from core.records import COVERAGE_SPLITS, LOGGED_SPLIT, LOOP_SPLITS, SEED_SPLIT, CoverageRow
from task.importers.sessions import joined_sessions
from task.importers.shape import Pair
from task.splits import SplitRow, assign_splits, normalized, share_of_test, stable_id

if TYPE_CHECKING:
    from task.sampling import Embed


@dataclasses.dataclass(frozen=True)
class Dataset:
    """A coverage dataset made of imported pairs.

    Attributes:
        rows: With unique ids and prompts, each with a split.
        instruction: The system message that all pairs share, or None.
        notes: What was done to the pairs, for the user.
        rest: With unique ids and prompts, the pairs that were not sampled, of the split `logged`.
    """

    rows: tuple[CoverageRow, ...]
    instruction: str | None
    notes: tuple[str, ...]
    rest: tuple[CoverageRow, ...] = ()


def make_dataset(
    pairs: Sequence[Pair],
    *,
    size: int | None = None,
    embed: "Embed | None" = None,
) -> Dataset:
    """Make rows of pairs: prompts once, sampled if asked for, each with a split.

    Args:
        pairs: The imported pairs.
        size: Rows to sample; None keeps all.
        embed: An embedding model, by which a sample is picked; None for TF-IDF.

    Raises:
        UserError: No pair can be used, or all distinct prompts are one.
    """
    notes: list[str] = []
    instruction, usable = _shared_system(_without_foreign_splits(pairs, notes), notes)
    if several := sum(len(pair.conversation.turns) > 1 for pair in usable):
        notes.append(f"{several} of {len(usable)} pairs are conversations of several turns.")
    sessions = joined_sessions(
        [_key(pair) for pair in usable], [pair.session for pair in usable], notes
    )
    usable = [
        pair if pair.session == session else pair.model_copy(update={"session": session})
        for pair, session in zip(usable, sessions, strict=True)
    ]
    distinct = _merged(usable, notes)
    others: list[Pair] = []
    if size is not None:
        # Repeats count as traffic, so the sample is drawn from all.
        from task.sampling import sample  # needs NumPy, and the command line does not

        found = sample([pair.conversation.text for pair in usable], size, embed)
        notes += found.lines()
        answers = {_key(pair): pair for pair in distinct}
        picked = {_key(usable[n]): answers[_key(usable[n])] for n in found.rows}
        others = [pair for pair in distinct if _key(pair) not in picked]
        distinct = list(picked.values())
    if len(distinct) < 2:
        raise UserError(
            f"{len(distinct)} distinct prompt is too few: at least one row is shown to the "
            "generator and one is held out. Give two pairs or more."
        )
    rows = _rows(distinct)
    return Dataset(
        tuple(rows), instruction, tuple(notes), _rest(others, _held_sessions(distinct, rows))
    )


def _without_foreign_splits(pairs: Sequence[Pair], notes: list[str]) -> Sequence[Pair]:
    """Take away the splits of another project, such as train and validation, and say so.

    Raises:
        UserError: Some are ours, and others are not.
    """
    foreign = [pair for pair in pairs if pair.split and pair.split not in COVERAGE_SPLITS]
    if not foreign:
        return pairs
    if any(pair.split in LOOP_SPLITS for pair in pairs):
        first = foreign[0]
        raise UserError(
            f"The split of row {first.id!r} is {first.split!r}; expected seed, holdout or test. "
            "Correct it, or rename the column if it means something else."
        )
    named = ", ".join(sorted({pair.split for pair in pairs if pair.split}))
    notes.append(f"The column split ({named}) was ignored: it names neither seed nor holdout.")
    return [pair.model_copy(update={"split": None}) for pair in pairs]


def _shared_system(pairs: Sequence[Pair], notes: list[str]) -> tuple[str | None, list[Pair]]:
    """Take the system message that all share away; put any other before the first turn."""
    systems = {pair.conversation.system for pair in pairs}
    if len(systems) == 1:
        return systems.pop(), [_with(pair, pair.conversation.without_system()) for pair in pairs]
    changed = sum(pair.conversation.system is not None for pair in pairs)
    others = (
        f"and {len(pairs) - changed} have none" if len(systems - {None}) == 1 else "that differ"
    )
    notes.append(
        f"{changed} pairs have system messages {others}; each was put before its prompt, as "
        "Gemma's chat template does."
    )
    return None, [_with(pair, pair.conversation.with_system_in_first_turn()) for pair in pairs]


def _with(pair: Pair, conversation: Conversation) -> Pair:
    return pair.model_copy(update={"conversation": conversation})


def _key(pair: Pair) -> str:
    return normalized(pair.conversation.prompt)


def _merged(pairs: Sequence[Pair], notes: list[str]) -> list[Pair]:
    """Keep one pair per prompt: the most frequent answer, the others as further references."""
    by_prompt: defaultdict[str, list[Pair]] = defaultdict(list)
    for pair in pairs:
        by_prompt[_key(pair)].append(pair)
    merged, differing = [], 0
    for same in by_prompt.values():
        counts = Counter(pair.output.strip() for pair in same)
        differing += len(counts) > 1
        answer = counts.most_common(1)[0][0]
        first = next(pair for pair in same if pair.output.strip() == answer)
        further = [reference for pair in same for reference in pair.references]
        others = [other for other, _ in counts.most_common() if other != answer]
        references = tuple(dict.fromkeys(r for r in (*others, *further) if r.strip() != answer))
        merged.append(first.model_copy(update={"references": references}))
    if repeated := len(pairs) - len(merged):
        which = "1 pair repeats" if repeated == 1 else f"{repeated:,} pairs repeat"
        notes.append(f"{which} the prompt of another one; they were merged.")
    if differing:
        which = "1 prompt has" if differing == 1 else f"{differing:,} prompts have"
        notes.append(
            f"{which} several answers; the most frequent is the output, the others are kept as "
            "references: the best match counts."
        )
    return merged


def _held_sessions(pairs: Sequence[Pair], rows: Sequence[CoverageRow]) -> set[str | None]:
    """Return the sessions of rows that are held out."""
    held = zip(pairs, rows, strict=True)
    return {pair.session for pair, row in held if row.split != SEED_SPLIT} - {None}


def _rest(pairs: Sequence[Pair], held_sessions: set[str | None]) -> tuple[CoverageRow, ...]:
    """Return rows to train on: what belongs to a session of a held-out row is none."""
    free = [pair for pair in pairs if pair.session not in held_sessions]
    return tuple(
        CoverageRow(row_id, pair.conversation.prompt, pair.output, LOGGED_SPLIT, pair.tags)
        for row_id, pair in zip(_ids(free), free, strict=True)
    )


def _ids(pairs: Sequence[Pair]) -> list[str]:
    """Return the pairs' own ids where they are unique, else ids made of their prompts."""
    given = Counter(pair.id for pair in pairs)
    return [
        pair.id if pair.id and given[pair.id] == 1 else stable_id(pair.conversation.prompt)
        for pair in pairs
    ]


def _rows(pairs: Sequence[Pair]) -> list[CoverageRow]:
    ids = _ids(pairs)
    named = {i: pair.split for i, pair in zip(ids, pairs, strict=True) if pair.split}
    splits = assign_splits(
        [SplitRow(i, pair.tags, pair.session) for i, pair in zip(ids, pairs, strict=True)],
        named,
        test_percent=share_of_test(len(pairs)),
    )
    return [
        CoverageRow(i, pair.conversation.prompt, pair.output, splits[i], pair.tags, pair.references)
        for i, pair in zip(ids, pairs, strict=True)
    ]
