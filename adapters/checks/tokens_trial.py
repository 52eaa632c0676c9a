"""The trial of two tokenizers itself, for confined processes: only there the library that runs them is loaded."""

import dataclasses
import importlib.util
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.strict_json import shown
from patchbay.adapters.checks.trials import Trial
from patchbay.adapters.checks.wording import read_object
from patchbay.core.errors import AdapterError

# Without blanks at the ends: there versions of one library differ from each other for every Llama.
_TEXTS = (
    "The quick brown fox jumps over 12345 lazy dogs, isn't it? We'll see: 3.14159 > 2.",
    "def f(x):\n    if x:\n\treturn {'a': [1, 2]}  # twice\n\n\nprint(f(0x1F))",
    "Zwölf Boxkämpfer jagen Viktor quer über den großen Sylter Deich; Ångström, naïve cafés, ½ ﬁ Ⅳ №",
    "敏捷的棕色狐狸跳过了懒狗。すばやい茶色の狐。 빠른 갈색 여우 Быстрая лиса ال ثعلب השועל ผู้ใหญ่ हिन्दी",
    "e\u0301 \u00e9 \ufb01 \u200d\U0001f469\u200d\U0001f4bb \U0001f600\U0001f680 \u00a0\u3000x \u2028 y",
    "CamelCaseHTTPServer snake_case --flag  two   three\t\ttabs",
    'SELECT * FROM "orders" WHERE id = 42;\r\n{"key": [true, null, 1e-9]} <b>&amp;</b> https://example.org/?q=a+b%20c',
)


def tokens_tried(path: Path, rules: Mapping[str, Any], limits: FolderLimits) -> Trial:
    """Tries the tokenizer in the file `path` against one with the same tokens and these `rules`.

    Raises AdapterError where it cannot be read.
    """
    if importlib.util.find_spec("tokenizers") is None:
        return Trial(possible=False)
    document = read_object(path, limits.tokenizer_bytes)
    for key in ("post_processor", "decoder", "padding", "truncation"):
        document[key] = None
    own = _encoded(document, path)
    model = {key: document["model"][key] for key in ("vocab", "merges") if key in document["model"]}
    document |= {key: rules[key] for key in ("normalizer", "pre_tokenizer")} | {"model": rules["model"] | model}
    pairs = zip(_TEXTS, own, _encoded(document, path), strict=True)
    return Trial(next((text for text, one, two in pairs if one != two), None))


def tokens_task(work: Mapping[str, Any]) -> dict[str, Any]:
    """Does the work of `Trials.tokens` within the confined process."""
    limits = FolderLimits(tokenizer_bytes=work["limit"])
    return dataclasses.asdict(tokens_tried(Path(work["path"]), work["rules"], limits))


def _encoded(document: Mapping[str, Any], path: Path) -> list[list[int]]:
    # There is one small thing to do, and threads would each take memory.
    os.environ |= {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
    from tokenizers import Tokenizer

    try:
        tokenizer = Tokenizer.from_str(json.dumps(document))
        return [tokenizer.encode(text, add_special_tokens=False).ids for text in _TEXTS]
    except Exception as error:
        raise AdapterError(f"{path}: the tokenizer cannot be read: {shown(str(error))}.") from error
