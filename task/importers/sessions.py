"""Sessions whose rows share a prompt: the merged row is in one split, so they have to be, too."""

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Sequence

_MAX_SHARE = 0.5  # of all prompts in sessions that are joined; seed and holdout both need some


def joined_sessions(
    prompts: Sequence[Hashable], sessions: Sequence[str | None], notes: list[str]
) -> list[str | None]:
    """Join sessions that share a prompt.

    A prompt such as "Hello" would join all sessions of a log, and nothing could be held out. Where
    the sessions of a prompt hold more than half of all prompts, it says nothing about one of them,
    and belongs to none.

    Args:
        prompts: What makes rows the same one.
        sessions: The session of each.
        notes: Gets a line where sessions are joined.

    Returns:
        For each row a name that joined sessions have in common; None for a row of no session. Rows
        of the same prompt have the same name.
    """
    of_prompt: defaultdict[Hashable, set[str]] = defaultdict(set)
    for prompt, session in zip(prompts, sessions, strict=True):
        of_prompt[prompt] |= {session} if session is not None else set()
    roots = {session: session for session in sessions if session is not None}
    sizes = Counter(session for several in of_prompt.values() for session in several)
    shared = [prompt for prompt, several in of_prompt.items() if len(several) > 1]
    # Rare prompts first: they say most about the sessions.
    common = set()
    for prompt in sorted(shared, key=lambda prompt: len(of_prompt[prompt])):
        groups = sorted({_root(roots, session) for session in of_prompt[prompt]})
        total = sum(sizes[group] for group in groups)
        if len(groups) > 1 and total > _MAX_SHARE * len(of_prompt):
            common.add(prompt)
            continue
        roots |= dict.fromkeys(groups, groups[0])
        sizes[groups[0]] = total
    notes += _lines(len(shared) - len(common), len(common))
    return [
        None if prompt in common or not of_prompt[prompt] else _root(roots, min(of_prompt[prompt]))
        for prompt in prompts
    ]


def _root(roots: dict[str, str], session: str) -> str:
    while roots[session] != session:
        roots[session] = roots[roots[session]]
        session = roots[session]
    return session


def _lines(joined: int, common: int) -> Iterable[str]:
    if joined:
        which = "1 prompt occurs" if joined == 1 else f"{joined:,} prompts occur"
        yield f"{which} in several sessions; sessions that share a prompt stay in one split."
    if common:
        which = "1 prompt occurs" if common == 1 else f"{common:,} prompts occur"
        yield (
            f"{which} in sessions that hold more than half of all prompts; such a prompt counts as "
            "one of no session."
        )
