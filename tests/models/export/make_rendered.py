"""Makes `rendered.json`: the conversations as transformers itself renders them.

In an environment with transformers and pydantic:

    PYTHONPATH=. python tests/models/export/make_rendered.py
"""

import json
from pathlib import Path

import jinja2
import transformers
from tokenizers import Tokenizer, models

from models.export.chat_templates import jinja_chat_template
from tests.models.export.conversations import CONVERSATIONS, TEMPLATES


def rendered(source: str) -> list[str | None]:
    """The conversations with a chat template; None where it refuses."""
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=Tokenizer(models.WordLevel({"<s>": 0}, unk_token="<s>")),
        bos_token="<s>",
        chat_template=source,
    )
    texts: list[str | None] = []
    for messages, _ in CONVERSATIONS:
        try:
            text = tokenizer.apply_chat_template(
                messages, tokenize=False, add_generation_prompt=True
            )
        except jinja2.TemplateError:
            text = None
        texts.append(text)
    return texts


def main() -> None:
    """Write the file."""
    sources = {name: jinja_chat_template(template) for name, template in TEMPLATES.items()}
    facts = {
        "transformers": transformers.__version__,
        "templates": sources,
        "conversations": [messages for messages, _ in CONVERSATIONS],
        "texts": {name: rendered(source) for name, source in sources.items()},
    }
    text = json.dumps(facts, indent=1, ensure_ascii=False)
    Path(__file__).with_name("rendered.json").write_text(f"{text}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
