"""Rules for personal data: addresses, and numbers of telephones, cards, accounts, machines, identity papers and
firms."""

from typing import Final

from patchbay.guards.rules.contacts import BIRTHS, EMAILS, MACHINES
from patchbay.guards.rules.national import NATIONAL
from patchbay.guards.rules.payments import ACCOUNTS, CARDS, WALLETS
from patchbay.guards.rules.phones import phone_rules
from patchbay.guards.rules.regions import DEFAULT_REGIONS
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
