"""The tokenizer: made for copying, and rendered alike by us and by the chat template."""

import pytest
from tokenizers import Tokenizer

from patchbay.tuning.demo.build import ARTIFACTS
from patchbay.tuning.demo.corpus import Message, base_examples
from patchbay.tuning.demo.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS, render, train_tokenizer

TokenIds = list[int]


@pytest.fixture(scope="module")
def shipped() -> Tokenizer:
    return Tokenizer.from_file(str(ARTIFACTS / "base" / "tokenizer.json"))


def ids(tokenizer: Tokenizer, text: str) -> TokenIds:
    return list(tokenizer.encode(text, add_special_tokens=False).ids)


@pytest.mark.parametrize("value", ["Maria Lopez", "Aurora Lamp", "PB-4821", "Zebulon Quux", "907"])
@pytest.mark.parametrize(("before", "after"), [(' "', '",'), (" ", "."), ("\n", "\n"), (" '", "';"), (" (", ")")])
def test_a_value_is_the_same_tokens_wherever_it_stands(shipped: Tokenizer, value: str, before: str, after: str) -> None:
    inside = ids(shipped, f"is{before}{value}{after}")
    alone = ids(shipped, value)
    assert any(inside[at : at + len(alone)] == alone for at in range(len(inside)))


def test_digits_are_one_token_each(shipped: Tokenizer) -> None:
    assert len(ids(shipped, "0123456789")) == 10


def test_special_tokens_are_one_token_each_and_never_learned_from_text(shipped: Tokenizer) -> None:
    assert [ids(shipped, token) for token in SPECIAL_TOKENS] == [[at] for at in range(len(SPECIAL_TOKENS))]


def test_training_it_twice_gives_the_same_tokenizer() -> None:
    examples = base_examples(7, 300)
    assert train_tokenizer(examples, 400).to_str() == train_tokenizer(examples, 400).to_str()


def test_the_chat_template_renders_what_training_rendered() -> None:
    auto = pytest.importorskip("transformers").AutoTokenizer.from_pretrained(str(ARTIFACTS / "base"))
    chat = [("system", "Be kind."), ("user", " Hi \n"), ("assistant", "Yes."), ("user", "x")]
    turns = tuple(Message(role, content) for role, content in chat)
    asked = [{"role": turn.role, "content": turn.content} for turn in turns]
    assert auto.chat_template == CHAT_TEMPLATE
    assert auto.apply_chat_template(asked, tokenize=False, add_generation_prompt=True) == render(turns)
    assert not auto.apply_chat_template(asked, tokenize=False).endswith("<|assistant|>")
    assert (auto.bos_token, auto.eos_token, auto.pad_token) == ("<|bos|>", "<|end|>", "<|pad|>")


def test_a_raw_completion_begins_with_bos_once(shipped: Tokenizer) -> None:
    bos = ids(shipped, "<|bos|>")
    assert shipped.encode("Hello").ids[:1] == bos
    assert ids(shipped, render((Message("user", "Hello"),)))[:1] == bos
