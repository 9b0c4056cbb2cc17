"""The embedding model that `init --sample --embedder PRESET` picks a sample with."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy.typing as npt

from core.errors import UserError
from pipeline.config import load_config
from pipeline.local.output_dir import OutputPaths
from pipeline.local.standin_server import standin_if_wanted
from service_llm.embedding import open_embedder
from task.privacy import redact
from task.sampling import Embed


@contextlib.contextmanager
def sample_embedder(
    preset: str | None, output_dir: Path, say: Callable[[str], None]
) -> Iterator[Embed | None]:
    """Return what embeds prompts with the embedding model of a preset; None for no preset.

    Vectors are kept in the journal of `output_dir`, so that a repeated `init` pays for none twice.
    Where the preset redacts, personal data is replaced before it is sent.

    Args:
        preset: A name, or a YAML file with an `embedder`.
        output_dir: Where the runs of the new task write.
        say: Gets a line before anything is sent, and one with what it cost.

    Raises:
        UserError: The preset has no embedding model, or it cannot be used.
    """
    if preset is None:
        yield None
        return
    config = load_config(preset)
    if (settings := config.embedder) is None:
        raise UserError(
            f"--embedder {preset!r} names a preset without an 'embedder' section. Add embedder: "
            "{provider, model} to it, or leave --embedder out to pick the sample by TF-IDF."
        )
    journal = str(OutputPaths(output_dir).journal)
    with (
        standin_if_wanted(config),
        open_embedder(settings, journal_uri=journal, component="init", round=0) as embedder,
    ):
        assert embedder is not None  # it has settings

        def embed(texts: list[str]) -> npt.ArrayLike:
            say(f"Embedding {len(texts):,} prompts with {settings.model} …")
            if config.privacy.redact:
                texts = [redact([text], config.privacy).texts[0] for text in texts]
            vectors = embedder(texts)
            usage = embedder.usage()
            cost = "at an unknown price" if usage.cost_usd is None else f"{usage.cost_usd:.4f} USD"
            say(f"Embedded: {usage.prompt_tokens:,} tokens, {cost}.")
            return vectors

        yield embed
