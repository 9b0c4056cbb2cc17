"""What has to be known of a model family: its chat template, its parts in KerasHub, its license."""

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from typing import Self

from core.base_model import License

_INVISIBLE = "\u200b"  # a space of no width


@dataclasses.dataclass(frozen=True)
class ChatTemplate:
    """How a prompt and a response are written for a model.

    Attributes:
        prefix: Text before a prompt; the beginning-of-sequence token is not part of it.
        suffix: Text between a prompt and its response.
        end: Ends a response; a model that writes it has finished.
        between: Text between the end of an earlier response and the prefix of the next turn.
        markers: Texts that tokenizers read as control tokens. In what a person types they are split
            by an invisible character, so that they stay text.
    """

    prefix: str
    suffix: str
    end: str
    between: str = ""
    markers: tuple[str, ...] = ()

    def text(self, messages: Sequence[Mapping[str, str]]) -> str:
        """Return turns as the model reads them, up to where its response begins.

        Args:
            messages: `role` and `content`, the user's and the assistant's in turn, the last one the
                user's.
        """
        return "".join(
            f"{self.prefix}{self.plain(message['content'])}{self.suffix}"
            if message["role"] == "user"
            else f"{self.plain(message['content'])}{self.end}{self.between}"
            for message in messages
        )

    def plain(self, text: str) -> str:
        """Return what a person typed with no control token in it."""
        for marker, split in self.split_markers.items():
            text = text.replace(marker, split)
        return text

    @property
    def split_markers(self) -> dict[str, str]:
        """Each marker with the text that it becomes where a person typed it."""
        return {marker: f"{marker[0]}{_INVISIBLE}{marker[1:]}" for marker in self.markers}

    def to_json(self, **facts: int) -> str:
        """Return the template and further facts as JSON; `stop` holds `end`."""
        values = {
            "prefix": self.prefix,
            "suffix": self.suffix,
            "stop": [self.end],
            "between": self.between,
            "markers": self.markers,
        }
        return json.dumps({**values, **facts}, indent=2)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Return the template that `to_json` wrote; earlier versions wrote no more than three."""
        values = json.loads(text)
        return cls(
            values["prefix"],
            values["suffix"],
            values["stop"][0],
            values.get("between", ""),
            tuple(values.get("markers", ())),
        )


@dataclasses.dataclass(frozen=True)
class DecoderLayout:
    """Attribute names of a KerasHub decoder block, for decoding with a cache of our own.

    Attributes:
        attention: The block's attention layer.
        prefix: Of the names of the attention's projections.
        rotary: The attention's rotary embedding.
        scales_embeddings: Whether token embeddings are multiplied by the root of their width.
    """

    attention: str
    prefix: str
    rotary: str
    scales_embeddings: bool


@dataclasses.dataclass(frozen=True)
class TransformersFormat:
    """How a family is written for Hugging Face transformers.

    Attributes:
        export: Function of `models/export/hf_state_dict.py` from a KerasHub backbone to the content
            of `config.json` and the weights by name.
        tokenizer_class: For a SentencePiece tokenizer; the default takes `tokenizer.json` as it is.
        pad_token: The tokenizer's padding, if it has one.
    """

    export: str
    tokenizer_class: str = "PreTrainedTokenizerFast"
    pad_token: str | None = None


@dataclasses.dataclass(frozen=True)
class GgufFormat:
    """How a family is written for llama.cpp, and read from its files.

    Attributes:
        architectures: llama.cpp's name of the architecture by transformers' `model_type`.
        norm_offset: What llama.cpp has added to the scale of an RMS norm.
        pairs_rotary: Whether both features of a rotary pair are neighbours.
        sliding_window: Whether llama.cpp reads the size of a sliding window.
        load: Function of `models/loading/gguf.py` from a GGUF file to a KerasHub model; empty where
            there is none.
    """

    architectures: Mapping[str, str]
    norm_offset: int = 0
    pairs_rotary: bool = False
    sliding_window: bool = False
    load: str = ""


@dataclasses.dataclass(frozen=True)
class Family:
    """A row of the table of families.

    Attributes:
        tag: The family's tag on the Hub.
        pattern: Regular expression found in the names of its models, which are compared in lower
            case without hyphens, underscores and spaces.
        backbones: KerasHub's classes.
        chat_template: As the family's instruction-tuned models were trained.
        base_chat_template: For base models that the markers of `chat_template` mean nothing to;
            None where they do well with it.
        licenses: By a pattern of the model's name; the first that is found. No pattern is wider
            than it must be: other models of a family have other licenses.
        contexts: Tokens that a model reads at most, by a pattern of its name; the first that is
            found.
        hub_ids: Ids on the Hugging Face Hub by KerasHub's names of the same weights.
        decoder: None where responses are generated by KerasHub's own loop.
        sharding: KerasHub's backbone class with the layout of the weights over accelerators.
        transformers: None where there is no export to transformers.
        gguf: None where there is no export to GGUF.
        saved_model: Whether its tokenizer can be part of a SavedModel.
        reads_images: Pattern of the names, in lower case, of models that also read images, and so
            have no export to transformers and GGUF; empty where none does.
        not_exported: Why other models of the family have none, by a pattern of their names.
        tiny: Random two-layer models for tests: functions of `models/loading/tiny.py` by preset.
    """

    tag: str
    pattern: str
    backbones: tuple[str, ...]
    chat_template: ChatTemplate
    base_chat_template: ChatTemplate | None = None
    licenses: Mapping[str, License] = dataclasses.field(default_factory=dict)
    contexts: Mapping[str, int] = dataclasses.field(default_factory=dict)
    hub_ids: Mapping[str, str] = dataclasses.field(default_factory=dict)
    decoder: DecoderLayout | None = None
    sharding: str = ""
    transformers: TransformersFormat | None = None
    gguf: GgufFormat | None = None
    saved_model: bool = True
    reads_images: str = ""
    not_exported: Mapping[str, str] = dataclasses.field(default_factory=dict)
    tiny: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def why_no_export(self, name: str, export: str, *, reads_images: bool) -> str:
        """Say why a model cannot be written in a format; empty where it can.

        Args:
            name: The model's, as patterns are compared with it.
            export: One of `TrainHParams.exports`.
            reads_images: Whether it also reads images.
        """
        if export == "saved_model":
            return "" if self.saved_model else "a SavedModel cannot hold its tokenizer"
        if getattr(self, export) is None:
            return f"its family cannot be exported to {export}"
        if reads_images:
            return "it also reads images, and only text models are exported"
        found = (why for pattern, why in self.not_exported.items() if re.search(pattern, name))
        return next(found, "")
