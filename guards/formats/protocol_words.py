"""The words that wire formats themselves know, by the key that they stand under. Data.

Source: the enumerations of vLLM's and openai's models; Anthropic's reference of messages.
"""

from collections.abc import Mapping
from types import MappingProxyType

_EFFORTS = "none minimal low medium high xhigh max"
_CALLS = """code_interpreter_call computer_call custom_tool_call file_search_call function_call image_generation_call
    local_shell_call mcp_approval_request mcp_call mcp_list_tools web_search_call"""
_OUTPUTS = "computer_call_output custom_tool_call_output function_call_output local_shell_call_output"
_PARTS = """audio_embeds audio_url base64 document file file_citation image image_embeds image_url input_audio
    input_file input_image input_text output_text prompt_embeds reasoning reasoning_text redacted_thinking refusal
    summary_text text thinking tool_result tool_use url url_citation video_embeds video_url"""
_TOOLS = """additional_tools allowed_tools any auto code_interpreter custom direct file_search function grammar mcp none
    program search shell tool tool_addition tool_definition tool_reference tool_removal web_search"""
_FORMS = """adaptive approximate compaction disabled enabled ephemeral error item_reference json_object json_schema
    message structural_tag"""
_ANTHROPIC_EVENTS = """content_block_delta content_block_start content_block_stop input_json_delta message_delta
    message_start message_stop ping signature_delta text_delta thinking_delta"""
# Of the Responses API: the events of each thing that it tells of.
_EVENTS: Mapping[str, str] = MappingProxyType(
    {
        "response": "created queued in_progress completed failed incomplete",
        "response.output_item": "added done",
        "response.content_part": "added done",
        "response.output_text": "delta done annotation.added",
        "response.refusal": "delta done",
        "response.function_call_arguments": "delta done",
        "response.custom_tool_call_input": "delta done",
        "response.mcp_call_arguments": "delta done",
        "response.reasoning_text": "delta done",
        "response.reasoning_part": "added done",
        "response.reasoning_summary_part": "added done",
        "response.reasoning_summary_text": "delta done",
        "response.code_interpreter_call_code": "delta done",
        "response.code_interpreter_call": "in_progress interpreting completed",
        "response.web_search_call": "in_progress searching completed",
        "response.file_search_call": "in_progress searching completed",
        "response.mcp_call": "in_progress completed failed",
        "response.shell_call_command": "added delta done",
        "response.shell_call_output_content": "delta done",
        "response.compaction": "compacting",
        "response.mcp_list_tools": "in_progress completed failed",
    }
)


def _words(*texts: str) -> frozenset[str]:
    return frozenset(word for text in texts for word in text.split())


# Another string under the same key is a text.
WORDS: Mapping[str, frozenset[str]] = MappingProxyType(
    {
        "role": _words("assistant critic developer discriminator function system tool user"),
        "type": _words(_CALLS, _OUTPUTS, _PARTS, _TOOLS, _FORMS, _ANTHROPIC_EVENTS)
        | {f"{stem}.{step}" for stem, steps in _EVENTS.items() for step in steps.split()},
        "object": _words("chat.completion chat.completion.chunk embedding error list model rerank response score")
        | {"text_completion"},
        "status": _words("cancelled completed failed in_progress incomplete queued"),
        "finish_reason": _words("abort content_filter error function_call length repetition stop tool_calls"),
        "stop_reason": _words(
            "end_turn max_tokens model_context_window_exceeded pause_turn refusal stop_sequence tool_use"
        ),
        "reason": _words("content_filter max_output_tokens"),
        "service_tier": _words("auto default flex priority scale standard standard_only"),
        "tool_choice": _words("auto none required"),
        "mode": _words("auto explicit required"),
        "detail": _words("auto high low original"),
        "format": _words("flac mp3 opus pcm16 wav"),
        "media_type": _words("image/gif image/jpeg image/png image/webp application/pdf text/plain"),
        "effort": _words(_EFFORTS),
        "reasoning_effort": _words(_EFFORTS),
        "encoding_format": _words("base64 bytes bytes_only float"),
        "truncation": _words("auto disabled"),
        "truncation_side": _words("left right"),
        "summary": _words("auto concise detailed"),
        "verbosity": _words("high low medium"),
        "phase": _words("commentary final_answer"),
        "include": _words("message.output_text.logprobs reasoning.encrypted_content"),
    }
)
