"""A tokenizer of our own making, so that Dynamo can serve a model that nobody has to download.

Each token is a word of printable characters: whatever the mocker invents can be shown as text.
"""

import json
from pathlib import Path
from typing import Final

_WORDS: Final = 4096
_END: Final = "</s>"


def write_model(folder: Path) -> None:
    """Write the files of a model's tokenizer and configuration, as Hugging Face lays them out."""
    folder.mkdir(parents=True)
    vocabulary = {f"w{number}": number for number in range(_WORDS)} | {_END: _WORDS}
    end = {"id": _WORDS, "content": _END, "special": True, "normalized": False}
    edges = {"single_word": False, "lstrip": False, "rstrip": False}
    files: dict[str, object] = {
        "tokenizer.json": {
            "version": "1.0",
            "truncation": None,
            "padding": None,
            "added_tokens": [{**end, **edges}],
            "normalizer": None,
            "pre_tokenizer": {"type": "Whitespace"},
            "post_processor": None,
            "decoder": None,
            "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "w0"},
        },
        "tokenizer_config.json": {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "eos_token": _END,
            "chat_template": "{% for message in messages %}{{ message['content'] }} {% endfor %}",
        },
        "config.json": {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": _WORDS + 1,
            "eos_token_id": _WORDS,
            "max_position_embeddings": 2048,
            "hidden_size": 64,
            "num_attention_heads": 4,
            "num_key_value_heads": 4,
            "num_hidden_layers": 2,
        },
        "generation_config.json": {"eos_token_id": _WORDS},
    }
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content), encoding="utf-8")
