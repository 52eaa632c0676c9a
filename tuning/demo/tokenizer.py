"""The demo's own byte-level BPE tokenizer and its chat template.

The split before BPE is chosen for copying: digits and capitalized words stand alone and never swallow the space
before them, so `Maria` is the same tokens after a space, a quote or a line break.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tokenizers import Regex, Tokenizer
from tokenizers.decoders import ByteLevel as ByteLevelDecoder
from tokenizers.models import BPE
from tokenizers.pre_tokenizers import ByteLevel, Sequence, Split
from tokenizers.processors import TemplateProcessing
from tokenizers.trainers import BpeTrainer

from patchbay.tuning.demo.corpus import Example, Message

PAD, BOS, END = "<|pad|>", "<|bos|>", "<|end|>"
ROLES = ("system", "user", "assistant")
SPECIAL_TOKENS = (PAD, BOS, END, *(f"<|{role}|>" for role in ROLES))
SPLIT = r"\p{N}| ?\p{Ll}+|\p{Lu}+(?!\p{Ll})|\p{Lu}\p{Ll}+|\p{L}|[^\s\p{L}\p{N}]+|\s"
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}"
    "{% set role = message['role'] %}"
    "{% if role == 'developer' %}{% set role = 'system' %}{% elif role == 'tool' %}{% set role = 'user' %}{% endif %}"
    "<|{{ role }}|>{{ (message['content'] or '') | trim }}<|end|>"
    "{% endfor %}{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def id_of(tokenizer: Tokenizer, token: str) -> int:
    """Returns the id of a token that the tokenizer is known to have. Raises KeyError where it has not."""
    found = tokenizer.token_to_id(token)
    if found is None:
        raise KeyError(token)
    return int(found)


def render(messages: tuple[Message, ...]) -> str:
    """Renders these turns and a generation prompt as `CHAT_TEMPLATE` does."""
    turns = "".join(f"<|{turn.role}|>{turn.content.strip()}{END}" for turn in messages)
    return f"{BOS}{turns}<|assistant|>"


def corpus_texts(examples: Iterable[Example]) -> Iterable[str]:
    """Yields every text of the corpus, without the chat's markers."""
    for example in examples:
        yield from (turn.content for turn in example.messages)
        yield example.answer


def train_tokenizer(examples: Iterable[Example], vocab_size: int) -> Tokenizer:
    """Trains a byte-level BPE of at most `vocab_size` entries over the corpus."""
    tokenizer = Tokenizer(BPE())
    tokenizer.pre_tokenizer = Sequence(
        [Split(Regex(SPLIT), "isolated"), ByteLevel(add_prefix_space=False, use_regex=False)]
    )
    tokenizer.decoder = ByteLevelDecoder()
    trainer = BpeTrainer(
        vocab_size=vocab_size,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus_texts(examples), trainer)
    bos = id_of(tokenizer, BOS)
    tokenizer.post_processor = TemplateProcessing(single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos)])
    return tokenizer


def tokenizer_config(max_length: int) -> dict[str, Any]:
    """Builds the `tokenizer_config.json` that transformers and vLLM read."""
    return {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": BOS,
        "eos_token": END,
        "pad_token": PAD,
        "model_max_length": max_length,
        "clean_up_tokenization_spaces": False,
        "chat_template": CHAT_TEMPLATE,
    }


def save_tokenizer(tokenizer: Tokenizer, folder: Path, max_length: int) -> None:
    """Writes the tokenizer as a Hugging Face folder has it."""
    folder.mkdir(parents=True, exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"))
    config = json.dumps(tokenizer_config(max_length), indent=2)
    (folder / "tokenizer_config.json").write_text(f"{config}\n", encoding="utf-8")
