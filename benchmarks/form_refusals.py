"""How many valid outputs the form refuses that is inferred from few seeds.

Usage: python -m benchmarks.form_refusals

For each of three schemas 300 valid outputs are checked against the form of 6, 10 and 30 random
seeds, in 20 draws each. Ends with an error where more than 1 % are refused.
"""

from collections import Counter

from benchmarks.valid_outputs import KINDS, valid_outputs
from task.form import infer_form

SIZES = (6, 10, 30)
_DRAWS = 20
_OUTPUTS = 300
MAX_REFUSED = 0.01


def refused_share(kind: str, size: int, reasons: Counter[str] | None = None) -> float:
    """Measure the share of valid outputs that is refused, over all draws of seeds.

    Args:
        kind: The schema.
        size: Seeds in a draw.
        reasons: Counts the reasons.
    """
    outputs = valid_outputs(kind, _OUTPUTS, seed=0)
    refused = 0
    for draw in range(1, _DRAWS + 1):
        form = infer_form(valid_outputs(kind, size, seed=draw))
        problems = form.misfits(outputs)
        refused += len(problems)
        if reasons is not None:
            reasons.update(misfit.problem[:60] for misfit in problems)
    return refused / (_OUTPUTS * _DRAWS)


def main() -> None:
    """Print a row per schema."""
    print(f"Valid outputs refused, of {_OUTPUTS} in {_DRAWS} draws.\n")
    print("| schema | " + " | ".join(f"{size} seeds" for size in SIZES) + " |")
    print("|---|" + "---|" * len(SIZES))
    worst = 0.0
    for kind in KINDS:
        shares = [refused_share(kind, size) for size in SIZES]
        worst = max(worst, *shares)
        print(f"| {kind} | " + " | ".join(f"{share:.2%}" for share in shares) + " |", flush=True)
    if worst > MAX_REFUSED:
        raise SystemExit(f"{worst:.2%} of valid outputs are refused, more than {MAX_REFUSED:.0%}.")


if __name__ == "__main__":
    main()
