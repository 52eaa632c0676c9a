"""The choice of the scanner for a set of rules."""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.scanner import Scanner, expressions_of


def load_scanner(rules: Sequence[Rule], folder: Path | None) -> Scanner:
    """Compiles rules for Hyperscan, or for RE2 on machines that have no wheel of Hyperscan.

    `folder`: the folder of compiled sets, None to keep none. Raises ConfigError for a rule that cannot be used.
    """
    expressions = expressions_of(rules)
    if find_spec("hyperscan") is None:
        from patchbay.guards.scan.re2_scanner import Re2Scanner

        return Re2Scanner(expressions)
    from patchbay.guards.scan.hyperscan_scanner import load

    return load(expressions, folder)
