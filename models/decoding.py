"""What a model goes on with after prompts: loops that are compiled once.

KerasHub's own loop starts at the end of a batch's shortest prompt, takes the others' tokens one by
one, and copies the cache of all layers at every token. On TensorFlow `CachedDecoder` lets all rows
begin at once, each at its own position, and leaves a layer's cache where it is; it knows the layers
of some families. `KerasHubDecoder` serves every other model.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from models.backend import has_accelerator
from models.cached_attention import Cache, empty_caches, forward, is_known
from models.distribution import divided
from models.output_head import is_worth_packing, packed_logits, packed_spec, packed_table

Caches = tuple[Cache, ...]

_LENGTH_MULTIPLE = 64


def decoder(
    model: Any, stop_ids: tuple[int, ...], temperature: float, seed: int
) -> "CachedDecoder | KerasHubDecoder":
    """The faster decoder that knows a model.

    Args:
        model: A KerasHub causal language model.
        stop_ids: Tokens that end a response.
        temperature: 0 takes the likeliest token always.
        seed: Seed number of the sampling.
    """
    from keras_hub.samplers import GreedySampler, RandomSampler

    sampler = RandomSampler(seed=seed, temperature=temperature) if temperature else None
    if keras.backend.backend() == "tensorflow" and is_known(model.backbone):
        return CachedDecoder(model.backbone, stop_ids, sampler)
    return KerasHubDecoder(model, stop_ids, sampler or GreedySampler())


class KerasHubDecoder:
    """KerasHub's own loop, on all backends.

    Args:
        model: A KerasHub causal language model.
        stop_ids: Tokens that end a response.
        sampler: KerasHub's.
    """

    def __init__(self, model: Any, stop_ids: tuple[int, ...], sampler: Any) -> None:
        model.compile(sampler=sampler, jit_compile=False)
        self.compiles_shapes = keras.backend.backend() != "tensorflow"
        self._multiple = _LENGTH_MULTIPLE if self.compiles_shapes else 1
        self._step: Callable[[dict[str, Any]], Any]
        if self.compiles_shapes:
            function = model.make_generate_function()
            self._step = lambda inputs: function(divided(inputs), stop_token_ids=stop_ids)
            return
        # Of unknown length, so that one trace (16 to 30 s) serves batches of all lengths.
        spec = {
            "token_ids": tf.TensorSpec((None, None), tf.int32),
            "padding_mask": tf.TensorSpec((None, None), tf.bool),
        }

        @tf.function(input_signature=[spec])
        def step(inputs: Any) -> Any:
            return model.generate_step(inputs, stop_token_ids=stop_ids)

        self._step = step

    def ready(self) -> contextlib.AbstractContextManager[None]:
        """See `CachedDecoder`; here nothing is made ready."""
        return contextlib.nullcontext()

    def __call__(self, rows: Sequence[Sequence[int]], max_output_tokens: int) -> list[list[int]]:
        """What the rows go on with; see `CachedDecoder`."""
        length = max(map(len, rows)) + max_output_tokens
        length = -(-length // self._multiple) * self._multiple
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
        sampler: KerasHub's; None takes the likeliest token.
    """

    compiles_shapes = False

    def __init__(self, backbone: Any, stop_ids: tuple[int, ...], sampler: Any) -> None:
        self._backbone = backbone
        self._stop_ids = stop_ids
        self._sampler = sampler
        self._nothing = empty_caches(backbone, 1)
        embedding = backbone.token_embedding
        self._packs = is_worth_packing(embedding) and not has_accelerator()
        self._ready: list[Any] | None = None
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
        """While the context is open, the weights are not read anew for every batch."""
        self._ready = self._tables()
        try:
            yield
        finally:
            self._ready = None

    def _tables(self) -> list[Any]:
        return [packed_table(self._backbone.token_embedding)] if self._packs else []

    def prefix(self, token_ids: Sequence[int]) -> Caches:
        """The caches of tokens that rows begin with."""
        filled: Caches = self._filled(np.array([token_ids], "int32"), self._nothing)
        return filled

    def __call__(
        self, rows: Sequence[Sequence[int]], max_output_tokens: int, prefix: Caches | None = None
    ) -> list[list[int]]:
        """What the rows go on with.

        Args:
            rows: Token ids of the prompts, without those of the prefix; none is empty.
            max_output_tokens: Tokens of a response at most.
            prefix: What `prefix` returned of the tokens that all rows begin with.

        Returns:
            Token ids, as many for each row. Those after a row's first stop mean nothing.
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

    def _fill(self, token_ids: Any, prefix: Caches) -> tuple[Any, Caches]:
        """Hidden states of the prompts' tokens, and the caches of prefix and prompts."""
        rows, tokens = tf.unstack(tf.shape(token_ids))

        def with_room(cache: Any) -> Any:
            _, heads, begun, size = tf.unstack(tf.shape(cache))
            cache = tf.broadcast_to(cache, (rows, heads, begun, size))
            return tf.pad(cache, [(0, 0), (0, 0), (0, tokens), (0, 0)])

        positions = tf.shape(prefix[0][0])[2] + tf.range(tokens)
        positions = tf.broadcast_to(positions, (rows, tokens))
        caches = tf.nest.map_structure(with_room, prefix)
        return forward(self._backbone, token_ids, positions, caches)

    def _generate(
        self, token_ids: Any, lengths: Any, limit: Any, prefix: Caches, *tables: Any
    ) -> Any:
        begun = tf.shape(prefix[0][0])[2]
        hidden, caches = self._fill(token_ids, prefix)
        # A row's padding lies in its cache, too, but a row sees only what lies before its position,
        # where its response takes the padding's place.
        caches = tf.nest.map_structure(
            lambda cache: tf.pad(cache, [(0, 0), (0, 0), (0, limit), (0, 0)]), caches
        )
        token = self._next(tf.gather(hidden, lengths - 1, batch_dims=1), *tables)

        def going_on(_: Any, generated: Any, done: Any, *__: Any) -> Any:
            return (tf.shape(generated)[1] < limit) & ~tf.reduce_all(done)

        def step(token: Any, generated: Any, done: Any, position: Any, caches: Any) -> Any:
            hidden, caches = forward(self._backbone, token[:, None], position[:, None], caches)
            token = self._next(hidden[:, 0], *tables)
            generated = tf.concat([generated, token[:, None]], axis=1)
            return token, generated, done | self._stops(token), position + 1, caches

        start = (token, token[:, None], self._stops(token), begun + lengths, caches)
        shapes = tf.nest.map_structure(lambda tensor: tensor.shape, start)
        shapes = (shapes[0], tf.TensorShape((None, None)), *shapes[2:])
        return tf.while_loop(going_on, step, start, shapes)[1]

    def _next(self, hidden: Any, *tables: Any) -> Any:
        embedding = self._backbone.token_embedding
        if tables:
            logits = packed_logits(embedding, hidden, *tables)
        else:
            logits = embedding(hidden[:, None], reverse=True)[:, 0]
        if self._sampler is None:
            return tf.argmax(logits, axis=-1, output_type=tf.int32)
        probabilities = self._sampler.compute_probabilities(logits)
        return tf.cast(self._sampler.get_next_token(probabilities), tf.int32)

    def _stops(self, token: Any) -> Any:
        return tf.reduce_any(token[:, None] == tf.constant(self._stop_ids, tf.int32), axis=1)


def _of_any_length(cache: Any) -> tf.TensorSpec:
    _, heads, _, size = cache.shape
    return tf.TensorSpec((None, heads, None, size), cache.dtype)
