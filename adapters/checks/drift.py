"""The check of an adapter's tokenizer and chat template against the base's.

vLLM uses the base's, so an adapter that was trained with others would be misread.
"""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.tokenizer import Tokenizer, difference, read_tokenizer, same_rules, unknown_tokens
from patchbay.adapters.checks.tokens import differing_text
from patchbay.adapters.checks.wording import chat_template
from patchbay.adapters.contents import TOKENIZER_FILE
from patchbay.core.errors import AdapterError

_HINT = "Train with the base model's own, or remove the file if that is what was done."
_TEMPLATE_HINT = "Serve the base model with it, as base.chat_template, or remove the file if it was not trained with."


def check_drift(folder: Path, base: BaseLayout, limits: FolderLimits) -> None:
    """Raises AdapterError where `folder` carries a tokenizer or a chat template that does not what the base's does."""
    found = chat_template(folder, limits)
    if base.tokenizer is not None:
        fault = _tokenizer_fault(folder, base.tokenizer, limits, found[1] if found else "")
        if fault is not None:
            path = folder / TOKENIZER_FILE
            raise AdapterError(f"{path}: the tokenizer differs from the base model's: {fault}.", hint=_HINT)
    if found is None:
        return
    path, text = found
    if base.chat_template is None:
        raise AdapterError(
            f"{path}: the chat template differs from the base model's, which has none.", hint=_TEMPLATE_HINT
        )
    if _plain(base.chat_template) != _plain(text):
        raise AdapterError(
            f"{path}: the chat template differs from the base model's, expected the same.",
            hint="Train with the base model's own, serve the base model with this one, as base.chat_template, or "
            "remove the file if it was not trained with.",
        )


def _tokenizer_fault(folder: Path, base: Tokenizer, limits: FolderLimits, template: str) -> str | None:
    carried = read_tokenizer(folder, limits, below=base.size)
    if carried is None:
        return None
    if (fault := difference(carried, base)) is not None:
        return fault
    if carried.size > base.size:
        unknown = unknown_tokens(folder, limits, base.size, template)
        if unknown:
            return f"it has the token {shown(unknown[0])}, which the base model does not know"
    if same_rules(carried.rules, base.rules):
        return None
    text, tried = differing_text(folder / TOKENIZER_FILE, base.rules, limits)
    if not tried:
        return "it is written otherwise, and without the package 'tokenizers' nobody can tell whether it does the same"
    return f"it takes the text {shown(text)!r} apart otherwise" if text is not None else None


def _plain(template: str) -> str:
    return template.replace("\r\n", "\n").rstrip("\n")
