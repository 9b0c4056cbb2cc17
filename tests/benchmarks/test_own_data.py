from benchmarks import own_data


def test_each_step_works_on_rows_as_they_are_measured(tmp_path):
    found = own_data.timings(60, tmp_path)
    assert len(found) == 9
    assert (tmp_path / "splits.csv").read_text().count("\n") == 61
