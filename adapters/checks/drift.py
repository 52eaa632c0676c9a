"""The check of an adapter's tokenizer and chat template against the base's.

vLLM uses the base's, so an adapter that was trained with others would be misread.
"""

from pathlib import Path

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.tokenizer import Tokenizer, TokenizerFile, difference, same_rules, without_padding
from patchbay.adapters.checks.trials import APART, Trials
from patchbay.adapters.checks.wording import chat_template, special_tokens
from patchbay.adapters.contents import TOKENIZER_FILE
from patchbay.core.errors import AdapterError

_HINT = "Train with the base model's own, or remove the file if that is what was done."
_TEMPLATE_HINT = "Serve the base model with it, as base.chat_template, or remove the file if it was not trained with."


def check_drift(folder: Path, base: BaseLayout, limits: FolderLimits, trials: Trials = APART) -> None:
    """Raises AdapterError where `folder` carries a tokenizer or a chat template that does not what the base's does.

    `trials`: try those that are written otherwise, by default in processes of their own.
    """
    found = chat_template(folder, limits)
    carried = TokenizerFile.read(folder, limits)
    if carried is not None and base.tokenizer is not None:
        path = folder / TOKENIZER_FILE
        fault = _tokens_fault(carried, base.tokenizer, folder, limits, found[1] if found else "")
        fault = fault or _rules_fault(carried, base.tokenizer, path, limits, trials)
        if fault is not None:
            raise AdapterError(f"{path}: the tokenizer differs from the base model's: {fault}.", hint=_HINT)
    if found is not None and (fault := _template_fault(found[1], base.chat_template, folder, limits, trials)):
        hint = _TEMPLATE_HINT if base.chat_template is None else f"Train with the base model's own. {_TEMPLATE_HINT}"
        raise AdapterError(f"{found[0]}: the chat template differs from the base model's{fault}.", hint=hint)


def _template_fault(own: str, base: str | None, folder: Path, limits: FolderLimits, trials: Trials) -> str | None:
    """Says in what way an adapter's chat template differs from the base's, None where it writes chats as that does."""
    if base is None:
        return ", which has none"
    if _plain(base) == _plain(own):
        return None
    trial = trials.templates(_plain(own), _plain(base), special_tokens(folder, limits))
    if not trial.possible:
        return ", and without the package 'jinja2' nobody can tell whether it does the same"
    return f": it writes {trial.text} otherwise" if trial.text is not None else None


def _tokens_fault(
    carried: TokenizerFile, base: Tokenizer, folder: Path, limits: FolderLimits, template: str
) -> str | None:
    """Says which tokens of the tokenizer in `folder` are not the base's, None where they all are."""
    if (fault := difference(carried.facts(below=base.size), base)) is not None:
        return fault
    new = carried.from_on(base.size)
    unknown = without_padding(new, folder, limits, template) if new else ()
    return f"it has the token {shown(unknown[0])}, which the base model does not know" if unknown else None


def _rules_fault(
    carried: TokenizerFile, base: Tokenizer, path: Path, limits: FolderLimits, trials: Trials
) -> str | None:
    """Says in what way the tokenizer in `path`, whose tokens are the base's, takes texts apart otherwise."""
    if same_rules(carried.rules, base.rules):
        return None
    trial = trials.tokens(path, base.rules, limits)
    if not trial.possible:
        return "it is written otherwise, and without the package 'tokenizers' nobody can tell whether it does the same"
    return f"it takes the text {shown(trial.text)!r} apart otherwise" if trial.text is not None else None


def _plain(template: str) -> str:
    return template.replace("\r\n", "\n").rstrip("\n")
