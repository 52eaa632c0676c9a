"""Masks: placeholders in a prompt for text that the engine must not see, and their replacement in the answer."""

import json
import re
import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence

# The form of a mask: its only opening bracket is at its beginning, its only closing one at its end.
_CANDIDATE = re.compile(r"\[[^\[\]]*\]")


class Masks:
    """The masks of one request, kept only in its memory. `originals`: the text that each mask stands for."""

    def __init__(self) -> None:
        self.originals: dict[str, str] = {}
        self._masks: dict[str, str] = {}
        self._sorted: Sequence[str] = ()

    def mask(self, kind: str, text: str) -> str:
        """Returns the mask for `text`, the same each time. Masks cannot be guessed, so no other prompt can ask the
        model to repeat one."""
        mask = self._masks.get(text)
        if mask is None:
            mask = self._masks[text] = f"[{kind}_{secrets.token_hex(5)}]"
            self.originals[mask] = text
        return mask

    def begins(self, text: str) -> bool:
        """Whether some mask begins with `text`."""
        if len(self._sorted) != len(self.originals):
            self._sorted = sorted(self.originals)
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)


class Unmask:
    """Replaces masks in a growing text by what they stand for, and holds an end that may still become a mask.

    `escaped`: whether the text is inside JSON. Its cost is linear in the text, however many masks there are.
    """

    def __init__(self, masks: Masks, *, escaped: bool = False) -> None:
        self._masks = masks
        self._originals: Mapping[str, str] = masks.originals
        self._escaped = escaped
        self._held = ""

    def feed(self, text: str) -> str:
        """Takes the next piece of the text, and returns what is released."""
        if not self._originals:
            return text
        text = _CANDIDATE.sub(self._original, self._held + text)
        self._held = self._beginning(text)
        return text[: len(text) - len(self._held)]

    def finish(self) -> str:
        """Returns the rest, which never became a mask."""
        held, self._held = self._held, ""
        return held

    def _original(self, match: re.Match[str]) -> str:
        original = self._originals.get(match[0])
        if original is None:
            return match[0]
        return json.dumps(original)[1:-1] if self._escaped else original

    def _beginning(self, text: str) -> str:
        """Returns the end of `text` that some mask begins with; "" where there is none."""
        place = text.rfind("[")
        tail = text[place:] if place >= 0 else ""
        return tail if tail and self._masks.begins(tail) else ""
