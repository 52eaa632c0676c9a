"""The white space that tools' calls may have, on xgrammar itself, without an engine."""

import json
from types import SimpleNamespace
from typing import Any

import pytest
import xgrammar
from vllm.v1.structured_output.backend_types import StructuredOutputOptions
from vllm.v1.structured_output.backend_xgrammar import XgrammarBackend

from patchbay.server.vllm_fixes import bound_whitespace_of_tools

ARGUMENTS = {
    "type": "object",
    "properties": {"urgent": {"type": "boolean"}, "type": {"const": "json_schema"}},
    "required": ["urgent"],
    "additionalProperties": False,
}
TAG = {
    "type": "structural_tag",
    "format": {
        "type": "sequence",
        "elements": [
            {"type": "const_string", "value": "<tool_call>"},
            {"type": "json_schema", "json_schema": ARGUMENTS},
            {"type": "const_string", "value": "</tool_call>"},
        ],
    },
}


def accepts(text: str, *, disabled: bool, tag: dict[str, Any] | None = None) -> bool:
    """Whether vLLM's backend, as it is after the correction, lets a model write that."""
    bound_whitespace_of_tools()
    every_byte = [bytes([byte]) for byte in range(256)]
    tokens = xgrammar.TokenizerInfo([*every_byte, b"<end>"], stop_token_ids=[256])
    backend: Any = SimpleNamespace(
        compiler=xgrammar.GrammarCompiler(tokens),
        disable_any_whitespace=disabled,
        num_speculative_tokens=0,
        vocab_size=257,
    )
    kind = StructuredOutputOptions.STRUCTURAL_TAG
    made = XgrammarBackend.compile_grammar(backend, kind, json.dumps(tag or TAG))
    return bool(made.matcher.accept_string(text))


@pytest.mark.parametrize("disabled", [True, False])
def test_a_call_as_models_write_it_is_taken(disabled: bool) -> None:
    for arguments in ('{"urgent":true}', '{"urgent": true}', '{"urgent": true, "type": "json_schema"}'):
        assert accepts(f"<tool_call>{arguments}</tool_call>", disabled=disabled)


@pytest.mark.parametrize("arguments", ['{"urgent":  true}', '{"urgent":true\n\n}', '{ \t"urgent":true}'])
def test_a_model_cannot_fill_a_call_with_spaces_where_white_space_is_disabled(arguments: str) -> None:
    assert not accepts(f"<tool_call>{arguments}", disabled=True)
    assert accepts(f"<tool_call>{arguments}", disabled=False)


def test_forms_without_json_are_left_as_they_are() -> None:
    tag = {"type": "structural_tag", "format": {"type": "const_string", "value": "a  b"}}
    assert accepts("a  b", disabled=True, tag=tag)
