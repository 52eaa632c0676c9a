"""Rules for personal data: addresses, and numbers of telephones, cards, accounts, machines, identity papers and
firms."""

from typing import Final

from patchbay.guards.rules.contacts import BIRTHS, DATES, EMAILS, MACHINES, URLS
from patchbay.guards.rules.national import NATIONAL
from patchbay.guards.rules.payments import ACCOUNTS, CARDS, WALLETS
from patchbay.guards.rules.phones import DEFAULT_REGIONS, phone_rules
from patchbay.guards.rules.rule import Rule

PII: Final[tuple[Rule, ...]] = (
    *EMAILS,
    *phone_rules(DEFAULT_REGIONS),
    *CARDS,
    *ACCOUNTS,
    *WALLETS,
    *MACHINES,
    *BIRTHS,
    *NATIONAL,
)

__all__ = ["DATES", "PII", "URLS"]
