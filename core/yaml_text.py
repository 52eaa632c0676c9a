"""Reading and writing of YAML 1.2 by its core schema: `on` and `no` are words, `010` is ten, `1e3` is a number, and no
key stands twice.

PyYAML reads YAML 1.1, in which plain words mean other things. Merges (`<<`), which 1.2 leaves out, stay.
Source: https://yaml.org/spec/1.2.2/#103-core-schema
"""

import re
from collections.abc import Sequence
from typing import Any

import yaml

from patchbay.core.errors import ConfigError, PlacedFault

_PREFIX = "tag:yaml.org,2002:"
# The types of plain words: their patterns, and the characters that they begin with.
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
# A key without a space after its colon, which makes one word of both.
_GLUED = re.compile(r"\s*(?:-\s+)?[A-Za-z_][\w.-]*:[^\s/:]")
_BASES = {"0o": 8, "0x": 16}


class _Loader(yaml.SafeLoader):
    # A new table, so that PyYAML's own stays as it is for others.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:
        """Composes a mapping. Raises ComposerError where a key stands twice."""
        node = super().compose_mapping_node(anchor)
        lines: dict[tuple[str, str], int] = {}
        for key, _ in node.value:
            if not isinstance(key, yaml.ScalarNode) or key.tag == f"{_PREFIX}merge":
                continue
            if (first := lines.get((key.tag, key.value))) is not None:
                fault = f"this key stands twice, first in line {first}"
                raise yaml.composer.ComposerError(None, None, fault, key.start_mark)
            lines[key.tag, key.value] = key.start_mark.line + 1
        return node

    def construct_yaml_int(self, node: yaml.ScalarNode) -> int:
        """Makes a whole number of a word."""
        text = str(self.construct_scalar(node))
        return int(text[2:], _BASES[text[:2]]) if text[:2] in _BASES else int(text)


class _Dumper(yaml.SafeDumper):
    """Quotes texts that are other types by 1.2, beside those that are by 1.1."""


for _name, _pattern, _first in _WORDS:
    _whole = re.compile(rf"(?:{_pattern.pattern})\Z")
    _Loader.add_implicit_resolver(_PREFIX + _name, _whole, _first)
    _Dumper.add_implicit_resolver(_PREFIX + _name, _whole, _first)
_Loader.add_constructor(f"{_PREFIX}int", _Loader.construct_yaml_int)


# PyYAML's constructors raise these for a value that an explicit tag is not for, such as `!!bool abc`.
_TAG_FAULTS = (KeyError, IndexError, AttributeError, OverflowError)


def parse_yaml(text: str) -> Any:
    """Reads a YAML document. Raises ConfigError, with one line that quotes nothing of it, where it is none."""
    try:
        return yaml.load(text, _Loader)  # noqa: S506 - a safe loader
    except RecursionError as error:
        raise ConfigError("it is nested too deeply") from error
    except yaml.YAMLError as error:
        fault = _yaml_fault(error, text)
        raise ConfigError(str(fault), faults=(fault,)) from error
    except ValueError as error:
        raise ConfigError("it holds a number that cannot be read") from error
    except _TAG_FAULTS as error:
        raise ConfigError("it holds a value that its tag (`!!`) or its escape does not fit") from error


def places_of(text: str, places: Sequence[Sequence[str | int]]) -> list[tuple[int, int] | None]:
    """Returns the lines and the columns, from 1, at which the values under the keys of `places` stand in the YAML
    document `text`.

    Keys that the document does not have are skipped, such as names that a model adds to a place; where none of them is
    there, or the document cannot be read, there is None for a place.
    """
    try:
        node = yaml.compose(text, _Loader)
    except (yaml.YAMLError, RecursionError, ValueError, *_TAG_FAULTS):
        return [None] * len(places)
    return [_place_in(node, keys) for keys in places]


def _place_in(node: yaml.Node | None, keys: Sequence[str | int]) -> tuple[int, int] | None:
    mark = None
    for key in keys:
        found = _entry(node, key)
        if found is not None:
            mark, node = found
    return (mark.line + 1, mark.column + 1) if mark is not None else None


def _entry(node: yaml.Node | None, key: str | int) -> tuple[Any, yaml.Node] | None:
    """Returns where the entry `key` of a mapping or a list begins, and its value; None where there is no such entry."""
    if isinstance(node, yaml.MappingNode):
        return next(((name.start_mark, value) for name, value in node.value if name.value == str(key)), None)
    if isinstance(node, yaml.SequenceNode) and isinstance(key, int) and key < len(node.value):
        return node.value[key].start_mark, node.value[key]
    return None


def yaml_text(data: Any, *, for_people: bool = False) -> str:
    """Writes `data` as a document that `parse_yaml` reads back, its keys in their order.

    `for_people`: letters beyond ASCII stay as they are. A rare one may be lost: PyYAML takes U+0085 for a line break.
    """
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=for_people, width=120)


def _yaml_fault(error: yaml.YAMLError, text: str) -> PlacedFault:
    """Returns the fault and its place on one line, without the file's own text, which may be a secret."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        mark, problem = error.problem_mark, ", ".join(part for part in (error.context, error.problem) if part)
        lines = text.splitlines()
        glued = [line for line in (mark.line, mark.line - 1) if 0 <= line < len(lines) and _GLUED.match(lines[line])]
        hint = f" (write a space after the colon in line {glued[0] + 1})" if glued else ""
        return PlacedFault(key="", line=mark.line + 1, column=mark.column + 1, message=f"{problem}{hint}")
    return PlacedFault(key="", line=None, column=None, message=" ".join(str(error).split()))
