"""The writer of an adapter's parity file: what PEFT answers over the weights that serve."""

import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.contents import PARITY_FILE, WEIGHTS_FILE
from patchbay.adapters.digest import file_hash
from patchbay.adapters.parity.digests import template_digest, vocabulary_digest
from patchbay.adapters.parity.file import MOST_ROWS, MOST_TOKENS, ParityFile, ParityRow
from patchbay.core.errors import AdapterError
from patchbay.tuning.parity.rows import TokenRow, token_rows
from patchbay.tuning.parity.scoring import evaluating, logprobs, rounding_noise, trained_scales

# Rows by which the noise of the trainer's base is measured.
_NOISE_ROWS = 8


def write_parity(
    folder: Path,
    *,
    model: Any,
    tokenizer: Any,
    rows: Iterable[Mapping[str, Any]],
    limit: int = MOST_ROWS,
    max_length: int | None = None,
) -> ParityFile:
    """Scores `rows` with the adapter and without it, and writes the parity file into the adapter's `folder`.

    Replicas compare with it before the adapter serves. The rows' texts are in the file, and so in the revision.

    `model`: a PeftModel over `tuning.bases.loading.served_model`, with its adapter as it is in `folder`; `tokenizer`:
    with the chat template of training; `rows`: each with `messages` of a role and a content, the last of which is the
    answer; `limit`: the most rows, at most 32; `max_length`: where training cut examples, None where it did not.

    Raises AdapterError where no row can be scored.
    """
    chosen = _within_bounds(token_rows(rows, tokenizer, limit=min(limit, MOST_ROWS), max_length=max_length))
    if not chosen:
        raise AdapterError(
            f"{folder}: no row can be scored for parity.",
            hint="Give rows whose messages are texts, the last of them the answer.",
            reason="parity",
        )
    with evaluating(model):
        scored = tuple(_scored(model, row) for row in chosen)
        noise = _noise(model, scored[:_NOISE_ROWS])
    file = ParityFile(
        base=_fingerprint(model),
        vocabulary=vocabulary_digest(tokenizer.get_vocab()),
        template=template_digest(tokenizer.chat_template) if isinstance(tokenizer.chat_template, str) else None,
        max_length=max_length,
        modules=trained_scales(model),
        rows=scored,
        weights=file_hash(folder / WEIGHTS_FILE),
        noise=noise,
        made_by=_made_by(),
    )
    _write(folder / PARITY_FILE, file.to_json())
    return file


def _within_bounds(rows: list[TokenRow]) -> list[TokenRow]:
    """Leaves out what is too much for one file."""
    kept, total = [], 0
    for row in rows:
        if total + len(row.ids) <= MOST_TOKENS:
            kept.append(row)
            total += len(row.ids)
    return kept


def _scored(model: Any, row: TokenRow) -> ParityRow:
    adapted = logprobs(model, row.ids)
    with model.disable_adapter():
        plain = logprobs(model, row.ids)
    return ParityRow(row.messages, row.prompt, row.ids, row.start, adapted, plain)


def _noise(model: Any, rows: Sequence[ParityRow]) -> float | None:
    with model.disable_adapter():
        noise = rounding_noise(model, [row.ids for row in rows], [row.plain for row in rows])
    return round(noise, 5) if noise is not None else None


def _fingerprint(model: Any) -> str | None:
    """Reads the fingerprint of the base's folder, which the model knows where it was loaded from one."""
    name = getattr(model.get_base_model().config, "_name_or_path", "")
    layout = BaseLayout.of_folder(Path(name)) if name and Path(name).is_dir() else None
    return layout.fingerprint if layout is not None else None


def _made_by() -> str:
    import peft
    import torch
    import transformers

    return f"peft {peft.__version__}, transformers {transformers.__version__}, torch {torch.__version__}"


def _write(path: Path, text: str) -> None:
    """Writes the file whole or not at all."""
    beside = path.with_name(f".{path.name}.new")
    with beside.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    beside.replace(path)
