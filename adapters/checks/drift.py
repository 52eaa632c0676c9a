"""The check of an adapter's tokenizer and chat template against the base's.

vLLM uses the base's, so an adapter that was trained with others would be misread.
"""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.tokenizer import Tokenizer, TokenizerFile, difference, same_rules, without_padding
from patchbay.adapters.checks.tokens import Try, tried_apart
from patchbay.adapters.checks.wording import chat_template
from patchbay.adapters.contents import TOKENIZER_FILE
from patchbay.core.errors import AdapterError

_HINT = "Train with the base model's own, or remove the file if that is what was done."
_TEMPLATE_HINT = "Serve the base model with it, as base.chat_template, or remove the file if it was not trained with."


def check_drift(folder: Path, base: BaseLayout, limits: FolderLimits, attempt: Try = tried_apart) -> None:
    """Raises AdapterError where `folder` carries a tokenizer or a chat template that does not what the base's does.

    `attempt`: tries tokenizers that are written otherwise, by default in a process of its own.
    """
    found = chat_template(folder, limits)
    carried = TokenizerFile.read(folder, limits)
    if carried is not None and base.tokenizer is not None:
        path = folder / TOKENIZER_FILE
        fault = _tokens_fault(carried, base.tokenizer, folder, limits, found[1] if found else "")
        fault = fault or _rules_fault(carried, base.tokenizer, path, limits, attempt)
        if fault is not None:
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


def _tokens_fault(
    carried: TokenizerFile, base: Tokenizer, folder: Path, limits: FolderLimits, template: str
) -> str | None:
    """Says which tokens of the tokenizer in `folder` are not the base's, None where they all are."""
    if (fault := difference(carried.facts(below=base.size), base)) is not None:
        return fault
    new = carried.from_on(base.size)
    unknown = without_padding(new, folder, limits, template) if new else ()
    return f"it has the token {shown(unknown[0])}, which the base model does not know" if unknown else None


def _rules_fault(carried: TokenizerFile, base: Tokenizer, path: Path, limits: FolderLimits, attempt: Try) -> str | None:
    """Says in what way the tokenizer in `path`, whose tokens are the base's, takes texts apart otherwise."""
    if same_rules(carried.rules, base.rules):
        return None
    trial = attempt(path, base.rules, limits)
    if not trial.possible:
        return "it is written otherwise, and without the package 'tokenizers' nobody can tell whether it does the same"
    return f"it takes the text {shown(trial.text)!r} apart otherwise" if trial.text is not None else None


def _plain(template: str) -> str:
    return template.replace("\r\n", "\n").rstrip("\n")
