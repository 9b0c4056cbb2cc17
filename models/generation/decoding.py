"""Decoding loops that are compiled once.

KerasHub's own loop starts at the end of a batch's shortest prompt, takes the others' tokens one by
one, and copies the cache of all layers at every token. On TensorFlow `CachedDecoder` starts all
rows at once, each at its own position, and updates a layer's cache in place; it knows the layers of
some families. `KerasHubDecoder` serves every other model.
"""

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import keras
import keras_hub
import numpy as np
import tensorflow as tf
from keras_hub.models import Backbone, CausalLM
from keras_hub.samplers import Sampler

from core.optimizations import GenerationOptimizations
from models.backend import has_accelerator
from models.data import Array
from models.distribution import distribute_inputs
from models.tensorflow_patches.cached_attention import Cache, empty_caches, forward, is_known
from models.tensorflow_patches.packed_output_table import (
    is_worth_packing,
    packed_logits,
    packed_spec,
    packed_table,
)

Caches = tuple[Cache, ...]
Inputs = Mapping[str, Array]

ALL_ON = GenerationOptimizations()
_LENGTH_MULTIPLE = 64


def make_decoder(
    model: CausalLM,
    stop_ids: tuple[int, ...],
    temperature: float,
    seed: int,
    optimizations: GenerationOptimizations = ALL_ON,
) -> "CachedDecoder | KerasHubDecoder":
    """Make the faster decoder that knows a model."""
    sampler = None
    if temperature:
        sampler = keras_hub.samplers.RandomSampler(seed=seed, temperature=temperature)
    is_cached = optimizations.cached_decoding and keras.backend.backend() == "tensorflow"
    if is_cached and is_known(model.backbone):
        packs = optimizations.packed_output_table
        return CachedDecoder(model.backbone, stop_ids, sampler, packs=packs)
    return KerasHubDecoder(model, stop_ids, sampler or keras_hub.samplers.GreedySampler())


