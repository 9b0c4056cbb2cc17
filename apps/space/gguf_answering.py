"""The tuned model from its GGUF file in llama.cpp's server, where Keras is not installed."""

import json
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from answering import Answerer, NoModelError, read_generation

_CONTEXT_STEP = 256  # llama.cpp's contexts are multiples of it
_MIN_ANSWER_TOKENS = 16
_SECONDS = 300


class GgufAnswerer(Answerer):
    """Answers from a GGUF file.

    Args:
        model: Folder of the model, for its `generation.json`.
        gguf: The file.
    """

    def __init__(self, model: str, gguf: Path) -> None:
        super().__init__(model)
        self._gguf = gguf
        self._server: Any = None

    def _load_model(self) -> None:
        import xllamacpp

        if not self._gguf.is_file():
            raise NoModelError(f"There is no GGUF file {self._gguf}. Run the pipeline first.")
        self._generation = read_generation(Path(self._model_name))
        params = xllamacpp.CommonParams()
        params.model.path = str(self._gguf)
        params.hostnames = ["127.0.0.1"]
        params.port = 0
        params.n_parallel = 1
        params.n_ctx = -(-self._max_length // _CONTEXT_STEP) * _CONTEXT_STEP
        params.use_jinja = True
        params.ui = False
        self._server = xllamacpp.Server(params)

    def _generate(self, prompt: str, earlier: Sequence[str]) -> Iterator[str]:
        roles = ("user", "assistant")
        turns = enumerate((*earlier, prompt))
        messages = [{"role": roles[number % 2], "content": text} for number, text in turns]
        room = self._max_length - self._tokens_of(messages)
        if room < _MIN_ANSWER_TOKENS:
            raise NoModelError(
                f"This message is too long for the model by {_MIN_ANSWER_TOKENS - room} tokens. "
                "Shorten it."
            )
        body = {"messages": messages, "max_tokens": room, "temperature": 0, "stream": True}
        text = ""
        with self._post("/v1/chat/completions", body) as lines:
            for line in lines:
                data = line.removeprefix(b"data: ").strip()
                if not data.startswith(b"{"):
                    continue
                for choice in json.loads(data).get("choices") or ():
                    text += choice["delta"].get("content") or ""
                yield text

    def _tokens_of(self, messages: list[dict[str, str]]) -> int:
        with self._post("/apply-template", {"messages": messages}) as reply:
            prompt = json.load(reply)["prompt"]
        asked = {"content": prompt, "add_special": True, "parse_special": True}
        with self._post("/tokenize", asked) as reply:
            return len(json.load(reply)["tokens"])

    def _post(self, path: str, body: dict[str, Any]) -> Any:
        request = urllib.request.Request(
            self._server.listening_address + path,
            json.dumps(body).encode(),
            {"Content-Type": "application/json"},
        )
        try:
            return _DIRECT.open(request, timeout=_SECONDS)
        except urllib.error.URLError as error:
            raise NoModelError(f"The model failed on this message ({error}).") from error


# A proxy of the environment is for others than this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
