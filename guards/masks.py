"""Masks: what stands in a prompt for something that the engine is not to see, and is taken back in the answer."""

import json
import re
import secrets
from bisect import bisect_left
from collections.abc import Mapping, Sequence

# What a mask may be: it begins with its only opening bracket, and ends with its only closing one.
_CANDIDATE = re.compile(r"\[[^\[\]]*\]")


class Masks:
    """One request's. Kept nowhere but in it. `back`: what each mask stands for."""

    def __init__(self) -> None:
        self.back: dict[str, str] = {}
        self._of: dict[str, str] = {}
        self._sorted: Sequence[str] = ()

    def mask(self, kind: str, text: str) -> str:
        """The mask for `text`, the same each time. Nobody can guess it, so nobody can ask for what it stands for."""
        made = self._of.get(text)
        if made is None:
            made = self._of[text] = f"[{kind}_{secrets.token_hex(5)}]"
            self.back[made] = text
        return made

    def begins(self, text: str) -> bool:
        """Whether some mask begins with `text`."""
        if len(self._sorted) != len(self.back):
            self._sorted = sorted(self.back)
        place = bisect_left(self._sorted, text)
        return place < len(self._sorted) and self._sorted[place].startswith(text)


class Unmask:
    """Takes masks back in a growing text; holds what may still become one. `escaped`: whether the text is inside
    JSON. However many masks there are, it costs what the text's length does."""

    def __init__(self, masks: Masks, *, escaped: bool = False) -> None:
        self._masks = masks
        self._back: Mapping[str, str] = masks.back
        self._escaped = escaped
        self._held = ""

    def feed(self, text: str) -> str:
        """What comes out for `text`."""
        if not self._back:
            return text
        text = _CANDIDATE.sub(self._meant, self._held + text)
        self._held = self._beginning(text)
        return text[: len(text) - len(self._held)]

    def finish(self) -> str:
        """The rest."""
        held, self._held = self._held, ""
        return held

    def _meant(self, match: re.Match[str]) -> str:
        meant = self._back.get(match[0])
        if meant is None:
            return match[0]
        return json.dumps(meant)[1:-1] if self._escaped else meant

    def _beginning(self, text: str) -> str:
        """The end of `text` that some mask begins with."""
        place = text.rfind("[")
        tail = text[place:] if place >= 0 else ""
        return tail if tail and self._masks.begins(tail) else ""
