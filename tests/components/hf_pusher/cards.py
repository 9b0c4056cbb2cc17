"""Cards as a push with these settings writes them."""

import dataclasses

from huggingface_hub import ModelCard

from components.hf_pusher.contents import Names, model_content
from components.hf_pusher.settings import PushSettings

NAMES = Names("me/support-triage", "me/support-triage")


def content_of(source, **settings):
    return model_content(PushSettings(**settings), source, NAMES)


def card_of(source, **settings):
    return ModelCard(content_of(source, **settings).files["README.md"].decode())


def without_base(source, **changes):
    models = {"tuned": source.report.models["tuned"]}
    report = source.report.model_copy(update={"models": models, **changes})
    return dataclasses.replace(source, report=report)
