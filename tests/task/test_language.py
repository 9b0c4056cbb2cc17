import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.language import infer_languages

SAME = {
    "English": "The kettle keeps the water at the temperature that you set in the app.",
    "German": "Der Kessel hält das Wasser so warm, wie es in der App eingestellt ist.",
    "French": "La bouilloire est pour votre thé : elle garde l'eau chaude, et vous êtes content.",
    "Spanish": "El hervidor es para el té y no para la sopa, pero usted puede elegir como está.",
    "Italian": "Il bollitore tiene l'acqua alla temperatura che si sceglie nella app.",
    "Portuguese": "A chaleira não está quente, mas você pode escolher uma temperatura com a app.",
    "Dutch": "De ketel houdt het water op de temperatuur die je in de app instelt.",
    "Swedish": "Kokaren håller vattnet vid den temperatur som du har valt i appen.",
    "Polish": "Czajnik jest już ciepły, ale nie wiem, jak go ustawić, żeby to był dobry czas.",
    "Turkish": "Su ısıtıcısı bu uygulama ile ayarlanan bir sıcaklık için çok uygun ve bu iyi.",  # noqa: RUF001
}
PAIRS = [(seed, other) for seed in SAME for other in SAME if seed != other]


@pytest.mark.parametrize(("seed", "other"), PAIRS, ids=["-".join(pair) for pair in PAIRS])
def test_a_text_in_another_language_than_the_seeds_is_told(seed, other):
    languages = infer_languages([SAME[seed]])
    assert languages.problem(SAME[seed]) is None
    problem = languages.problem(SAME[other])
    assert problem is not None
    assert f"written in {other}" in problem or "letters of" in problem


def test_all_languages_of_the_seeds_are_right():
    languages = infer_languages([SAME["English"], SAME["German"]] * 2)
    assert languages.problem("Ich möchte das Paket nicht, weil es zu spät ist.") is None
    assert languages.problem("I do not want the parcel because it is too late.") is None
    assert "written in French" in languages.problem(SAME["French"])


def test_a_language_that_one_of_several_seeds_has_lets_others_be_expected():
    seeds = [SAME["English"]] * 12 + [SAME["German"]] * 4
    assert "written in Dutch" in infer_languages(seeds).problem(SAME["Dutch"])
    languages = infer_languages([*seeds, SAME["Portuguese"]])
    assert languages.problem(SAME["Dutch"]) is None
    assert "CYRILLIC" in languages.problem("Чайник держит воду тёплой.")


@pytest.mark.parametrize(
    ("seeds", "text"),
    [
        (["yes", "no", "maybe"], SAME["German"]),
        (["{}: 12, 15", "AB-12 CD-34 EF-56 GH-78 IJ-90 KL-12"], SAME["German"]),
        ([SAME["English"]], "das ist gut"),
        (
            [SAME["English"]],
            "The box says: der Kessel ist für das Wasser, and that is all it says.",
        ),
        ([SAME["English"]], "Nimbus Cam Echo Lamp Quill Lock Terra Kettle Aero Purifier"),
    ],
    ids=["short-seeds", "codes", "short-text", "a-quotation", "names"],
)
def test_what_is_not_clear_passes(seeds, text):
    assert infer_languages(seeds).problem(text) is None


def test_another_script_is_wrong_however_short():
    assert "CYRILLIC" in infer_languages(["yes"]).problem("да")


@given(st.lists(st.text(st.characters(), max_size=60), min_size=1, max_size=12))
def test_every_seed_is_in_the_languages_that_are_inferred_from_it(texts):
    languages = infer_languages(texts)
    assert [languages.problem(text) for text in texts] == [None] * len(texts)
