import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from task.privacy import PrivacySettings, find

# Numbers that the issuing bodies and libraries publish as examples; none is a person's.
FOUND = {
    "mail": ("Write to ada.lovelace+shop@mail.example.org, please.", "EMAIL"),
    "mail-in-json": ('{"to": "Ada@Example.ORG"}', "EMAIL"),
    "mail-umlaut": ("jürgen@müller.example", "EMAIL"),
    "phone-international": ("Call +49 30 901820 before noon", "PHONE"),
    "phone-compact": ("Call +442079460958", "PHONE"),
    "phone-us": ("My number is (415) 555-2671.", "PHONE"),
    "phone-german": ("Tel. 030 / 901 820", "PHONE"),
    "phone-french": ("au 01 42 68 53 00", "PHONE"),
    "iban-spaced": ("IBAN DE89 3704 0044 0532 0130 00 please", "IBAN"),
    "iban-compact": ("to GB29NWBK60161331926819.", "IBAN"),
    "iban-lower": ("fr14 2004 1010 0505 0001 3m02 606", "IBAN"),
    "card": ("card 4111 1111 1111 1111, exp. 12/27", "CARD"),
    "card-compact": ("5500005555555559", "CARD"),
    "card-amex": ("3782-822463-10005", "CARD"),
    "ssn": ("my SSN is 536-90-4399", "NATIONAL_ID"),
    "ssn-bare": ("social security number 536904399", "NATIONAL_ID"),
    "german-tax-id": ("Meine Steuer-ID lautet 36 574 261 809", "NATIONAL_ID"),
    "italian": ("CF RCCMNL83S18D969H", "NATIONAL_ID"),
    "spanish": ("DNI 54362315K", "NATIONAL_ID"),
    "spanish-nie": ("NIE X-2482300-W", "NATIONAL_ID"),
    "french": ("2 95 10 99 126 111 93", "NATIONAL_ID"),
    "dutch": ("BSN: 1112.22.333", "NATIONAL_ID"),
    "nhs": ("NHS number 943 476 5870", "NATIONAL_ID"),
    "brazilian": ("CPF 390.533.447-05", "NATIONAL_ID"),
    "polish": ("PESEL 44051401359", "NATIONAL_ID"),
    "swedish": ("880320-0016", "NATIONAL_ID"),
    "finnish": ("131052-308T", "NATIONAL_ID"),
    "indian": ("2341 2341 2346", "NATIONAL_ID"),
    "swiss": ("756.9217.0769.85", "NATIONAL_ID"),
    "openai-key": ("key sk-proj-abcdefghijklmnopqrstuvwx12", "KEY"),
    "google-key": ("AIza" + "Sy" + "a1B2" * 8 + "c", "KEY"),
    "aws-key": ("id AKIA" + "IOSFODNN7EXAMPLE", "KEY"),
    "github-token": ("ghp_" + "a1B2c3D4e5F6" * 3, "KEY"),
    "jwt": ("Bearer eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w", "KEY"),
    "phone-next-to-a-date": ("05.12.2025 10:33, Tel. 030 / 901 820", "PHONE"),
    "canadian": ("My SIN: 123 456 782", "NATIONAL_ID"),
    "belgian": ("BTW BE 0721.445.309, rijksregister 85.07.30-033.28", "NATIONAL_ID"),
    "private-key": (
        "-----BEGIN PRIVATE KEY-----\nMIIEvQIBADANBgkqhkiG\n-----END PRIVATE KEY-----",
        "KEY",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("text", "kind"), FOUND.values(), ids=FOUND)
def test_personal_data_is_found(text, kind):
    assert [finding.kind for finding in find(text)] == [kind], find(text)


INNOCENT = {
    "order": "Where is my order 88213?",
    "long-order": "Order 4512345678901 and order no. 111222333",
    "tracking": "Tracking 00340434161094021501 says delivered",
    "card-checksum": "4111 1111 1111 1112",
    "iban-checksum": "DE89 3704 0044 0532 0130 01",
    "date": "On 2024-05-12 at 10:30, or 12.05.2024, or 12/05/2024",
    "price": "It was 1.234.567,89 euros, then 12,345.67",
    "version": "Firmware 10.2.33.1044 and 1.2.3-4567",
    "zeros": "0000 0000 0000 0000",
    "handle": "I wrote to @support, and user@host",
    "uuid": "550e8400-e29b-41d4-a716-446655440000",
    "words": "sk-learn and hf_hub are libraries",
    "dutch-without-word": "ticket 111222333",
    "digits-of-a-phone": "serial 4155552671",
    "belgian-vat": "Vlasmarkt 5, 9000 Gent\nBTW BE 0721.445.309",
    "belgian-vat-valid": "TVA: BE 0403.170.701, registre national des entreprises 0403170701",
    "belgian-vat-json": '{"tax_id": "BE 0721.445.309"}',
    "vat-next-to-a-word": "USt-IdNr. DE 136695976, Steuernummer der Firma",
    "receipt-date": "Bon 5512           05.12.2025 10:33",
    "word-in-a-word": "since 123 456 782 was taken",
}


@pytest.mark.parametrize("text", INNOCENT.values(), ids=INNOCENT)
def test_other_numbers_are_let_alone(text):
    assert find(text) == []


def test_in_the_demonstration_only_the_invented_mail_addresses_are_found():
    root = Path(__file__).parents[3] / "data" / "coverage"
    lines = (root / "support_triage" / "tickets.jsonl").read_text().splitlines()
    found = [finding for line in lines for finding in find(json.loads(line)["prompt"])]
    assert {finding.kind for finding in found} == {"EMAIL"}
    assert all(finding.value.endswith(".example") for finding in found)
    assert len(found) < 10


def test_spellings_of_one_value_are_one():
    values = {find(text)[0].value for text in ["+49 30 901820", "030/901 820", "+4930901820"]}
    assert values == {"+4930901820"}


def test_regions_of_phone_numbers_can_be_set():
    text = "Ring 020 7946 0958"
    assert find(text)[0].kind == "PHONE"
    assert find(text, PrivacySettings(phone_regions=("DE",))) == []
    with pytest.raises(ValueError, match="'UK' is not a region"):
        PrivacySettings(phone_regions=("UK",))


@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
def test_findings_of_any_text_are_in_order_and_do_not_overlap(text):
    end = 0
    for finding in find(f"{text} ada@example.org {text}"):
        assert end <= finding.start < finding.end
        end = finding.end


@pytest.mark.parametrize(
    ("region", "phone", "countries", "others"),
    [
        ("DK", "32 12 34 56", ("DK", "FI", "HU", "LU", "SI"), ("DE", "NL")),
        ("ES", "612 34 56 78", ("DE", "EE", "EL", "GB"), ("SI", "NL")),
        ("US", "212 555 0123", ("BE", "PL", "SK"), ("SI", "DE")),
    ],
)
def test_a_number_is_a_companys_by_its_country_and_count_of_digits(
    region, phone, countries, others
):
    """https://ec.europa.eu/taxation_customs/vies: what is a phone number otherwise."""
    settings = PrivacySettings(phone_regions=(region,))
    for country in countries:
        assert find(f"Our number: {country} {phone}", settings) == []
    for country in others:
        (found,) = find(f"Our number: {country} {phone}", settings)
        assert found.kind == "PHONE"
