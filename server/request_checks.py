"""Checks of a request's fields before vLLM reads them: fields that are not for clients, and sizes that harm others.

Pure. vLLM validates the rest of a request itself, and `python -m loadtests.attack` tries every field of its models.
"""

import re
from collections.abc import Mapping
from typing import Any

from patchbay.core.errors import InvalidRequest

# The most answers to one prompt. It is OpenAI's own limit for `n`; vLLM's is 16,384.
MOST_ANSWERS = 128
# The most sequences of one request: prompts times answers to each.
MOST_SEQUENCES = 1024
# The most texts to embed, or to hold beside others, of one request. It is OpenAI's own limit for embeddings. vLLM's
# work on its event loop grows with the square of their number: 100,000 held it for minutes, long after their client had
# left.
MOST_INPUTS = 2048
_INPUTS = ("input", "documents", "queries", "items", "data_1", "data_2", "text_1", "text_2")
# They move KV blocks between engines by the addresses in them, and an engine without a connector reads them all the
# same. Only the operator of the engines knows what is right in them.
_TRANSFER_FIELDS = ("kv_transfer_params", "ec_transfer_params")
# Parameters of the tokenizer's method that renders templates, not of a template: padding, types to return, messages.
_TOKENIZER_ARGUMENTS = frozenset(
    {
        "chat_template",
        "conversation",
        "max_length",
        "padding",
        "return_assistant_tokens_mask",
        "return_dict",
        "return_tensors",
        "tokenize",
        "tokenizer_kwargs",
        "truncation",
    }
)
_LEAST, _MOST = -(2**63), 2**63 - 1
_MAY_BE_LARGE = re.compile(rb"\d{19}")


def check_request(fields: Mapping[str, Any], body: bytes) -> None:
    """Raises InvalidRequest where a field is not for clients, asks for too much, or cannot be passed to the engine.

    `fields`: the decoded fields of the request's `body`.
    """
    _check_operators_fields(fields)
    _check_template_arguments(fields.get("chat_template_kwargs"))
    _check_sequences(fields)
    _check_inputs(fields)
    # The search of all fields is slow, and few bodies have so long a row of digits, most of them within texts.
    if _MAY_BE_LARGE.search(body):
        _check_integers(fields)


def _check_operators_fields(fields: Mapping[str, Any]) -> None:
    if fields.get("priority"):
        # The smaller the sooner: a client that sets it goes before everybody, and has others' requests preempted.
        raise InvalidRequest(
            "'priority' is not for clients to set: it is their tier's. Leave it out.", param="priority"
        )
    extra = fields.get("vllm_xargs")
    for name in _TRANSFER_FIELDS:
        if fields.get(name) is not None:
            raise InvalidRequest(f"'{name}' is not for clients to set: leave it out.", param=name)
        if isinstance(extra, dict) and name in extra:
            raise InvalidRequest(f"'vllm_xargs.{name}' is not for clients to set: leave it out.", param="vllm_xargs")


def _check_template_arguments(arguments: Any) -> None:
    if not isinstance(arguments, dict):
        return
    for name in sorted(_TOKENIZER_ARGUMENTS & arguments.keys()):
        raise InvalidRequest(
            f"'chat_template_kwargs.{name}' is a parameter of the tokenizer, not of a chat template: leave it out.",
            param="chat_template_kwargs",
        )


def _check_sequences(fields: Mapping[str, Any]) -> None:
    answers, prompts = fields.get("n"), fields.get("prompt")
    count = answers if isinstance(answers, int) else 1
    if count > MOST_ANSWERS:
        raise InvalidRequest(f"'n' is {count}: ask for {MOST_ANSWERS} answers at most.", param="n")
    # A list of numbers is one prompt, as token ids. Any other list has a prompt in each item.
    prompt_total = len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1
    sequences = count * prompt_total
    if sequences > MOST_SEQUENCES:
        raise InvalidRequest(
            f"{prompt_total} prompts with {count} answers each are {sequences} sequences: ask for {MOST_SEQUENCES} at "
            "most.",
            param="prompt",
        )


def _check_inputs(fields: Mapping[str, Any]) -> None:
    for name in _INPUTS:
        inputs = fields.get(name)
        if not isinstance(inputs, list) or len(inputs) <= MOST_INPUTS:
            continue
        # A list of numbers is one text, as token ids, and items of a conversation are one prompt.
        if isinstance(inputs[0], int) or (name == "input" and isinstance(inputs[0], dict)):
            continue
        raise InvalidRequest(
            f"'{name}' has {len(inputs)} texts: send {MOST_INPUTS} at most in one request.", param=name
        )


def _check_integers(fields: Mapping[str, Any]) -> None:
    """Raises InvalidRequest where an integer needs more than 64 bits.

    vLLM sends requests to its engine in MessagePack, whose integers have 64 bits. By the time that encoding fails, vLLM
    has registered the request, and never removes it.
    """
    pending: list[tuple[str, Any]] = list(fields.items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise InvalidRequest(f"'{name}' has a number that 64 bits do not hold.", param=name)
        if isinstance(value, dict):
            pending += ((name, member) for member in value.values())
        elif isinstance(value, list):
            pending += ((name, item) for item in value)
