"""The writing of a parity file for an adapter from elsewhere, which is loaded by PEFT over the base that serves."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.check import check_folder
from patchbay.adapters.config import MAX_RANK
from patchbay.adapters.parity.file import MOST_ROWS, ParityFile
from patchbay.core.errors import AdapterError
from patchbay.tuning.bases.loading import served_model, served_tokenizer
from patchbay.tuning.parity.generating import answered
from patchbay.tuning.parity.prompts import PROMPTS
from patchbay.tuning.parity.write import write_parity


def write_parity_of(
    folder: Path, *, base: Path, rows: Iterable[Mapping[str, Any]] | None = None, limit: int = MOST_ROWS
) -> ParityFile:
    """Writes the parity file of the adapter in `folder`, over the base in the folder `base`.

    `rows`: as in `write_parity`; without any, the adapter's own answers to prompts that are here. Raises AdapterError
    where PEFT cannot load it, ConfigError where there is no such base.
    """
    check_folder(folder, max_rank=MAX_RANK)
    tokenizer, model = served_tokenizer(base), _adapted(folder, base)
    given = rows if rows is not None else answered(model, tokenizer, PROMPTS[:limit])
    return write_parity(folder, model=model, tokenizer=tokenizer, rows=given, limit=limit)


def _adapted(folder: Path, base: Path) -> Any:
    from peft import PeftModel

    loaded = served_model(base)
    try:
        return PeftModel.from_pretrained(loaded, str(folder)).eval()
    except (OSError, ValueError, KeyError, RuntimeError) as error:
        raise AdapterError(f"{folder}: PEFT cannot load it over {base}: {error}", reason="parity") from error
