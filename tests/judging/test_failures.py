import json

from judging.failures import CUT_OFF, failure_clusters


def _ticket(priority, category="billing"):
    return json.dumps({"category": category, "priority": priority})


def test_failures_with_the_same_mistake_are_one_cluster_with_its_rows(verdict_row):
    rows = [
        verdict_row(f"a{n}", True, output=_ticket("low"), response=_ticket("normal"))
        for n in range(4)
    ]
    rows += [
        verdict_row(f"b{n}", False, output=_ticket("low"), response=_ticket("low", "shipping"))
        for n in range(2)
    ]
    rows += [verdict_row("c", True, output=_ticket("low"), response=_ticket("low"))]
    first, second = failure_clusters(rows, "json")
    assert first.text == '4 x priority: "low" answered "normal"'
    assert first.ids == ("a0", "a1", "a2", "a3")
    assert (second.field, len(second.ids)) == ("category", 2)


def test_answers_that_were_cut_off_are_a_cluster_of_their_own(verdict_row):
    rows = [
        verdict_row(str(n), False, output=_ticket("low"), response='{"cat', finish="length")
        for n in range(44)
    ]
    (cluster,) = failure_clusters(rows, "json")
    assert cluster.text == f"44 x {CUT_OFF}"


def test_a_text_that_is_no_json_has_no_wrong_fields(verdict_row):
    rows = [verdict_row(str(n), False, output=_ticket("low"), response="low") for n in range(3)]
    (cluster,) = failure_clusters(rows, "json")
    assert (cluster.field, cluster.answered) == ("", "(not JSON)")


def test_a_single_failure_is_no_cluster(verdict_row):
    rows = [verdict_row("a", False, output="refund", response="delivery")]
    assert failure_clusters(rows, "labels") == ()
    assert len(failure_clusters(rows, "labels", min_rows=1)) == 1


def test_a_number_written_otherwise_is_no_failure(verdict_row):
    rows = [
        verdict_row(str(n), True, output='{"a": 1, "b": 1}', response='{"a": 1.0, "b": 2}')
        for n in range(2)
    ]
    assert [cluster.field for cluster in failure_clusters(rows, "json")] == ["b"]
