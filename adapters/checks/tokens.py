"""The trial of two tokenizers on a text, in a process of its own: a tokenizer's patterns are anybody's code."""

import importlib.util
import json
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from patchbay.adapters.checks.folder import FolderLimits
from patchbay.adapters.checks.wording import read_object
from patchbay.adapters.sandbox.bounds import Bounds, Task
from patchbay.adapters.sandbox.process import run

_MIB = 1024**2
_BOUNDS = Bounds(cpu_s=60, memory_bytes=2048 * _MIB, file_bytes=_MIB, timeout_s=120)
_ENVIRONMENT = {"TOKENIZERS_PARALLELISM": "false", "RAYON_NUM_THREADS": "1"}
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


def differing_text(path: Path, rules: Mapping[str, Any], limits: FolderLimits) -> tuple[str | None, bool]:
    """Finds a text that the tokenizer in the file `path` takes apart otherwise than one with the same tokens and these
    `rules`. Blocks.

    Returns the text, None where there is none, and whether it could be tried at all, which takes the package
    `tokenizers`. Raises AdapterError where the tokenizer cannot be read, TooCostly where that takes too much.
    """
    if importlib.util.find_spec("tokenizers") is None:
        return None, False
    with tempfile.TemporaryDirectory() as workdir:
        work = {"path": str(path.absolute()), "rules": dict(rules), "limit": limits.tokenizer_bytes}
        found = run(Task("tokens", work, _ENVIRONMENT), _BOUNDS, workdir=Path(workdir))
    return (found if isinstance(found, str) else None), True


def tokens_task(work: Mapping[str, Any]) -> str | None:
    """Does the work of `differing_text` within the confined process."""
    document = read_object(Path(work["path"]), work["limit"])
    for key in ("post_processor", "decoder", "padding", "truncation"):
        document[key] = None
    own = _encoded(document)
    rules = work["rules"]
    model = {key: document["model"][key] for key in ("vocab", "merges") if key in document["model"]}
    other = document | {key: rules[key] for key in ("normalizer", "pre_tokenizer")} | {"model": rules["model"] | model}
    return next((text for text, one, two in zip(_TEXTS, own, _encoded(other), strict=True) if one != two), None)


def _encoded(document: Mapping[str, Any]) -> list[list[int]]:
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_str(json.dumps(document))
    return [tokenizer.encode(text, add_special_tokens=False).ids for text in _TEXTS]
