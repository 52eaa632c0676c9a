"""Masks: what stands in a prompt for something that the engine is not to see, and is taken back in the answer."""

import json
import secrets
from collections.abc import Mapping


class Masks:
    """One request's. Kept nowhere but in it. `back`: what each mask stands for."""

    def __init__(self) -> None:
        self.back: dict[str, str] = {}
        self._of: dict[str, str] = {}

    def mask(self, kind: str, text: str) -> str:
        """The mask for `text`, the same each time. Nobody can guess it, so nobody can ask for what it stands for."""
        made = self._of.get(text)
        if made is None:
            made = self._of[text] = f"[{kind}_{secrets.token_hex(5)}]"
            self.back[made] = text
        return made


class Unmask:
    """Takes masks back in a growing text; holds what may still become one. `escaped`: whether the text is inside
    JSON."""

    def __init__(self, back: Mapping[str, str], *, escaped: bool = False) -> None:
        self._back = {mask: json.dumps(meant)[1:-1] for mask, meant in back.items()} if escaped else back
        self._held = ""

    def feed(self, text: str) -> str:
        """What comes out for `text`."""
        if not self._back:
            return text
        text = self._held + text
        for mask, meant in self._back.items():
            text = text.replace(mask, meant) if mask in text else text
        self._held = self._beginning(text)
        return text[: len(text) - len(self._held)]

    def finish(self) -> str:
        """The rest."""
        held, self._held = self._held, ""
        return held

    def _beginning(self, text: str) -> str:
        """The end of `text` that some mask begins with."""
        place = text.rfind("[")
        tail = text[place:] if place >= 0 else ""
        return tail if tail and any(mask.startswith(tail) for mask in self._back) else ""
