import functools

import pytest
import tensorflow as tf
import tensorflow_transform.beam as tft_beam
from tensorflow_transform.tf_metadata import dataset_metadata, schema_utils

from core.families import GEMMA
from core.family import ChatTemplate
from models import data
from models.preprocessing import format_prompts, format_responses, preprocessing_fn

ROWS = [
    ("Where is my order?", '{"category": "shipping"}'),
    ("Grüße, 注文はどこ? 😀", "línea\nnueva"),
    ("", ""),
]


def test_a_prompt_is_a_user_turn_and_the_opening_of_the_models():
    text = format_prompts("Where is my order?").numpy().decode()
    assert text == ("<start_of_turn>user\nWhere is my order?<end_of_turn>\n<start_of_turn>model\n")


def test_a_response_ends_its_turn():
    assert format_responses(["yes", "naïve ✓"]).numpy().tolist() == [
        b"yes<end_of_turn>",
        "naïve ✓<end_of_turn>".encode(),
    ]


@pytest.mark.parametrize("shape", [(), (3,), (3, 1)], ids=str)
def test_texts_keep_the_shape_of_the_prompts(shape):
    assert format_prompts(tf.fill(shape, "x")).shape == shape


def test_the_turn_markers_are_one_token_each_and_the_template_adds_no_bos(tokenizer):
    [ids] = data.encode(["<start_of_turn>user\nhi<end_of_turn>\n<start_of_turn>model\n"], tokenizer)
    start, end = (tokenizer.token_to_id(t) for t in ("<start_of_turn>", "<end_of_turn>"))
    assert ids.count(start) == 2
    assert ids.count(end) == 1
    assert tokenizer.start_token_id not in ids


def test_a_template_comes_back_from_its_json():
    other = ChatTemplate(prefix="[INST] ", suffix=" [/INST]\n", end="</s>")
    for template in (GEMMA, other):
        assert ChatTemplate.from_json(template.to_json(sequence_length=512)) == template


def test_transform_writes_the_texts_that_the_model_is_served_with(tmp_path):
    schema = schema_utils.schema_from_feature_spec(
        {name: tf.io.FixedLenFeature([1], tf.string) for name in ("prompt", "output", "origin")}
    )
    rows = [
        {"prompt": [prompt.encode()], "output": [output.encode()], "origin": [b"seed"]}
        for prompt, output in ROWS
    ]
    with tft_beam.Context(temp_dir=str(tmp_path)):
        (transformed, metadata), _ = (
            rows,
            dataset_metadata.DatasetMetadata(schema),
        ) | tft_beam.AnalyzeAndTransformDataset(
            functools.partial(preprocessing_fn, custom_config={"preset": "gemma3_270m"})
        )
    assert {feature.name for feature in metadata.schema.feature} == {"prompt_text", "response_text"}
    written = [(row["prompt_text"].item(), row["response_text"].item()) for row in transformed]
    served = format_prompts([prompt for prompt, _ in ROWS]).numpy()
    ends = [f"{output}<end_of_turn>".encode() for _, output in ROWS]
    assert written == list(zip(served.tolist(), ends, strict=True))
