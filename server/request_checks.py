"""Checks of a request's fields before vLLM reads them: what is not a client's to set, and sizes that harm neighbours.

Pure. The rest of a request is vLLM's own to validate, and `python -m loadtests.attack` tries every field of its models.
"""

import re
from collections.abc import Mapping
from typing import Any

from patchbay.core.errors import InvalidRequest

# What one request may have answered at once. OpenAI's own bound for `n`; vLLM's is 16,384.
MOST_ANSWERS = 128
# What one request may have answered at all: prompts times answers to each.
MOST_SEQUENCES = 1024
# They move KV blocks between engines by the addresses in them, and an engine that has no connector reads them all the
# same. Only whoever runs the engines knows what is right in them.
_TRANSFER = ("kv_transfer_params", "ec_transfer_params")
# Parameters of the tokenizer's own method, not of a template: sizes to pad to, types to return, other messages.
_NOT_OF_TEMPLATES = frozenset(
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

    `fields`: of the request's `body`, decoded.
    """
    _check_operators_fields(fields)
    _check_template_arguments(fields.get("chat_template_kwargs"))
    _check_sequences(fields)
    # Numbers in texts may be as long as they like, so only what looks like one has the whole body searched.
    if _MAY_BE_LARGE.search(body):
        _check_integers(fields)


def _check_operators_fields(fields: Mapping[str, Any]) -> None:
    if fields.get("priority"):
        # The smaller the sooner: whoever sets it goes before everybody, and has others' requests put back.
        raise InvalidRequest(
            "'priority' is not for clients to set: it is their tier's. Leave it out.", param="priority"
        )
    extra = fields.get("vllm_xargs")
    for name in _TRANSFER:
        if fields.get(name) is not None:
            raise InvalidRequest(f"'{name}' is not for clients to set: leave it out.", param=name)
        if isinstance(extra, dict) and name in extra:
            raise InvalidRequest(f"'vllm_xargs.{name}' is not for clients to set: leave it out.", param="vllm_xargs")


def _check_template_arguments(arguments: Any) -> None:
    if not isinstance(arguments, dict):
        return
    for name in sorted(_NOT_OF_TEMPLATES & arguments.keys()):
        raise InvalidRequest(
            f"'chat_template_kwargs.{name}' is a parameter of the tokenizer, not of a chat template: leave it out.",
            param="chat_template_kwargs",
        )


def _check_sequences(fields: Mapping[str, Any]) -> None:
    answers, prompts = fields.get("n"), fields.get("prompt")
    count = answers if isinstance(answers, int) else 1
    if count > MOST_ANSWERS:
        raise InvalidRequest(f"'n' is {count}: ask for {MOST_ANSWERS} answers at most.", param="n")
    # A list of numbers is one prompt; any other is a prompt each.
    many = len(prompts) if isinstance(prompts, list) and prompts and not isinstance(prompts[0], int) else 1
    if count * many > MOST_SEQUENCES:
        raise InvalidRequest(
            f"{many} prompts with {count} answers each are {count * many} sequences: ask for {MOST_SEQUENCES} at most.",
            param="prompt",
        )


def _check_integers(fields: Mapping[str, Any]) -> None:
    """The engine is told of a request in MessagePack, whose integers have 64 bits. vLLM has taken the request in by the
    time that it finds out, and never lets go of it."""
    pending: list[tuple[str, Any]] = list(fields.items())
    while pending:
        name, value = pending.pop()
        if isinstance(value, int) and not _LEAST <= value <= _MOST:
            raise InvalidRequest(f"'{name}' has a number that 64 bits do not hold.", param=name)
        if isinstance(value, dict):
            pending += ((name, one) for one in value.values())
        elif isinstance(value, list):
            pending += ((name, one) for one in value)
