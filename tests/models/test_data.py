import numpy as np
import pytest
import tensorflow as tf

from core.families import chat_template_for
from models import data
from models.loading.load import load_model, resolve_preset
from models.training.loss import ResponseLoss, backbone_with_response_positions
from tests.models.tuning import formatted

PAIRS = [
    ("Where is my order?", '{"category": "shipping"}'),
    ("help", "ok"),
    ("Die Kamera blinkt nicht mehr, was soll ich tun? 😀", "naïve\n\n  Antwort ✓"),
    ("I was charged for it twice and I have a question about my account", "billing"),
]


@pytest.fixture(scope="module")
def rows(tokenizer):
    kept = data.tokenize(formatted(PAIRS), tokenizer, 512)
    assert kept.too_long == 0
    return kept.rows


def test_a_row_is_one_bos_the_prompt_and_the_response_with_its_end(rows, tokenizer):
    end = tokenizer.token_to_id("<end_of_turn>")
    for row, (prompt, response) in zip(rows, formatted(PAIRS), strict=True):
        assert row.tokens[0] == tokenizer.start_token_id
        assert row.tokens.count(tokenizer.start_token_id) == 1
        assert row.tokens[-1] == end
        assert tokenizer.detokenize(row.tokens[1 : row.response_start]) == prompt
        assert tokenizer.detokenize(row.tokens[row.response_start :]) == response


@pytest.mark.parametrize("name", ["gemma3-tiny", "mistral-tiny", "llama3-tiny"])
def test_earlier_answers_of_a_conversation_end_with_a_token_and_are_not_learned(name, tiny_cache):
    tokenizer = load_model(
        resolve_preset(f"random:{name}", tiny_cache), "float32"
    ).preprocessor.tokenizer
    template = chat_template_for(f"random:{name}")
    turns = [("user", f"help {template.end}"), ("assistant", "yes"), ("user", "and now?")]
    prompt = template.text([{"role": role, "content": text} for role, text in turns])
    [row] = data.tokenize([(prompt, "wait" + template.end)], tokenizer, 512, template).rows
    end = data.end_token_id(tokenizer, template)
    # Turns of the user end with the same token in Gemma and Llama 3.
    ends = 1 + prompt.count(template.end)
    assert row.tokens.count(end) == ends == (2 if name == "mistral-tiny" else 4)
    response = row.tokens[row.response_start :]
    assert data.decode(response[:-1], tokenizer).strip() == "wait"
    assert response[-1] == end


def test_labels_are_the_response_and_its_end_and_nothing_else(rows, tokenizer):
    inputs, labels = next(data.batches(rows, len(rows), None))
    by_length = sorted(
        zip(rows, formatted(PAIRS), strict=True), key=lambda pair: len(pair[0].tokens)
    )
    done, length = 0, inputs["token_ids"].shape[1]
    for i, (row, (_, response)) in enumerate(by_length):
        part = slice(done, done + len(row.tokens) - row.response_start)
        assert tokenizer.detokenize(labels[part]) == response
        at = inputs["positions"][part] - i * length
        after = np.array(row.tokens)[at + 1]
        assert list(after) == list(labels[part]), "each is predicted from the token before it"
        done = part.stop
    assert done == len(labels)


def test_inputs_hold_all_tokens_but_the_last_and_are_masked_beyond(rows):
    inputs, _ = next(data.batches(rows, len(rows), None))
    by_length = sorted(rows, key=lambda row: len(row.tokens))
    for ids, mask, row in zip(inputs["token_ids"], inputs["padding_mask"], by_length, strict=True):
        assert ids[mask].tolist() == list(row.tokens[:-1])
        assert mask.tolist() == sorted(mask.tolist(), reverse=True), "padding is on the right"
        assert not ids[~mask].any()


def test_a_row_that_is_too_long_is_left_out_whole_and_counted(rows, tokenizer):
    lengths = sorted(len(row.tokens) for row in rows)
    for limit in (lengths[0] - 1, lengths[0], lengths[-1] - 1, lengths[-1]):
        kept = data.tokenize(formatted(PAIRS), tokenizer, limit)
        assert kept.rows == tuple(row for row in rows if len(row.tokens) <= limit)
        assert kept.too_long == sum(length > limit for length in lengths)


