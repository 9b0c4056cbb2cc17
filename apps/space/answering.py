"""Loads the tuned model in the background and streams its responses; independent of the page."""

import json
import os
import queue
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

# KerasHub's Gemma tokenizers need TensorFlow, so its backend costs nothing extra.
os.environ.setdefault("KERAS_BACKEND", "tensorflow")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

GENERATION_FILE = "generation.json"
_INVISIBLE = "\u200b"  # a space of no width
# The preset and how it is prompted. A repository holds other exports, several times as large; the
# names are whole, since a pattern's star would also match folders.
_SERVED_FILES = [
    GENERATION_FILE,
    "config.json",
    "metadata.json",
    "task.json",
    "preprocessor.json",
    "tokenizer.json",
    "model.weights.json",
    "model*.weights.h5",  # one file, or the parts of a large model
    "assets/*",
]
_TOKEN_ENV = "HF_TOKEN"
_REFUSED = (401, 403)
_MIN_ANSWER_TOKENS = 16  # a prompt that leaves less room gets no useful response


class NoModelError(Exception):
    """The model cannot be loaded, or a prompt does not fit; the message is for the visitor."""


class Answerer:
    """A model that is loaded by a thread of its own and answers one prompt at a time.

    Args:
        model: Folder of the model, or its `owner/name` on the Hub.
        revision: Tag, branch or commit on the Hub; None for `main`.
    """

    def __init__(self, model: str, revision: str | None = None) -> None:
        self._model_name = model
        self._revision = revision
        self._model: Any = None
        self._generation: dict[str, Any] = {}
        self._stop: tuple[int, ...] = ()
        self._tokens: queue.SimpleQueue[int] = queue.SimpleQueue()
        self._busy = threading.Lock()
        self._done = threading.Event()
        self._started = time.monotonic()
        self._error = ""

    def start(self) -> None:
        """Begin to load; returns at once."""
        self._started = time.monotonic()
        threading.Thread(target=self._load, name="load-model", daemon=True).start()

    @property
    def is_ready(self) -> bool:
        """Whether `stream` answers without waiting for the model."""
        return self._done.is_set() and not self._error

    @property
    def error(self) -> str:
        """Why there is no model, or an empty string."""
        return self._error

    @property
    def loading_seconds(self) -> int:
        """Seconds since loading began."""
        return int(time.monotonic() - self._started)

    def stream(self, prompt: str, earlier: Sequence[str] = ()) -> Iterator[str]:
        """Yield the response so far, each time a token was added; the last one is whole.

        Waits for the model while it loads.

        Args:
            prompt: The visitor's message.
            earlier: Texts of the turns before, the visitor's and the model's in turn.

        Raises:
            NoModelError: There is no model, or the prompt is too long for it.
        """
        self._done.wait()
        if self._error:
            raise NoModelError(self._error)
        with self._busy:
            yield from self._generate(prompt, earlier)

    def _load(self) -> None:
        try:
            self._load_model()
        except NoModelError as error:
            self._error = str(error)
        except Exception as error:
            self._error = f"The model could not be loaded: {type(error).__name__}: {error}"
        finally:
            self._done.set()

    def _load_model(self) -> None:
        folder = _fetch(self._model_name, self._revision)
        self._generation = read_generation(folder)
        self._model = _load_preset(folder / "preset", folder)
        self._model.compile(sampler=_streaming_sampler(self._tokens.put), jit_compile=False)
        tokenizer = self._model.preprocessor.tokenizer
        ends = (tokenizer.token_to_id(end) for end in self._generation["stop"])
        self._stop = tuple(sorted({tokenizer.end_token_id, *ends}))
        # The first response compiles the model; better here than while a visitor waits.
        self._whole(self._turn("."))

    @property
    def _max_length(self) -> int:
        return int(self._generation["sequence_length"])

    def _turn(self, prompt: str, earlier: Sequence[str] = ()) -> str:
        """Return the turns as the model reads them."""
        form = self._generation
        before = form["prefix"], ""
        after = form["suffix"], form["stop"][0] + form.get("between", "")
        texts = map(self._plain, (*earlier, prompt))
        return "".join(f"{before[n % 2]}{text}{after[n % 2]}" for n, text in enumerate(texts))

    def _plain(self, text: str) -> str:
        """Split the control tokens in what a visitor types, so that they stay text."""
        for marker in self._generation.get("markers", ()):
            text = text.replace(marker, f"{marker[0]}{_INVISIBLE}{marker[1:]}")
        return text

    def _generate(self, prompt: str, earlier: Sequence[str]) -> Iterator[str]:
        tokenizer = self._model.preprocessor.tokenizer
        turn = self._turn(prompt, earlier)
        room = self._max_length - len(tokenizer(turn)) - 1  # the start token takes one
        if room < _MIN_ANSWER_TOKENS:
            raise NoModelError(
                f"This message is too long for the model by {_MIN_ANSWER_TOKENS - room} tokens. "
                "Shorten it."
            )
        while not self._tokens.empty():
            self._tokens.get()
        result: list[str] = []
        worker = threading.Thread(target=lambda: result.append(self._whole(turn)), daemon=True)
        worker.start()
        try:
            yield from self._partial(worker, tokenizer)
        finally:
            # Also for a visitor who left: what is still generated must not mix with the next one's.
            worker.join()
        if not result:
            raise NoModelError("The model failed on this message. The log of the app says why.")
        yield result[0]

    def _partial(self, worker: threading.Thread, tokenizer: Any) -> Iterator[str]:
        tokens: list[int] = []
        while worker.is_alive() or not self._tokens.empty():
            try:
                tokens.append(self._tokens.get(timeout=0.1))
            except queue.Empty:
                continue
            if tokens[-1] not in self._stop:
                # A character of several tokens is not shown before it is whole.
                yield str(tokenizer.detokenize(tokens)).rstrip("\ufffd")

    def _whole(self, turn: str) -> str:
        text = self._model.generate(
            turn, max_length=self._max_length, strip_prompt=True, stop_token_ids=self._stop
        )
        for stop in self._generation["stop"]:
            text = text.split(stop)[0]
        return str(text)