class KerasHubDecoder:
    """KerasHub's own loop, on all backends."""

    def __init__(self, model: CausalLM, stop_ids: tuple[int, ...], sampler: Sampler) -> None:
        model.compile(sampler=sampler, jit_compile=False)
        self.compiles_shapes = keras.backend.backend() != "tensorflow"
        self._multiple = _LENGTH_MULTIPLE if self.compiles_shapes else 1
        self._step: Callable[[Inputs], Mapping[str, tf.Tensor]]
        if self.compiles_shapes:
            function = model.make_generate_function()
            self._step = lambda inputs: function(distribute_inputs(inputs), stop_token_ids=stop_ids)
            return
        # Of unknown length, so that one trace (16 to 30 s) serves batches of all lengths.
        spec = {
            "token_ids": tf.TensorSpec((None, None), tf.int32),
            "padding_mask": tf.TensorSpec((None, None), tf.bool),
        }

        @tf.function(input_signature=[spec])
        def step(inputs: Mapping[str, tf.Tensor]) -> Mapping[str, tf.Tensor]:
            return model.generate_step(inputs, stop_token_ids=stop_ids)

        self._step = step

    def ready(self) -> contextlib.AbstractContextManager[None]:
        """Do nothing; see `CachedDecoder`."""
        return contextlib.nullcontext()

    def program(self, rows: Sequence[Sequence[int]], max_output_tokens: int) -> int:
        """Tell compiled programs apart: one for each length, or one for all."""
        return self._length(rows, max_output_tokens) if self.compiles_shapes else 0

    def _length(self, rows: Sequence[Sequence[int]], max_output_tokens: int) -> int:
        length = max(map(len, rows)) + max_output_tokens
        return -(-length // self._multiple) * self._multiple

    def __call__(self, rows: Sequence[Sequence[int]], max_output_tokens: int) -> list[list[int]]:
        """Continue the rows; see `CachedDecoder`."""
        length = self._length(rows, max_output_tokens)
        token_ids = np.zeros((len(rows), length), "int32")
        padding_mask = np.zeros((len(rows), length), "bool")
        for i, row in enumerate(rows):
            token_ids[i, : len(row)] = row
            padding_mask[i, : len(row)] = True
        output = self._step({"token_ids": token_ids, "padding_mask": padding_mask})
        return [
            ids[len(row) : len(row) + max_output_tokens].tolist()
            for ids, row in zip(keras.ops.convert_to_numpy(output["token_ids"]), rows, strict=True)
        ]


class CachedDecoder:
    """A loop over the layers of one backbone; one trace (10 to 20 s) serves all shapes.

    Args:
        backbone: One whose layers are known.
        stop_ids: Tokens that end a response.
        sampler: How the next token is taken; None takes the likeliest.
        packs: Whether to copy the output weights where that is faster.
    """

    compiles_shapes = False

    def __init__(
        self,
        backbone: Backbone,
        stop_ids: tuple[int, ...],
        sampler: Sampler | None,
        *,
        packs: bool = True,
    ) -> None:
        self._backbone = backbone
        self._stop_ids = stop_ids
        self._sampler = sampler
        self._nothing = empty_caches(backbone, 1)
        embedding = backbone.token_embedding
        self._packs = packs and is_worth_packing(embedding) and not has_accelerator()
        self._ready: list[tf.Tensor] | None = None
        tables = [packed_spec(embedding)] if self._packs else []
        caches = tf.nest.map_structure(_of_any_length, self._nothing)
        tokens = tf.TensorSpec((None, None), tf.int32)
        lengths, limit = tf.TensorSpec((None,), tf.int32), tf.TensorSpec((), tf.int32)
        # Without autograph, which finds nothing to convert and warns of what it cannot read.
        self._generated = tf.function(
            self._generate,
            input_signature=[tokens, lengths, limit, caches, *tables],
            autograph=False,
        )
        self._filled = tf.function(
            lambda token_ids, prefix: self._fill(token_ids, prefix)[1],
            input_signature=[tokens, caches],
            autograph=False,
        )

    @contextlib.contextmanager
    def ready(self) -> Iterator[None]:
        """Keep the packed weights from batch to batch while the context is open."""
        self._ready = self._tables()
        try:
            yield
        finally:
            self._ready = None

    def program(self, rows: Sequence[Sequence[int]], max_output_tokens: int) -> int:
        """Return the same for all batches: one program serves them."""
        return 0

    def _tables(self) -> list[tf.Tensor]:
        return [packed_table(self._backbone.token_embedding)] if self._packs else []

    def prefix(self, token_ids: Sequence[int]) -> Caches:
        """Compute the caches of tokens that rows begin with."""
        filled: Caches = self._filled(np.array([token_ids], "int32"), self._nothing)
        return filled

    def __call__(
        self, rows: Sequence[Sequence[int]], max_output_tokens: int, prefix: Caches | None = None
    ) -> list[list[int]]:
        """Continue the rows.

        Args:
            rows: Token ids of the prompts, without those of the prefix; none is empty.
            max_output_tokens: Maximum tokens per response.
            prefix: From `prefix`, of the tokens that all rows begin with.

        Returns:
            Token ids, as many for each row. Those after a row's first stop are meaningless.
        """
        lengths = np.array([len(row) for row in rows], "int32")
        token_ids = np.zeros((len(rows), lengths.max()), "int32")
        for ids, row in zip(token_ids, rows, strict=True):
            ids[: len(row)] = row
        limit = np.int32(max_output_tokens)
        tables = self._tables() if self._ready is None else self._ready
        generated = self._generated(token_ids, lengths, limit, prefix or self._nothing, *tables)
        found: list[list[int]] = generated.numpy()[:, :max_output_tokens].tolist()
        return found

    def _fill(self, token_ids: tf.Tensor, prefix: Caches) -> tuple[tf.Tensor, Caches]:
        """Compute the hidden states of the prompts, and the caches of prefix and prompts."""
        rows, tokens = tf.unstack(tf.shape(token_ids))

        def with_room(cache: tf.Tensor) -> tf.Tensor:
            _, heads, begun, size = tf.unstack(tf.shape(cache))
            cache = tf.broadcast_to(cache, (rows, heads, begun, size))
            return tf.pad(cache, [(0, 0), (0, 0), (0, tokens), (0, 0)])

        positions = tf.shape(prefix[0][0])[2] + tf.range(tokens)
        positions = tf.broadcast_to(positions, (rows, tokens))
        caches = tf.nest.map_structure(with_room, prefix)
        return forward(self._backbone, token_ids, positions, caches)

    def _generate(
        self,
        token_ids: tf.Tensor,
        lengths: tf.Tensor,
        limit: tf.Tensor,
        prefix: Caches,
        *tables: tf.Tensor,
    ) -> tf.Tensor:
        begun = tf.shape(prefix[0][0])[2]
        hidden, caches = self._fill(token_ids, prefix)
        # A row's padding is in its cache, too, but a row attends only to what is before its
        # position, where its response replaces the padding.
        caches = tf.nest.map_structure(
            lambda cache: tf.pad(cache, [(0, 0), (0, 0), (0, limit), (0, 0)]), caches
        )
        token = self._next(tf.gather(hidden, lengths - 1, batch_dims=1), *tables)

        def is_unfinished(
            _: tf.Tensor, generated: tf.Tensor, done: tf.Tensor, *__: object
        ) -> tf.Tensor:
            return (tf.shape(generated)[1] < limit) & ~tf.reduce_all(done)

        def step(
            token: tf.Tensor,
            generated: tf.Tensor,
            done: tf.Tensor,
            position: tf.Tensor,
            caches: Caches,
        ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor, tf.Tensor, Caches]:
            hidden, caches = forward(self._backbone, token[:, None], position[:, None], caches)
            token = self._next(hidden[:, 0], *tables)
            generated = tf.concat([generated, token[:, None]], axis=1)
            return token, generated, done | self._stops(token), position + 1, caches

        start = (token, token[:, None], self._stops(token), begun + lengths, caches)
        shapes = tf.nest.map_structure(lambda tensor: tensor.shape, start)
        shapes = (shapes[0], tf.TensorShape((None, None)), *shapes[2:])
        return tf.while_loop(is_unfinished, step, start, shapes)[1]

    def _next(self, hidden: tf.Tensor, *tables: tf.Tensor) -> tf.Tensor:
        embedding = self._backbone.token_embedding
        if tables:
            logits = packed_logits(embedding, hidden, *tables)
        else:
            logits = embedding(hidden[:, None], reverse=True)[:, 0]
        if self._sampler is None:
            return tf.argmax(logits, axis=-1, output_type=tf.int32)
        probabilities = self._sampler.compute_probabilities(logits)
        return tf.cast(self._sampler.get_next_token(probabilities), tf.int32)

    def _stops(self, token: tf.Tensor) -> tf.Tensor:
        return tf.reduce_any(token[:, None] == tf.constant(self._stop_ids, tf.int32), axis=1)


def _of_any_length(cache: tf.Tensor) -> tf.TensorSpec:
    _, heads, _, size = cache.shape
    return tf.TensorSpec((None, heads, None, size), cache.dtype)