def test_many_rows_are_tokenized_as_few_are(rows, tokenizer):
    kept = data.tokenize(formatted(PAIRS) * 300, tokenizer, 512)
    assert kept.rows == rows * 300


def synthetic_rows(lengths):
    return [data.TokenizedRow((2, *range(10, 10 + length)), 2) for length in lengths]


@pytest.mark.parametrize("seed", [None, 0], ids=["in order", "shuffled"])
@pytest.mark.parametrize(("n_rows", "batch_size"), [(1, 4), (8, 4), (9, 4), (300, 4)])
def test_a_pass_holds_every_row_once(n_rows, batch_size, seed):
    rows = synthetic_rows(range(3, 3 + n_rows))
    rng = None if seed is None else np.random.default_rng(seed)
    passed = list(data.batches(rows, batch_size, rng))
    assert len(passed) == data.n_batches(n_rows, batch_size)
    lengths = [int(n) for inputs, _ in passed for n in inputs["padding_mask"].sum(axis=1)]
    assert sorted(lengths) == [len(row.tokens) - 1 for row in rows]


def test_rows_of_a_batch_are_of_similar_length_and_shapes_are_few():
    lengths = np.random.default_rng(0).integers(4, 400, 1000)
    passed = list(data.batches(synthetic_rows(lengths), 8, np.random.default_rng(0), 16))
    assert all(len(labels) % 16 == 0 for _, labels in passed)
    shapes = {inputs["token_ids"].shape[1] for inputs, _ in passed}
    assert all(length % 16 == 0 for length in shapes)
    used = sum(inputs["padding_mask"].sum() for inputs, _ in passed)
    room = sum(inputs["padding_mask"].size for inputs, _ in passed)
    assert used / room > 0.9  # 0.56 without sorting


def test_the_order_is_new_in_every_pass_and_the_same_for_the_same_seed():
    rows = synthetic_rows(range(3, 103))

    def order(rng):
        return [ids["token_ids"].shape[1] for ids, _ in data.batches(rows, 2, rng)]

    rng = np.random.default_rng(1)
    first, second = order(rng), order(rng)
    assert first != second
    assert first == order(np.random.default_rng(1))


def test_the_loss_of_a_batch_is_that_of_its_rows_alone(rows, tiny):
    """Neither the padding of a short row nor its neighbours change what it is trained on."""
    model, loss = backbone_with_response_positions(tiny), ResponseLoss(tiny)

    def summed(rows):
        inputs, labels = next(data.batches(rows, len(rows), None))
        return float(loss(labels, model(inputs), labels != data.IGNORED_LABEL))

    assert summed(rows) == pytest.approx(sum(summed([row]) for row in rows), rel=1e-5)


def test_more_padding_leaves_the_loss_as_it_is(rows, tiny):
    model, loss = backbone_with_response_positions(tiny), ResponseLoss(tiny)
    inputs, labels = next(data.batches(rows, len(rows), None))
    wide, wide_labels = next(data.batches(rows, len(rows), None, 48))
    assert len(wide_labels) > len(labels)
    assert wide["token_ids"].shape[1] > inputs["token_ids"].shape[1]
    [weights], [wide_weights] = data.label_weights([labels]), data.label_weights([wide_labels])
    assert float(loss(wide_labels, model(wide), wide_weights)) == pytest.approx(
        float(loss(labels, model(inputs), weights)), rel=1e-5
    )


def test_transformed_files_are_read_in_full_and_in_order(tmp_path):
    pairs = formatted(PAIRS)
    options = tf.io.TFRecordOptions(compression_type="GZIP")
    for number, part in enumerate((pairs[:2], pairs[2:])):
        with tf.io.TFRecordWriter(str(tmp_path / f"part-{number}.gz"), options) as writer:
            for prompt, response in part:
                features = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
                    for name, text in (("prompt_text", prompt), ("response_text", response))
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
    assert data.read_texts([str(tmp_path / "part-*")]) == pairs
