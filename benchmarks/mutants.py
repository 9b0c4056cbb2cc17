"""How many planted faults the tests find, of those that `make mutants` has tried so far.

`python -m benchmarks.mutants` runs no tests: `python -m tools.mutants` does.
"""

from collections import Counter
from collections.abc import Iterable

from judging.rates import wilson
from tools.mutants.plan import Mutant, Result, changed_modules, read_plan, read_results

_KILLED = ("killed", "killed by time")


def table(mutants: Iterable[Mutant], results: dict[int, Result]) -> str:
    """Return the score for each part of the repository and for all, as Markdown."""
    counts: dict[str, Counter[str]] = {}
    for mutant in mutants:
        if result := results.get(mutant.number):
            part = mutant.path.partition("/")[0]
            counts.setdefault(part, Counter())[result.outcome] += 1
    rows = [(part, counts[part]) for part in sorted(counts)]
    rows.append(("all", sum(counts.values(), Counter())))
    lines = ["| part | faults | found | of them by time | share found | 95 % interval |"]
    lines.append("|---|---|---|---|---|---|")
    for part, outcomes in rows:
        found = sum(outcomes[outcome] for outcome in _KILLED)
        total = found + outcomes["survived"]
        if not total:
            continue
        low, high = wilson(found / total, total)
        lines.append(
            f"| {part} | {total} | {found} | {outcomes['killed by time']} | {found / total:.0%} | "
            f"{low:.0%} to {high:.0%} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Print the scores, and the faults that no test has found."""
    mutants, results = read_plan(), read_results()
    drawn, tried = len(mutants), len(results)
    print(
        f"{tried} of {drawn} drawn faults were tried, each with the quick tests that run its "
        "line, the nearest first.\n"
    )
    if changed := changed_modules(mutants):
        print(f"Changed since then: {', '.join(f'`{path}`' for path in changed)}.\n")
    print(table(mutants, results))
    untested = sum(result.tests == 0 for result in results.values())
    print(f"\nOf those not found, {untested} are in lines that no quick test runs.")
    survivors = [m for m in mutants if m.number in results]
    survivors = [m for m in survivors if results[m.number].outcome == "survived"]
    if survivors:
        print("\nNot found:\n")
    for mutant in survivors:
        before, after = (" ".join(code.split())[:60] for code in (mutant.before, mutant.after))
        print(f"- `{mutant.path}:{mutant.line}`: `{before}` became `{after}`")


if __name__ == "__main__":
    main()
