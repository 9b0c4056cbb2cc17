import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.metrics import cohen_kappa_score

from judging.agreement import agreement


def _table(both, only_first, only_second, neither):
    first = [True] * (both + only_first) + [False] * (only_second + neither)
    second = [True] * both + [False] * only_first + [True] * only_second + [False] * neither
    return agreement(first, second)


@pytest.mark.parametrize(
    ("table", "kappa"),
    [
        pytest.param((20, 5, 10, 15), 0.4, id="textbook"),
        pytest.param((45, 15, 25, 15), 0.1304, id="little more than chance"),
        pytest.param((25, 35, 5, 35), 0.2593, id="same agreement, other margins"),
        pytest.param((10, 0, 0, 10), 1.0, id="perfect"),
        pytest.param((0, 10, 10, 0), -1.0, id="opposite"),
    ],
)
def test_kappa_is_the_agreement_beyond_chance(table, kappa):
    assert _table(*table).kappa == pytest.approx(kappa, abs=5e-5)


# Kappa is -1/32, in the middle of two numbers of four decimals.
@example(pairs=4 * [(False, False)] + [(False, True)] + 5 * [(True, False)] + [(True, True)])
@given(pairs=st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2))
def test_kappa_agrees_with_scikit_learn(pairs):
    first, second = zip(*pairs, strict=True)
    found = agreement(first, second).kappa
    if found is not None:
        assert found == pytest.approx(cohen_kappa_score(first, second), abs=5.01e-5)


def test_the_interval_surrounds_kappa():
    found = _table(20, 5, 10, 15)
    # observed .7, chance .5, 50 rows: 1.96 * sqrt(.21 / 50) / .5 = .254
    assert (found.kappa_low, found.kappa_high) == pytest.approx((0.146, 0.654), abs=1e-3)


@pytest.mark.parametrize(
    ("first", "second"), [([], []), ([True, True], [True, True])], ids=["no rows", "one answer"]
)
def test_kappa_is_unknown_where_chance_explains_everything(first, second):
    assert agreement(first, second).kappa is None
