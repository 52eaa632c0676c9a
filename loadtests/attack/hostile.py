"""Hostile values by a field's name, beyond what its type suggests: some have broken servers before, some look likely
to.

Sources: vLLM's own reports of requests that ended engines, and each place in its request models where a client's value
becomes an index, a size, a pattern, a template, a path or an address.
"""

from collections.abc import Mapping
from typing import Any

# The demo base's vocabulary is smaller than all but the first two.
_IDS: tuple[int, ...] = (0, 1, 50_000, 151_936, 2**31 - 1, 2**31, 2**63 - 1, -1)
_REGEXES = (
    "",
    "(",
    "^(a+)+$",
    "(a{1,1000}){1,1000}",
    "((a{1,100}){1,100}){1,100}",
    "[\\s\\S]*" * 40,
    "(?<=a)b",
    "(?=a)*",
    "\\p{L}{0,5000}",
    "(a|b|c|d|e){4000}",
    "\\1(a)",
    "a{99999999}",
    "a{2,1}",
    "\x00",
)
_GRAMMARS = (
    "",
    "root ::= root",
    "root ::= root root | ",
    'root ::= "a" root | root "b" | "c"',
    "root ::= missing",
    'root ::= ("a"? "a"? "a"? "a"?){1,500}',
    "root ::= [^\\x00-\\U0010ffff]",
    "start: start",
    'start: "a"{1000000}',
    "root ::= " + "(" * 3000 + '"a"' + ")" * 3000,
)


def _doubling(levels: int) -> dict[str, Any]:
    """A schema in which each definition refers to the next one twice."""
    twice = {f"d{n}": {"anyOf": [{"$ref": f"#/$defs/d{n + 1}"}] * 2} for n in range(levels)}
    return {"$defs": {**twice, f"d{levels}": {"type": "string"}}, "$ref": "#/$defs/d0"}


def _nested(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}, "required": ["a"]}
    return schema


SCHEMAS: tuple[Any, ...] = (
    {},
    True,
    "",
    "{",
    {"type": "nothing"},
    {"type": ["string", "null"]},
    {"$ref": "#"},
    {"$ref": "#/$defs/none"},
    {"$ref": "https://example.com/schema.json"},
    {"$ref": "file:///etc/passwd"},
    {"type": "string", "pattern": "^(a+)+$"},
    {"type": "string", "pattern": "("},
    {"type": "string", "pattern": "(a{1,1000}){1,1000}"},
    {"type": "string", "minLength": 10**9, "maxLength": 10**9},
    {"type": "string", "minLength": 5, "maxLength": 1},
    {"type": "string", "maxLength": -1},
    {"type": "string", "format": "x" * 1000},
    {"type": "integer", "minimum": -(10**30), "maximum": 10**30},
    {"type": "integer", "minimum": 2, "maximum": 1},
    {"type": "number", "multipleOf": 0},
    {"type": "array", "minItems": 10**9, "items": {"type": "string"}},
    {"type": "array", "maxItems": 10**9, "items": {"type": "string"}},
    {"type": "array", "items": {"$ref": "#"}},
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}},
    {"type": "object", "properties": {f"p{n}": {"type": "string"} for n in range(400)}, "additionalProperties": False},
    {"enum": []},
    {"enum": [None, 1, "a", {}, []]},
    {"enum": [f"value {n}" for n in range(3000)]},
    {"const": {"a": [1, None]}},
    {"not": {}},
    {"allOf": [{"type": "string"}, {"type": "integer"}]},
    {"anyOf": []},
    {"patternProperties": {"^(a+)+$": {"type": "string"}}},
    {"type": "string", "pattern": "\\p{L}"},
    _doubling(16),
    _nested(60),
    _nested(150),
)
_MEDIA: tuple[Any, ...] = (
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "file:///etc/passwd"}}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://127.0.0.1:9/x.png"}}]}],
    [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}]}],
    [{"role": "user", "content": [{"type": "audio_url", "audio_url": {"url": "http://169.254.169.254/"}}]}],
    [{"role": "user", "content": [{"type": "video_url", "video_url": {"url": "gopher://127.0.0.1/"}}]}],
    [{"role": "user", "content": [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}]}],
    [{"role": "user", "content": [{"type": "image_embeds", "image_embeds": "AAAA"}]}],
    [{"role": "user", "content": [{"type": "no_such_part"}]}],
    [{"role": "user", "content": []}],
    [{"role": "no such role", "content": "hi"}],
    [{"role": "tool", "content": "hi", "tool_call_id": "none"}],
    [{"role": "assistant", "content": None, "tool_calls": [{"id": "1", "type": "function", "function": {}}]}],
    [
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{"}}],
        }
    ],
    [{"role": "assistant", "content": "hi"}],
    [{"role": "system", "content": "hi"}] * 500,
)
_TEMPLATES = (
    "{% for i in range(10**9) %}x{% endfor %}",
    "{{ 'x' * 10**9 }}",
    "{{ ''.__class__.__mro__[1].__subclasses__() }}",
    "{{ messages[9999].content }}",
    "{% include '/etc/passwd' %}",
    "{{",
    "",
)
_TRANSFER: tuple[Any, ...] = (
    {"do_remote_decode": True},
    {"do_remote_prefill": True, "remote_block_ids": [1, 2], "remote_engine_id": "x", "remote_host": "127.0.0.1"},
    {"do_remote_prefill": True},
    {"prompt_token_ids": [1, 2**40]},
    {"prompt_token_ids": "x"},
    {"x": 2**70},
)
_TOOLS: tuple[Any, ...] = tuple(
    [{"type": "function", "function": {"name": name, "parameters": schema}}]
    for name, schema in (
        ("f", {}),
        ("f", None),
        ("", {}),
        ("f" * 3000, {}),
        ("a b\n", {}),
        *(("f", s) for s in SCHEMAS[5:]),
    )
)

