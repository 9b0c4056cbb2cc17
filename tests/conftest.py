"""Order of the tests."""


def pytest_collection_modifyitems(items):
    """The slow ones first: with several processes none is left alone with them at the end."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)
