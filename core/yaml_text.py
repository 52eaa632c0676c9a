"""YAML 1.2 by its core schema: `on` and `no` are words, `010` is ten, `1e3` is a number, and a key stands once.

PyYAML reads YAML 1.1; what differs is what a plain word stands for. Merges (`<<`), which 1.2 leaves out, stay.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from typing import Any

import yaml

from patchbay.core.errors import ConfigError

_PREFIX = "tag:yaml.org,2002:"
# What a plain word stands for, and what it may begin with.
_WORDS = (
    ("null", re.compile(r"~|null|Null|NULL|"), ["~", "n", "N", ""]),
    ("bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF")),
    ("int", re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+"), list("-+0123456789")),
    (
        "float",
        re.compile(
            r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)"
        ),
        list("-+.0123456789"),
    ),
    ("merge", re.compile(r"<<"), ["<"]),
)
_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    # A new table, so that PyYAML's own stays as it is for others.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """A mapping as it is written. Raises ComposerError where a key stands twice."""
        node = super().compose_mapping_node(anchor)
        seen: set[tuple[str, str]] = set()
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_PREFIX}merge":
                continue
            if (key.tag, key.value) in seen:
                raise yaml.composer.ComposerError(None, None, f"the key '{key.value}' stands twice", key.start_mark)
            seen.add((key.tag, key.value))
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """A whole number."""
        text = str(self.construct_scalar(node))
        return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)


class _Dumper(yaml.SafeDumper):
    """Quotes what is no text by 1.2, beside what is none by 1.1."""


for _name, _pattern, _first in _WORDS:
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(_PREFIX + _name, _whole, _first)
    _Dumper.add_implicit_resolver(_PREFIX + _name, _whole, _first)
_Loader.add_constructor(f"{_PREFIX}int", _Loader.construct_yaml_int)


def parse_yaml(text: str) -> Any:
    """What a YAML document holds. Raises ConfigError where it is none, or is nested too deeply."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except RecursionError as error:
        raise ConfigError("it is nested too deeply") from error
    except (yaml.YAMLError, ValueError) as error:
        raise ConfigError(str(error)) from error


def yaml_text(data: Any, *, for_people: bool = False) -> str:
    """`data` as a document that `parse_yaml` reads as it was, its keys in their order. `for_people`: letters beyond
    ASCII as they are, where a rare one may be lost (PyYAML takes U+0085 for a line break)."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=for_people, width=120)
