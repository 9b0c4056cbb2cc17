import pytest

from components.executing import load_function
from core.errors import UserError


def test_a_function_is_loaded_by_its_dotted_name():
    assert load_function("os.path.join", "generate_fn")("a", "b") == "a/b"


@pytest.mark.parametrize("dotted", ["nowhere.f", "json.nothing", "json", "json.__name__"])
def test_a_function_that_is_not_there_is_named(dotted):
    with pytest.raises(UserError, match="generate_fn '" + dotted.replace(".", r"\.")):
        load_function(dotted, "generate_fn")
