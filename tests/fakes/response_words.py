"""What a fake engine answers to a request for a response: an object, or the events of a stream, in vLLM's form."""

import json
from collections.abc import Mapping, Sequence
from typing import Any


def response_object(
    asked: Mapping[str, Any], number: int, words: Sequence[str], status: str = "completed"
) -> dict[str, Any]:
    """The response to the body `asked`, whose text is `words`. `number`: makes its id."""
    part: dict[str, Any] = {"type": "output_text", "text": "".join(words), "annotations": [], "logprobs": None}
    message = {"id": f"msg_{number}", "type": "message", "role": "assistant", "status": status, "content": [part]}
    count = len(words)
    return {
        "id": asked.get("request_id") or f"resp_{number:032x}",
        "object": "response",
        "created_at": 7,
        "status": status,
        "incomplete_details": {"reason": "max_output_tokens"} if status == "incomplete" else None,
        "instructions": asked.get("instructions"),
        "metadata": asked.get("metadata"),
        "model": asked["model"],
        "output": [message] if words else [],
        "parallel_tool_calls": True,
        "previous_response_id": asked.get("previous_response_id"),
        "temperature": 0.1 + 0.2,
        "tool_choice": "auto",
        "tools": [],
        "top_p": 1.0,
        "usage": {
            "input_tokens": 3,
            "input_tokens_details": {"cached_tokens": 0},
            "output_tokens": count,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": 3 + count,
        },
    }


def response_events(
    asked: Mapping[str, Any], number: int, words: Sequence[str], status: str = "completed"
) -> list[bytes]:
    """The stream of the same response: a delta a word."""
    done = response_object(asked, number, words, status)
    begun = {**done, "status": "in_progress", "output": [], "usage": None, "incomplete_details": None}
    at = {"item_id": f"msg_{number}", "output_index": 0, "content_index": 0}
    told: list[dict[str, Any]] = [
        {"type": f"response.{kind}", "response": begun} for kind in ("created", "in_progress")
    ]
    told += [{"type": "response.output_text.delta", **at, "delta": word, "logprobs": []} for word in words]
    told.append({"type": "response.output_text.done", **at, "text": "".join(words), "logprobs": []})
    # vLLM ends one that is cut by its limit with the same event.
    told.append({"type": "response.completed", "response": done})
    return [_event({"sequence_number": place, **event}) for place, event in enumerate(told)]


def _event(data: Mapping[str, Any]) -> bytes:
    return f"event: {data['type']}\ndata: {json.dumps(data)}\n\n".encode()
