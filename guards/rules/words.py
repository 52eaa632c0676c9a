"""Rules for profanity. They match whole words only, so that Scunthorpe is not one."""

from typing import Final

from patchbay.guards.rules.rule import Rule


def _words(name: str, pattern: str, examples: tuple[str, ...], others: tuple[str, ...]) -> Rule:
    return Rule(
        name=name, kind="PROFANITY", pattern=rf"\b(?:{pattern})\b", caseless=True, examples=examples, others=others
    )


PROFANITY: Final[tuple[Rule, ...]] = (
    _words(
        "profanity-strong",
        r"(?:mother|clusters?)?-?f[u*][c*]k(?:s|ed|er|ers|ing|in|face|wit|wits|up)?|wtf|stfu|gtfo|milf|c[u*]nts?"
        r"|twats?|wank(?:s|ed|er|ers|ing)?|cocksuck(?:er|ers|ing)",
        ("What the fuck?", "motherfucking", "F*ck off, Wankers!"),
        ("Scunthorpe", "Fukuoka", "shuttlecock"),
    ),
    _words(
        "profanity-mild",
        r"(?:bull|horse|dip|chicken|bat)?sh[i*]t(?:s|ty|ting|head|heads|hole|holes|show)?"
        r"|(?:dumb|jack|smart|bad|lard|fat)?ass(?:hole|holes|hat|hats|wipe)|(?:dumb|jack|smart|lard|fat)ass(?:es)?"
        r"|arse(?:hole|holes)?|b[i*]tch(?:es|y|ing)?|bastards?|bollocks|bugger(?:s|ed|ing)?|goddamn(?:ed|it)?"
        r"|piss(?:ed|es|ing)?|crappy|douche(?:bag|bags)?|dickheads?|tossers?|son of a b[i*]tch",
        ("Holy shit!", "That is bullshit.", "a bunch of assholes"),
        ("class assignment", "assassin", "Shitake is shiitake"),
    ),
    _words(
        "profanity-sexual",
        r"blow ?jobs?|hand ?jobs?|rim ?jobs?|cum(?:shot|shots|ming)|jizz(?:ed|ing)?|dildos?|tits|titties|boobs"
        r"|pussies|slut(?:s|ty)?|whores?|skanks?|gang ?bang(?:s|ed|ing)?|jerk(?:ing)? off|butt ?plugs?|bukkake",
        ("blowjob", "two sluts", "Jerking off"),
        ("titmouse", "cummerbund", "document"),
    ),
    _words(
        "profanity-slurs",
        r"n[i*]gg(?:er|ers|a|as|az)|fag(?:got|gots|s)?|kikes?|spics?|gooks?|wetbacks?|trann(?:y|ies)"
        r"|retard(?:s|ed)?|pak(?:i|is)|ragheads?|towelheads?",
        ("what a retard", "you faggot"),
        ("raccoon", "niggardly", "a retardant", "Pakistan", "chinking of glasses"),
    ),
    _words(
        "profanity-other-languages",
        r"scheisse|arschl(?:o|oe)cher|arschloch|fotzen?|wichser|hurensohn|merde|putain|connards?|salopes?|encul(?:e|es|er)"
        r"|mierda|put(?:a|as|o|os)|pendejos?|cabr(?:o|ones)n?|gilipollas|cojones|cazzo|stronzo|vaffanculo|kurwa|blyat",
        ("So eine Scheisse", "merde alors", "Vaffanculo!"),
        ("computation", "Merdeka", "emerald"),
    ),
)