def _fetch(model: str, revision: str | None) -> Path:
    """Return the local folder of the model, downloaded from the Hub where it is no folder."""
    if Path(model).is_dir():
        return Path(model)
    if model.startswith((".", "/")) or model.count("/") != 1:
        raise NoModelError(f"There is no model at {model}. Run the pipeline first.")
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import HfHubHTTPError, RepositoryNotFoundError

    try:
        return Path(snapshot_download(model, revision=revision, allow_patterns=_SERVED_FILES))
    except (HfHubHTTPError, OSError) as error:
        status = getattr(getattr(error, "response", None), "status_code", None)
        if isinstance(error, RepositoryNotFoundError) or status in _REFUSED:
            raise NoModelError(
                f"The Hub does not know the model {model}, or it is private. Add a token that may "
                f"read it to this Space, as the secret {_TOKEN_ENV}."
            ) from None
        raise NoModelError(f"The model {model} could not be downloaded: {error}") from None


def read_generation(folder: Path) -> dict[str, Any]:
    """Return how the model is prompted, as the Trainer wrote it with the model.

    Raises:
        NoModelError: The folder holds no model of the pipeline.
    """
    try:
        values: dict[str, Any] = json.loads((folder / GENERATION_FILE).read_text("utf-8"))
    except FileNotFoundError:
        raise NoModelError(
            f"The folder {folder} contains no {GENERATION_FILE}, so it is not a model from the "
            "pipeline."
        ) from None
    return values


def _load_preset(*folders: Path) -> Any:
    for folder in folders:
        if (folder / "config.json").is_file():
            import keras_hub

            return keras_hub.models.CausalLM.from_preset(str(folder))
    raise NoModelError(f"The folder {folders[-1]} contains no KerasHub preset.")


def _streaming_sampler(emit: Any) -> Any:
    """Make a greedy sampler that emits each token while KerasHub's own loop continues."""
    import keras_hub
    import numpy as np
    import tensorflow as tf

    def hand_out(token: Any) -> Any:
        emit(int(token[0]))
        return np.asarray(token)

    class StreamingSampler(keras_hub.samplers.GreedySampler):
        def get_next_token(self, probabilities: Any) -> Any:
            token = super().get_next_token(probabilities)
            passed = tf.numpy_function(hand_out, [token], token.dtype)
            passed.set_shape(token.shape)
            return passed

    return StreamingSampler()
