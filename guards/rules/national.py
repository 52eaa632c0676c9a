"""The rules for numbers of people and firms of single countries. Those without a strict form or check count only near a
word that names them."""

from typing import Final

from patchbay.guards.rules.national_americas import AMERICAS
from patchbay.guards.rules.national_asia import ASIA
from patchbay.guards.rules.national_east import EAST
from patchbay.guards.rules.national_north import NORTH
from patchbay.guards.rules.national_south import SOUTH
from patchbay.guards.rules.national_west import WEST
from patchbay.guards.rules.passports import PASSPORTS
from patchbay.guards.rules.rule import Rule

NATIONAL: Final[tuple[Rule, ...]] = (*AMERICAS, *NORTH, *WEST, *SOUTH, *EAST, *ASIA, *PASSPORTS)
