"""The check of rows against a base: whether its chat template takes them whole, and how many tokens they are."""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from patchbay.tuning.data.row_checks import RowFinding
from patchbay.tuning.data.rows import Row

_AT_ONCE: Final = 64


class TokenCheck:
    """Counts the tokens of rows as the base in `folder` reads them. `most`: tokens that a row may have, by default
    what the base was made for. Raises ConfigError where the folder has no tokenizer."""

    def __init__(self, folder: Path, most: int | None = None) -> None:
        from patchbay.tuning.bases.loading import served_tokenizer

        self._tokenizer: Any = served_tokenizer(folder)
        self.most = most or _context_of(folder)

    def findings(self, row: Row) -> tuple[int, list[RowFinding]]:
        """Returns the number of a row's tokens, 0 where its template does not take it, and what does not fit."""
        text, found = self._rendered(row)
        if text is None:
            return 0, found
        found += _left_out(row, text)
        count = len(self._tokenizer(text, add_special_tokens=False)["input_ids"])
        if self.most is not None and count > self.most:
            found.append(RowFinding("length", "error", f"it has {count} tokens, and the base takes {self.most}"))
        return count, found

    def _rendered(self, row: Row) -> tuple[str | None, list[RowFinding]]:
        from jinja2 import TemplateError

        tools = [dict(tool) for tool in row.tools] or None
        try:
            turns = [dict(message) for message in row.conversation()]
            return str(self._tokenizer.apply_chat_template(turns, tools=tools, tokenize=False)), []
        except (TemplateError, ValueError, TypeError, KeyError) as error:
            said = str(error).splitlines()[0] if str(error) else type(error).__name__
            return None, [RowFinding("template", "error", f"the template does not take it: {said[:200]}")]


def _left_out(row: Row, text: str) -> Iterator[RowFinding] | Sequence[RowFinding]:
    """Names the messages whose text the template leaves out."""
    missing = {
        message["role"]
        for message in row.conversation()
        if message.get("content") and message["content"].strip() not in text
    }
    found = [RowFinding("template", "error", f"the template leaves out what '{role}' says") for role in sorted(missing)]
    if row.tools and str(row.tools[0].get("function", row.tools[0]).get("name")) not in text:
        found.append(RowFinding("template", "error", "the template leaves out the tools"))
    return found


def _context_of(folder: Path) -> int | None:
    try:
        most = json.loads((folder / "config.json").read_text(encoding="utf-8")).get("max_position_embeddings")
    except (OSError, ValueError):
        return None
    return most if isinstance(most, int) else None
