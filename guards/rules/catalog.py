"""The sets of built-in rules, by the names that a configuration gives them."""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from patchbay.guards.rules.contacts import DATES, URLS
from patchbay.guards.rules.pii import PII
from patchbay.guards.rules.rule import Rule
from patchbay.guards.rules.secrets import SECRETS
from patchbay.guards.rules.words import PROFANITY

# The sets as a configuration names them.
SETS: Final[Mapping[str, Sequence[Rule]]] = MappingProxyType(
    {"pii": PII, "secrets": SECRETS, "profanity": PROFANITY, "urls": URLS, "dates": DATES}
)
