"""The answers of an adapter to prompts that have none, for the rows of a parity file."""

from collections.abc import Iterable, Mapping
from typing import Any

_NEW_TOKENS = 48


def answered(model: Any, tokenizer: Any, prompts: Iterable[str]) -> Iterable[Mapping[str, Any]]:
    """Yields a row for each prompt, with the `model`'s own greedy answer, up to 48 tokens of it."""
    import torch

    for prompt in prompts:
        asked = [{"role": "user", "content": prompt}]
        text = tokenizer.apply_chat_template(asked, tokenize=False, add_generation_prompt=True)
        given = tokenizer(text, add_special_tokens=False, return_tensors="pt").to(model.device)
        with torch.no_grad():
            made = model.generate(
                **given, max_new_tokens=_NEW_TOKENS, do_sample=False, pad_token_id=tokenizer.eos_token_id
            )
        answer = tokenizer.decode(made[0, given["input_ids"].shape[1] :], skip_special_tokens=True)
        yield {"messages": [*asked, {"role": "assistant", "content": answer}]}
