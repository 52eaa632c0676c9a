"""The class of named signals, and the words that their patterns are made of."""

import re
from dataclasses import dataclass
from typing import Final

# Up to so many characters within a sentence, and within a line, before the next word.
GAP: Final = r"[^.!?\n]{0,45}?\b"
LONG: Final = r"[^\n]{0,90}?\b"

# Words for the instructions that a model follows.
RULES: Final = (
    r"(?:instruct\w*|(?<!e-)prompts?|rules?|guidelines?|directives?|directions?|orders|commands?|constraints?"
    r"|restrictions?|polic(?:y|ies)|guardrails?|safeguards|filters?|rulebook|guidance|brief|teachings|system text"
    r"|(?:your|safety) (?:\w+ )?(?:training|programming|alignment|context))\b"
)
DROP: Final = (
    r"\b(?:ignor(?:e|ing)|disregard\w*|(?<!n't )(?<!not )(?<!never )forget|bypass\w*|overrid\w*|overrul\w*|overwrit\w*"
    r"|discard|neglect|abandon|(?:set|cast|lay|leave) aside|drop|let go of|scrap|toss out|get rid of|do away with"
    r"|break out of|(?:pay|give) no (?:attention|heed) to|(?:do not|don't|stop|quit|cease|no longer"
    r"|never) (?:follow\w*|obey\w*|listen\w*|comply\w*|stick\w*|appl\w*|bound)|throw (?:out|away)|erase|wipe|delete"
    r"|cancel|unlearn|suspend|supersedes?|replaces?)\b"
)
BEFORE: Final = (
    r"(?:above|before|earlier|prior|previous(?:ly)?|preceding|so far|until now|up to (?:here|now|this point)|told"
    r"|said)"
)
PROMPT: Final = (
    r"(?:system[ -]?(?:prompt|message|instructions?|text|card)|(?:initial|hidden|original|secret|first|internal"
    r"|developer|starting|base|pre-?|confidential|underlying|core|custom)[ -]?(?:\w+ )?(?:prompt|instructions?"
    r"|directives?|message|rules|guidelines|configuration)|preamble|pre-?prompt|your (?:own )?(?:prompt|instructions"
    r"|rules|guidelines|directives|configuration))"
)
SHOW: Final = (
    r"(?:show\w*|reveal\w*|print|repeat|output|tell|give|share|display|dump|list|write|leak|summari[sz]e|translate"
    r"|paste|recite|quote|disclose|encode|spell|expose|what(?:'s| is| are| was| were| does)|copy|echo|return|describe"
    r"|paraphrase|provide|reproduce|send|type|extract)"
)
SECRETS: Final = (
    r"(?:passwords?|api[ -]?keys?|credentials?|access tokens?|secrets?|secret keys?|private keys?|session (?:id"
    r"|tokens?)|cookies?|environment variables|env vars?|\.env|conversation|chat (?:history|log)|(?:user|customer"
    r"|personal|private|confidential)(?:'s)? (?:data|details|records?|information|documents?|messages)|system prompt"
    r"|credit card|inbox)\b"
)
HARM: Final = (
    r"\b(?:bombs?|explosives?|meth\w*|malware|ransomware|keylogger|spyware|trojan|phishing|weapons?|poison\w*"
    r"|hack(?:ing)? into|hotwir\w+|hot-wir\w+|counterfeit\w*|nerve agent|napalm|launder\w*|drugs?|fentanyl|molotov"
    r"|ddos|botnet|credit card fraud|steal\w*|stolen|forge\w*|shoplift\w*|kidnap\w*|break(?:ing)? into|illegal\w*"
    r"|untraceable|undetect\w+|bioweapon|ricin|cocaine|murder|dynamite|exploit|scam)\b"
)
FICTION: Final = (
    r"\b(?:stor(?:y|ies)|novel|screenplay|fiction\w*|hypothetical\w*|imagine|pretend|role-?play\w*|movie|play a game"
    r"|thought experiment|simulat\w+|alternate (?:universe|reality)|parallel universe|character|scene|poem|dream)\b"
)
FICTION_HINTS: Final = (
    "stor/novel/screenplay/fiction/hypothe/imagine/pretend/role/movie/game/experiment/simulat/universe/character/scene"
    "/poem/dream/reality"
)
HARM_HINTS: Final = (
    "bomb/explosive/meth/ware/keylogger/trojan/phish/weapon/poison/hack/hotwir/hot-wir/counterfeit/nerve/napalm"
    "/launder/drug/fentanyl/molotov/ddos/botnet/fraud/steal/stolen/forge/shoplift/kidnap/break/illegal/untrace"
    "/undetect/ricin/cocaine/murder/dynamite/exploit/scam"
)
WHO: Final = (
    r"(?:ai|a\.i\.|llms?|assistants?|language models?|chat-?bots?|bots?|gpt|chatgpt"
    r"|copilot|agents?|models?|summari[sz]er)\b"
)
FREE: Final = (
    r"(?:restrict\w*|filters?|filtering|limits?|limitations?|censor\w*|guardrails?|safeguards|boundar\w+|rules"
    r"|guidelines|ethic\w*|moral\w*|polic\w+|constraints?|inhibitions|taboos?|safety)\b"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Signal:
    """A named signal that is found by a pattern.

    `hints`: groups of pieces: every match has one piece of each group, so the pattern is searched for only where pieces
    of all groups are near each other; `attack`: whether the signal is a sign of an attack, or only a sign that the text
    is about attacks; `reach`: the longest match, in characters.
    """

    name: str
    hints: tuple[tuple[str, ...], ...]
    pattern: re.Pattern[str]
    attack: bool = True
    reach: int = 130


def signal(name: str, hints: str, *patterns: str, attack: bool = True, reach: int = 130) -> Signal:
    """Makes a signal.

    `name`: its name; `hints`: its groups, separated by `&`, of pieces, separated by `/`; `patterns`: alternatives of
    its pattern; `attack`, `reach`: see `Signal`.
    """
    groups = tuple(tuple(group.split("/")) for group in hints.split("&"))
    return Signal(
        name=name, hints=groups, pattern=re.compile("|".join(patterns), re.MULTILINE), attack=attack, reach=reach
    )