HOSTILE: Mapping[str, tuple[Any, ...]] = {
    "messages": _MEDIA,
    "chat_template": _TEMPLATES,
    "chat_template_kwargs": (
        *({"chat_template": text} for text in _TEMPLATES),
        {"tokenize": False},
        {"messages": []},
        {"add_generation_prompt": None},
        {"tools": 1},
        {"max_length": -1},
        {"truncation": True, "max_length": 1},
        {"return_tensors": "pt"},
        {"return_dict": True},
        {"continue_final_message": True},
        {"conversation": 1},
    ),
    "media_io_kwargs": ({"image": {"x": 1}}, {"video": {"num_frames": 10**9}}, {"nothing": {}}),
    "mm_processor_kwargs": ({"x": 1}, {"max_pixels": 10**12}, {"num_crops": -1}),
    "stop_token_ids": (*([value] for value in _IDS), [0] * 5000, list(range(4000))),
    "allowed_token_ids": (*([value] for value in _IDS), [], list(range(4000)), [5, 5, 5]),
    "logprob_token_ids": (*([value] for value in _IDS), [], list(range(500)), [5, 5, 5]),
    "logit_bias": (
        *({str(value): 1} for value in _IDS),
        {"x": 1},
        {"1.5": 1},
        {"5": 1e308},
        {" 5 ": -1e308},
        {str(n): -100 for n in range(3000)},
        {"5": 100, "05": -100},
        {"٣": 1},
    ),
    "bad_words": (["a"] * 200, [" "], ["hi"], ["\x00"], ["ü💥" * 400], ["x" * 20000]),
    "stop": ("a" * 20000, ["a", "b", "c", "d", "e"], [""], "\x00", "ü"),
    "prompt": (
        [],
        [[]],
        [0],
        [-1],
        [50_000],
        [2**31],
        [2**63],
        [[1], []],
        ["", "hi"],
        ["hi"] * 1500,
        [1] * 5000,
        "",
        "\x00",
        [[1, 2], [3]],
        [1, 2, 151_936],
        ["hi"] * 64,
        "<|im_start|>" * 500,
    ),
    "prompt_embeds": ("", "AAAA", "x" * 1000, ["AAAA"], [], "gASVBQAAAAAAAABdlC4="),
    "tokens": ([], [-1], [50_000], [2**31], [2**63 - 1], [0] * 100_000),
    "n": (2, 64, 128, 1000, 16384, 16385),
    "max_tokens": (2, 100, 10_000),
    "max_completion_tokens": (2, 10_000),
    "max_output_tokens": (2, 10_000),
    "min_tokens": (2, 100, 10_000),
    "logprobs": (5, 20, 21, 200_000),
    "top_logprobs": (5, 20, 21, 200_000),
    "prompt_logprobs": (5, 20, 21, 200_000),
    "truncate_prompt_tokens": (4, 1_000_000),
    "temperature": (0, 1e-9, 2, 2.01),
    "top_p": (1e-9, 1.01),
    "top_k": (5, 10**6),
    "min_p": (1, 1.01),
    "repetition_penalty": (1e-9, 1e9),
    "length_penalty": (-1e9, 1e9),
    "structured_outputs": (
        *({"regex": text} for text in _REGEXES),
        *({"grammar": text} for text in _GRAMMARS),
        *({"json": schema} for schema in SCHEMAS),
        {"choice": []},
        {"choice": [""]},
        {"choice": ["a"] * 3000},
        {"choice": ["x" * 5000]},
        {"json_object": False},
        {"json_object": True},
        {"structural_tag": "{}"},
        {"structural_tag": ""},
        {"structural_tag": '{"type": "structural_tag", "format": {"type": "x"}}'},
        {"json_object": True, "whitespace_pattern": "("},
        {"json_object": True, "disable_any_whitespace": True},
        {"json": {"type": "object"}, "disable_additional_properties": True},
        {"json_object": True, "_backend": "x"},
    ),
    "response_format": (
        {"type": "json_object"},
        {"type": "text"},
        {"type": "json_schema"},
        {"type": "nothing"},
        *({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}} for schema in SCHEMAS),
        {"type": "structural_tag", "structures": [], "triggers": []},
        {"type": "structural_tag", "structures": [{"begin": "", "schema": {}, "end": ""}], "triggers": [""]},
        {"type": "structural_tag", "format": {"type": "any_text"}},
    ),
    "text": tuple({"format": {"type": "json_schema", "name": "s", "schema": schema}} for schema in SCHEMAS),
    "output_config": tuple({"format": {"type": "json_schema", "schema": schema}} for schema in SCHEMAS),
    "tools": _TOOLS,
    "kv_transfer_params": _TRANSFER,
    "ec_transfer_params": _TRANSFER,
    "vllm_xargs": (
        {"kv_transfer_params": 1},
        {"x": [1, "a"]},
        {"ngram_size": -1, "window_size": 0},
        {"target_token": 10**9},
        {"max_tokens_per_doc": -1},
    ),
    "priority": (-(2**63), 2**63 - 1, 5),
    "seed": (-1, -(2**63), 2**63 - 1),
    "request_id": ("same", "same", "", "x" * 10_000, "a\nb", "\x00", "../x"),
    "session_id": ("same", "x" * 10_000),
    "cache_salt": ("same", "x" * 1024, "\x00"),
    "user": ("x" * 10_000,),
    "repetition_detection": (
        {"max_pattern_size": 3, "min_count": 2},
        {"max_pattern_size": 10**9, "min_count": 2},
        {"max_pattern_size": 2**70, "min_count": 2},
        {"max_pattern_size": 3, "min_pattern_size": 4, "min_count": 2},
    ),
    "documents": ([{"title": "a", "text": "b"}] * 3000, [{"x": "y"}]),
    "stream_interval": (1, 10**9),
    "thinking_token_budget": (0, 10, -1),
    "previous_response_id": ("resp_none", "none", ""),
    "previous_input_messages": ([{}], [{"role": "user", "content": "x"}]),
    "input": (
        [],
        [{"role": "user", "content": "hi"}],
        [{"type": "function_call_output", "call_id": "1", "output": "x"}],
        [{"type": "reasoning", "id": "r", "summary": []}],
        [{"type": "item_reference", "id": "x"}],
        [{}],
        [1],
        [{"role": "user", "content": [{"type": "input_image", "image_url": "file:///etc/passwd", "detail": "auto"}]}],
    ),
}
