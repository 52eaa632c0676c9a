"""The values of the English tasks: people, products, places and numbers, invented by composition.

Each part of a value belongs to one split, by a hash of it: what is asked in held-out examples is in no corpus.
"""

import hashlib
import random
from collections.abc import Sequence
from dataclasses import dataclass

HELD_OUT_SHARE = 5
# One word a line would be hundreds of lines.
# fmt: off
FIRST_NAMES = (
    "Adaeze", "Alasdair", "Amrita", "Anneke", "Ansel", "Beatriz", "Bohdan", "Cillian", "Corinne", "Dagmar", "Darnell",
    "Dilara", "Edmund", "Eilidh", "Farida", "Fergus", "Gianna", "Gunnar", "Hanneke", "Harriet", "Henrik", "Ignacio",
    "Imani", "Isolde", "Jarrah", "Joaquin", "Josephine", "Kamala", "Keiko", "Lachlan", "Lucinda", "Magnus", "Malik",
    "Marisol", "Miriam", "Nikhil", "Noor", "Odette", "Oleander", "Orlando", "Percival", "Philippa", "Quentin", "Ramona",
    "Reginald", "Roisin", "Ruben", "Saoirse", "Sibusiso", "Solveig", "Svetlana", "Tamsin", "Thaddeus", "Tobias",
    "Umberto", "Valentina", "Vasquez", "Wilhelmina", "Winston", "Xiomara", "Yolanda", "Zacharias", "Zainab", "Zoltan",
)
NAME_STEMS = (
    "Ald", "Ander", "Ash", "Bar", "Black", "Bren", "Cald", "Carl", "Dal", "Dun", "Ever", "Fair", "Gar", "Glen", "Hal",
    "Hart", "Hol", "Kessel", "Lang", "Lind", "Mar", "Mont", "Nor", "Oak", "Pal", "Quar", "Rand", "Rosen", "Sand",
    "Stein", "Thorn", "Ul", "Vander", "Wal", "Whit", "Winter", "Yar", "Zell",
)
NAME_ENDINGS = (
    "berg", "bury", "by", "dale", "er", "feld", "gate", "ham", "ini", "ley", "mann", "mere", "os", "ova", "sen",
    "strom", "ton", "wick", "wood", "worth",
)
BRAND_STARTS = (
    "Aero", "Bright", "Cal", "Cirro", "Dura", "Echo", "Fen", "Glo", "Halo", "Ion", "Juno", "Kine", "Lume", "Miro",
    "Nimbo", "Opti", "Pyra", "Quill", "Rove", "Sola", "Terra", "Umbra", "Vela", "Wyn", "Xeno", "Zephy",
)
BRAND_ENDINGS = (
    "bex", "core", "dyne", "fox", "gard", "lux", "mark", "naut", "nova", "peak", "ra", "ridge", "tek", "vance", "wave",
)
PRODUCT_KINDS = (
    "air purifier", "alarm clock", "bike light", "coffee grinder", "desk lamp", "doorbell", "electric kettle",
    "espresso machine", "fan heater", "fitness watch", "food processor", "garden hose", "hair dryer", "headphones",
    "ice maker", "microphone", "office chair", "pressure cooker", "projector", "rice cooker", "robot vacuum",
    "sewing machine", "smoke detector", "standing desk", "tent", "toaster", "travel mug", "wireless mouse",
)
CITIES = (
    "Aarhus", "Accra", "Adelaide", "Antwerp", "Auckland", "Baltimore", "Belgrade", "Bilbao", "Bogota", "Boston",
    "Bristol", "Brussels", "Calgary", "Cardiff", "Casablanca", "Chennai", "Chicago", "Cologne", "Dakar", "Dallas",
    "Denver", "Edinburgh", "Florence", "Geneva", "Glasgow", "Gothenburg", "Hamburg", "Hanoi", "Helsinki", "Houston",
    "Istanbul", "Jakarta", "Kampala", "Kyoto", "Lagos", "Leeds", "Lima", "Liverpool", "London", "Lusaka", "Manila",
    "Marseille", "Melbourne", "Memphis", "Montreal", "Mumbai", "Munich", "Nairobi", "Naples", "New York", "Osaka",
    "Ottawa", "Paris", "Perth", "Philadelphia", "Portland", "Quito", "Riga", "Rotterdam", "Santiago", "Seattle",
    "Seoul", "Stockholm", "Sydney", "Tallinn", "Toronto", "Tunis", "Valencia", "Vilnius", "Winnipeg",
)
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
# fmt: on


def is_held_out(part: str) -> bool:
    """Whether this part of a value belongs to the held-out split."""
    return hashlib.sha256(part.encode()).digest()[0] % HELD_OUT_SHARE == 0


def of_split(parts: Sequence[str], *, held_out: bool) -> tuple[str, ...]:
    """Returns the parts of one split."""
    return tuple(part for part in parts if is_held_out(part) == held_out)


LAST_NAMES = tuple(stem + ending for stem in NAME_STEMS for ending in NAME_ENDINGS)
BRANDS = tuple(start + ending for start in BRAND_STARTS for ending in BRAND_ENDINGS)


@dataclass(frozen=True, slots=True)
class Values:
    """A source of values of one split: `rng` draws them."""

    rng: random.Random
    held_out: bool

    def customer(self) -> str:
        """Draws a first and a last name, one in eight with a double last name."""
        last = self.part(LAST_NAMES)
        if self.rng.random() < 0.125:
            last = f"{last}-{self.part(LAST_NAMES)}"
        return f"{self.part(FIRST_NAMES)} {last}"

    def product(self) -> str:
        """Draws a brand and a kind of product."""
        return f"{self.part(BRANDS)} {self.rng.choice(PRODUCT_KINDS)}"

    def city(self) -> str:
        """Draws a city."""
        return self.part(CITIES)

    def order(self) -> str:
        """Draws an order number. Its last digit tells the split: 7 is held out."""
        digits = f"{self.rng.randrange(100, 10000)}"
        last = "7" if self.held_out else self.rng.choice("012345689")
        return f"{self.rng.choice(('PB', 'ORD', 'EU', 'A'))}-{digits}{last}"

    def number(self, low: int, high: int) -> int:
        """Draws a number in [low, high) of the split: those that 7 divides are held out."""
        while True:
            drawn = self.rng.randrange(low, high)
            if (drawn % 7 == 0) == self.held_out:
                return drawn

    def part(self, parts: Sequence[str]) -> str:
        """Draws one of the parts of this split."""
        return self.rng.choice(of_split(parts, held_out=self.held_out))
