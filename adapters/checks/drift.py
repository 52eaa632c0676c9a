"""The check of an adapter's tokenizer and chat template against the base's.

vLLM uses the base's, so an adapter that was trained with others would be misread.
"""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.wording import TOKENIZER, chat_template, tokenizer_hash
from patchbay.core.errors import AdapterError

_HINT = "Train with the base model's own, or remove the file if that is what was done."


def check_drift(folder: Path, base: BaseLayout, limits: FolderLimits) -> None:
    """Raises AdapterError where `folder` carries a tokenizer or a chat template that is not the base's."""
    carried = tokenizer_hash(folder, limits)
    if carried is not None and base.tokenizer is not None and carried != base.tokenizer:
        raise AdapterError(
            f"{folder / TOKENIZER}: the tokenizer differs from the base model's, expected the same.", hint=_HINT
        )
    found = chat_template(folder, limits)
    if found is None:
        return
    path, text = found
    if base.chat_template is None or base.chat_template.rstrip("\n") != text.rstrip("\n"):
        expected = "the same" if base.chat_template is not None else "none, since the base model has none"
        raise AdapterError(f"{path}: the chat template differs from the base model's, expected {expected}.", hint=_HINT)
