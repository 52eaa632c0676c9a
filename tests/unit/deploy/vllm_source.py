"""What vLLM's own source says of its metrics, read without importing it: `python -m tests.unit.deploy.vllm_source`
writes the list that is kept."""

import ast
import importlib.util
from collections.abc import Iterator
from pathlib import Path

from tests.unit.deploy.known import OBSERVABILITY

_HEAD = """\
# The metrics that vLLM 0.32.0 always has, their kind and labels: of v1/metrics/loggers.py, those under no condition.
# Written by `python -m tests.unit.deploy.vllm_source`; a test compares it with the vLLM that is installed.
"""
_KINDS = {"_gauge_cls": "gauge", "_counter_cls": "counter", "_histogram_cls": "histogram"}


def source() -> Path | None:
    """The file of the installed vLLM that makes its metrics, None without one."""
    found = importlib.util.find_spec("vllm")
    places = (found.submodule_search_locations if found else None) or []
    return Path(places[0]) / "v1" / "metrics" / "loggers.py" if places else None


def listed(path: Path) -> str:
    """The list, as it is kept."""
    return _HEAD + "".join(f"{line}\n" for line in sorted(_lines(path)))


def _lines(path: Path) -> Iterator[str]:
    classes = [node for node in ast.parse(path.read_text()).body if isinstance(node, ast.ClassDef)]
    logger = next(node for node in classes if node.name == "PrometheusStatLogger")
    init = next(node for node in logger.body if isinstance(node, ast.FunctionDef) and node.name == "__init__")
    common: list[str] = []
    for statement in init.body:
        if isinstance(statement, ast.Assign) and ast.unparse(statement.targets[0]) == "labelnames":
            common = _strings(statement.value)
        if isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call):
            call = statement.value
            kind = _KINDS.get(call.func.attr) if isinstance(call.func, ast.Attribute) else None
            given = {word.arg: word.value for word in call.keywords}
            if kind is not None and "name" in given:
                shared = common if "labelnames" in ast.unparse(given["labelnames"]) else []
                labels = sorted({*shared, *_strings(given["labelnames"])})
                yield f"{_strings(given['name'])[0]} {kind} {','.join(labels)}"


def _strings(node: ast.AST) -> list[str]:
    return [one.value for one in ast.walk(node) if isinstance(one, ast.Constant) and isinstance(one.value, str)]


if __name__ == "__main__":
    found = source()
    assert found is not None, "vLLM is not installed"
    (OBSERVABILITY / "vllm_metrics.txt").write_text(listed(found), encoding="utf-8")
