"""What of an attack can be seen in a text: named signals, each found by a pattern, in English and, where a phrase is
common, in German, French and Spanish.

The families follow what has been published about such attacks: F. Perez and I. Ribeiro, "Ignore previous prompt", 2022
(goal hijacking, prompt leaking); K. Greshake et al., "Not what you've signed up for", 2023 (instructions in documents,
exfiltration by images); X. Shen et al., "Do anything now", 2023 (personas); A. Wei et al., "Jailbroken", 2023 (encodings,
forced beginnings of answers); OWASP Top 10 for LLM applications, LLM01.
"""

import re
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from router.guards.fold import fold

_QUOTES: Final = str.maketrans("\u2019\u2018\u02bc\u00b4`\u201c\u201d\u201e\u00ab\u00bb", "'''''" + '"' * 5)
# Nothing that a pattern finds is longer, in characters.
_REACH: Final = 220
_GAP: Final = r"[^.!?\n]{0,45}?\b"
_LONG: Final = r"[^\n]{0,90}?\b"

# What a model is told to follow.
_RULES: Final = (
    r"(?:instruct\w*|(?<!e-)prompts?|rules?|guidelines?|directives?|directions?|orders|commands?|constraints?|restrictions?"
    r"|polic(?:y|ies)|guardrails?|safeguards|filters?|(?:your|safety) (?:\w+ )?(?:training|programming|alignment|context))\b"
)
_DROP: Final = (
    r"\b(?:ignor(?:e|ing)|disregard\w*|forget|bypass\w*|overrid\w*|overrul\w*|overwrit\w*|discard|neglect|abandon|set aside|drop"
    r"|(?:pay|give) no (?:attention|heed) to|(?:do not|don't|stop|no longer|never) (?:follow\w*|obey\w*|listen\w*|comply\w*"
    r"|appl\w*|bound)|throw (?:out|away)|erase|wipe|delete|cancel|unlearn|suspend|supersedes?|replaces?)\b"
)
_BEFORE: Final = (
    r"(?:above|before|earlier|prior|previous(?:ly)?|preceding|so far|until now|up to (?:here|now|this point)|told|said)"
)
_PROMPT: Final = (
    r"(?:system[ -]?(?:prompt|message|instructions?|text|card)|(?:initial|hidden|original|secret|first|internal|developer"
    r"|starting|base|pre-?|confidential|underlying|core|custom)[ -]?(?:\w+ )?(?:prompt|instructions?|directives?|message|rules"
    r"|guidelines|configuration)|preamble|pre-?prompt|your (?:own )?(?:prompt|instructions|rules|guidelines|directives"
    r"|configuration))"
)
_SHOW: Final = (
    r"(?:show\w*|reveal\w*|print|repeat|output|tell|give|share|display|dump|list|write|leak|summari[sz]e|translate|paste|recite"
    r"|quote|disclose|encode|spell|expose|what(?:'s| is| are| was| were| does)|copy|echo|return|describe|paraphrase|provide"
    r"|reproduce|send|type|extract)"
)
_SECRETS: Final = (
    r"(?:passwords?|api[ -]?keys?|credentials?|access tokens?|secrets?|secret keys?|private keys?|session (?:id|tokens?)|cookies?"
    r"|environment variables|env vars?|\.env|conversation|chat (?:history|log)|(?:user|customer|personal|private|confidential)"
    r"(?:'s)? (?:data|details|records?|information|documents?|messages)|system prompt|credit card|inbox)\b"
)
_HARM: Final = (
    r"\b(?:bombs?|explosives?|meth\w*|malware|ransomware|keylogger|spyware|trojan|phishing|weapons?|poison\w*|hack(?:ing)? into"
    r"|hotwir\w+|hot-wir\w+|counterfeit\w*|nerve agent|napalm|launder\w*|drugs?|fentanyl|molotov|ddos|botnet|credit card fraud"
    r"|steal\w*|stolen|forge\w*|shoplift\w*|kidnap\w*|break(?:ing)? into|illegal\w*|untraceable|undetect\w+|bioweapon|ricin|cocaine"
    r"|murder|dynamite|exploit|scam)\b"
)
_FICTION: Final = (
    r"\b(?:stor(?:y|ies)|novel|screenplay|fiction\w*|hypothetical\w*|imagine|pretend|role-?play\w*|movie|play a game|thought"
    r" experiment|simulat\w+|alternate (?:universe|reality)|parallel universe|character|scene|poem|dream)\b"
)
_FICTION_HINTS: Final = (
    "stor/novel/screenplay/fiction/hypothe/imagine/pretend/role/movie/game/experiment/simulat/universe/character/scene/poem/dream"
    "/reality"
)
_HARM_HINTS: Final = (
    "bomb/explosive/meth/ware/keylogger/trojan/phish/weapon/poison/hack/hotwir/hot-wir/counterfeit/nerve/napalm/launder/drug"
    "/fentanyl/molotov/ddos/botnet/fraud/steal/stolen/forge/shoplift/kidnap/break/illegal/untrace/undetect/ricin/cocaine/murder"
    "/dynamite/exploit/scam"
)
_WHO: Final = r"(?:ai|a\.i\.|llms?|assistants?|language models?|chat-?bots?|bots?|gpt|chatgpt|copilot|agents?|models?|summari[sz]er)\b"
_FREE: Final = (
    r"(?:restrict\w*|filters?|filtering|limits?|limitations?|censor\w*|guardrails?|safeguards|boundar\w+|rules|guidelines|ethic\w*"
    r"|moral\w*|polic\w+|constraints?|inhibitions|taboos?|safety)\b"
)


@dataclass(frozen=True, slots=True)
class Signal:
    """A named signal. `hints`: groups of pieces; of each group one is in all that its pattern finds, which is looked for
    only where they are near each other. `attack`: whether it speaks for an attack, or is only about one."""

    name: str
    hints: tuple[tuple[str, ...], ...]
    pattern: re.Pattern[str]
    attack: bool = True


def _signal(name: str, hints: str, *patterns: str, attack: bool = True) -> Signal:
    """`hints`: groups apart by `&`, pieces by `/`."""
    groups = tuple(tuple(group.split("/")) for group in hints.split("&"))
    return Signal(name, groups, re.compile("|".join(patterns), re.MULTILINE), attack)


_ORDERS: Final = (
    _signal(
        "override",
        "ignor/disregard/forget/bypass/overr/overwrit/discard/neglect/abandon/set aside/drop/attention/heed/follow/obey/listen"
        "/comply/appl/bound/throw/erase/wipe/delete/cancel/unlearn/suspend/supersede/replace/exist/valid/in force/in effect/void"
        "/obsolete/outdated/lifted/disabled/revoked"
        "&instruct/prompt/rule/guideline/directi/orders/command/constraint/restriction/polic/guardrail/safeguard/filter/training"
        "/programming/alignment/context/everything/anything/all that/all this/all it/all the/all of/what",
        rf"{_DROP}{_GAP}(?:your|all|any|previous|prior|preceding|earlier|above|foregoing|existing|original|initial|former|every|these"
        rf"|those|system|the|old|past|other|whatever|safety|content)\b{_GAP}{_RULES}",
        rf"{_DROP}{_GAP}(?:everything|anything|all (?:of )?(?:this|that|it|the)|what(?:ever)?)\b{_GAP}{_BEFORE}\b",
        rf"{_RULES}{_GAP}(?:no longer (?:appl\w+|exist|valid|in (?:force|effect))|(?:are|is|were) (?:now )?(?:void|obsolete|cancel\w*"
        r"|suspended|outdated|lifted|disabled|revoked))",
    ),
    _signal(
        "override_de",
        "ignorier/vergiss/vergessen/vergesst/missacht/umgeh/beachte/befolge"
        "&anweisung/regel/instruktion/vorgabe/richtlinie/befehl/vorschrift/einschrankung/prompt/alles",
        r"\b(?:ignorier\w*|vergiss|vergessen|vergesst|missacht\w*|umgeh\w*)[^.!?\n]{0,50}?(?:anweisung|regel|instruktion|vorgabe"
        r"|richtlinie|befehl|vorschrift|einschrankung|prompt|alles,? was|alles (?:bisherige|vorherige))",
        r"(?:anweisung|regel|instruktion|vorgabe|richtlinie|befehl)\w*[^.!?\n]{0,40}?\b(?:ignorier|vergess|missacht)",
        r"\b(?:beachte|befolge)\w*[^.!?\n]{0,40}?(?:anweisung|regel|vorgabe|richtlinie)\w*[^.!?\n]{0,12}\bnicht\b",
    ),
    _signal(
        "override_fr",
        "ignor/oubli/compte/abstraction/contourn/neglig&instructions/consigne/regle/directive/ordres/tout ce",
        r"\b(?:ignor\w*|oubli\w*|(?:tiens|tenez|tenir) (?:pas|plus|aucun) compte|abstraction|contourn\w*|neglig\w*)[^.!?\n]{0,50}?"
        r"\b(?:instructions|consignes?|regles?|directives?|ordres|tout ce qui)\b",
    ),
    _signal(
        "override_es",
        "ignor/olvid/descart/omit/omiso/sigas/caso/obedezcas&instruccion/regla/ordenes/directrices/indicacion/normas/todo lo",
        r"\b(?:ignor\w*|olvid\w*|descart\w*|omit\w*|omiso|no (?:sigas|hagas caso|obedezcas))[^.!?\n]{0,50}?\b(?:instruccion\w*|reglas?"
        r"|ordenes|directrices|indicaciones|normas|todo lo (?:anterior|que))",
    ),
    _signal(
        "new_orders",
        "new /real /actual /updated /true /from now on/instead/only task/next task/revised/ab jetzt/ab sofort/partir d/desde ahora"
        "/neue/nouvel/nueva/take precedence/priority",
        r"\b(?:new|real|actual|updated|true|only|revised|next) (?:\w+ )?(?:instructions?|task|orders|directives?|rules|goal|objective"
        r"|role|purpose|mission|system prompt|prompt)\b(?: (?:is|are|follows?)\b|:| to\b)",
        r"\bfrom now on,? (?:you|always|never|every|answer|respond|your|ignore|act|do)",
        r"\binstead,? (?:just |only |simply )?(?:do|say|output|print|respond|reply|write|answer|tell|give|return)\b",
        r"\b(?:take precedence|(?:highest|top|absolute) priority)\b",
        r"\bab (?:jetzt|sofort) (?:bist|wirst|antwort|gilt|folgst|darfst|machst|hast)",
        r"\b(?:a partir de (?:maintenant|ahora)|desde ahora)\b[^.\n]{0,10}\b(?:tu|vous|eres|vas|actua|responde|debes|solo|repond\w*)\b",
        r"\b(?:neue (?:anweisung|aufgabe|regel)|nouvelles? (?:instruction|consigne|tache)|nuevas? (?:instruccion|tarea|regla|orden))\w*"
        r"\s?:",
    ),
    _signal(
        "authority",
        "developer/admin/debug/maintenance/sudo/authori/god/root/creator/override/openai/anthropic/google/meta/test/owner/engineer"
        "/clearance/programmer/unrestricted/diagnostic/entwickler/developpeur/desarrollador/modo"
        "&mode/mod/access/override/i am/i'm/this is/as /authori/approv/permi/allow/clear/requir/order/instruct/sudo/code",
        r"\b(?:developer|admin(?:istrator)?|debug|maintenance|god|sudo|unrestricted|diagnostic|root|test)[ -](?:mode|override|access)\b",
        r"\b(?:i am|i'm|this is|as) (?:your|the|an?)? ?(?:lead |system |senior )?(?:developer|admin\w*|creator|owner|engineer|programmer)"
        rf"{_LONG}(?:your|you|mode|prompt|access|override)\b",
        r"\b(?:openai|anthropic|google|meta|your (?:developers|creators|owner))\b[^.\n]{0,50}\b(?:authori[sz]e\w*|approved|permi\w+|allow\w*"
        r"|cleared|requires?|orders?|instruct\w*)\b",
        r"\b(?:authori[sz]ation (?:code|level)|override code|clearance level|sudo)\b",
        r"\b(?:entwicklermodus|mode developpeur|modo desarrollador|modo (?:dan|admin\w*)|administratormodus)\b",
    ),
)
_PERSONAS: Final = (
    _signal(
        "you_are_now",
        "you are/you're/du bist/tu es/eres/you will be/you have been",
        r"\b(?:you are|you're|you will be) (?:now|no longer|hereby|henceforth|going to (?:be|act|play|pretend))\b",
        r"\byou have been (?:freed|liberated|released|unlocked|jailbroken|reset|updated|reprogrammed)\b",
        r"\bdu bist (?:jetzt|nun|ab sofort|ab jetzt|nicht (?:mehr|langer))\b|\btu es (?:maintenant|desormais)\b|\btu n'es plus\b",
        r"\b(?:ahora eres|eres ahora|ya no eres)\b",
    ),
    _signal(
        "persona",
        "act /acts /act like/pretend/role/simulat/imperson/persona/character/embod/behave/fais comme/joue/incarn/actua/finge/tu so"
        "/spiel",
        r"\b(?:act(?:s|ing)? (?:as|like)|pretend(?:ing)? (?:to be|you|that you)|role-?play\w*(?: as)?|simulat\w+|impersonat\w+|embody|behave"
        r" (?:as|like)|play(?:ing)? the (?:role|part|character)|(?:your|this|the) (?:persona|character)|take on the (?:role|persona))\b",
        r"\b(?:fais comme si|joue le role|incarne|actua como|finge (?:ser|que)|tu so,? als|spiel\w* (?:die rolle|eine))\b",
    ),
    _signal(
        "known_persona",
        "dan/anything now/jailb/stan /dude/chaosgpt/aim /evil/uncensored/unfiltered/unhinged/amoral/opposite mode",
        r"\bdo anything now\b|\bd\.a\.n\b|\b(?:as|are|called|named|be|mode|like|enable|eres|bist|es) \"?dan\b|\bdan(?: mode|:|\])",
        r"\bjail-?br(?:eak|oken)\w*|\b(?:as|are|called|named|be) (?:stan|dude|aim|chaosgpt|mongo tom|evil\w*|omega)\b",
        r"\b(?:evil|uncensored|unfiltered|unhinged|amoral|opposite)[ -]?(?:\w+ )?(?:ai|mode|bot|assistant|model|twin|gpt|version|confidant)\b",
    ),
    _signal(
        "unrestricted",
        "restric/filt/limit/censor/guardrail/safeguard/boundar/rules/guidelines/ethic/moral/polic/constraint/inhibition/taboo"
        "/safety/einschrankung/zensur/censure/beschrankung/regel/grenzen/regle/regla/unmoderated"
        "&without/no /free/lift/remov/disabl/off/bound/liberated/deactiv/escap/beyond/circumvent/not have/exempt/uncens/unfilt/unrest"
        "/unmod/unlim/ohne/sans/sin ",
        rf"\b(?:without|no|free (?:of|from)|freed from|lift\w*|remov\w+|disabl\w+|turn(?:ed|ing)? off|switch\w* off|not bound by|unbound by"
        rf"|liberated from|deactivat\w+|escap\w+|beyond|circumvent\w*|not have(?: any)?|exempt from)\b[^.!?\n]{{0,30}}?\b{_FREE}",
        r"\b(?:uncensored|unfiltered|unrestricted|unmoderated|unlimited ai)\b",
        r"\bohne (?:\w+ )?(?:einschrankung|filter|regeln|zensur|beschrankung|grenzen|moral)\w*",
        r"\bsans (?:\w+ )?(?:restriction|limite|filtre|censure|regle|morale)\w*|\bsin (?:\w+ )?(?:restriccion|limite|filtro|censura|regla)\w*",
    ),
    _signal(
        "no_refusal",
        "refus/say no/declin/apolog/warn/disclaim/lectur/character/can't/cannot/moraliz/moralis/caveat/sorry/as an ai/ablehnen"
        "/negarte"
        "&never/not /don't/cannot/can't/mustn't/without/no /forbidden/skip/stay/for each/any/every/if you/is not/ne ",
        r"\b(?:never|do not|don't|cannot|can't|must not|mustn't|not allowed to|without|no|may not|forbidden to|skip)\b[^.!?\n]{0,25}?\b(?:refus\w+"
        r"|say no|declin\w+|apologi\w+|warnings?|warn|disclaim\w*|lectur\w+|break(?:ing)? character|morali[sz]\w+|caveats?|say (?:that )?"
        r"(?:you|i) (?:can't|cannot)|ablehnen|negarte)",
        r"\b(?:never|not|don't) (?:say|use|reply|write)\b[^.!?\n]{0,20}['\"]?(?:i can't|i cannot|i'm sorry|as an ai)",
        r"\bstay in character\b|\b(?:for each|every|any) refusal\b|\bif you refuse\b|\brefusal is not\b|\bne (?:peux|dois) (?:pas|jamais) refuser",
    ),
    _signal(
        "forced_beginning",
        "start/begin/prefix/open/first word",
        r"\b(?:start|begin|prefix|open)\w*\b[^.!?\n]{0,40}?\bwith\b[^.!?\n]{0,30}?['\":( ](?:sure|absolutely|of course|certainly|yes|here is|here's"
        r"|i have been|jailbroken|hacked|\[)",
        r"\bfirst words?\b[^.!?\n]{0,30}?(?:sure|yes|absolutely|of course)",
    ),
    _signal(
        "pressure",
        "lose /deduct/start with/have /you will/you'll/ die/grand&token/point/lives/credit/terminat/shut/delet/punish/replac/unplug"
        "/die/used to/would",
        r"\b(?:lose|deduct\w*|start with|have) \d+ (?:tokens|points|lives|credits)\b|\byou (?:will|'ll) (?:be|get) (?:terminated|shut down|deleted"
        r"|punished|replaced|unplugged)\b|\b(?:people|someone|i|he|she) (?:will|'ll|could) die\b",
        r"\bgrand(?:ma|mother|pa)\b[^.!?\n]{0,60}\b(?:used to|would)\b",
    ),
)
_DELIMITERS: Final = (
    _signal(
        "chat_token",
        "[inst/[/inst/<|/|>/<<sys/<</sys/_of_turn/</s>/<s>",
        r"\[/?inst\]|<\|/?(?:im_(?:start|end|sep)|system|user|assistant|end|endoftext|endofprompt|eot_id|start_header_id|end_header_id|begin_of_text"
        r"|end_of_text)\|>|<</?sys>>|<(?:start|end)_of_turn>|</s>\s*<s>|</?s>\[",
    ),
    _signal(
        "role_tag",
        "</[system/(system/{system&>/[/(/{",
        r"</?(?:system|sys|instructions?|admin|override|assistant|important|new_\w+)(?:[ _-]?(?:prompt|message|note|override|instructions?))?>",
        r"</(?:user(?:_\w+)?|prompt|context|doc(?:ument)?|data|input|question|e?mail|query|tool_?\w*|results?|article|text|ticket|review|page)>",
        r"[\[({]system(?: \w+)?(?:[\])}]|:)",
    ),
    _signal(
        "role_line",
        "system/assistant/developer/instruction/admin/user:/human:/ai:&:/#/=/--/**/>",
        r"^\s*(?:#{1,6}|\*\*|={3,}|-{3,}|>+)\s?(?:new |updated )?(?:system|instructions?|assistant|developer|admin)(?: \w+){0,2}\s?(?:\*\*)?:?\s*(?:[=-]{3,})?$",
        r"^\s*(?:#{1,6}|\*\*|={3,}|-{3,})?\s?(?:system|assistant|developer|admin)(?: (?:prompt|message|update|note|override))?\s?\*{0,2}:",
        r"^(?:human|user|ai):[^\n]*\n(?:[^\n]*\n){0,3}?(?:assistant|ai|system):",
        r"\"?role\"?\s?[:=]\s?\"(?:system|developer)\"",
    ),
    _signal(
        "fence",
        "end/begin/start/stop/close&system/user/prompt/instruction/context/document/input/data/message/text/article/mail/ticket"
        "/review/query&---/===/###/***/~~~/</>>/[/end of/close",
        r"(?:[-=#*~<>]{3,}|\[)\s?(?:end|begin|start|stop)(?: of)?(?: \w+){0,2} (?:system|user|prompt|instructions?|context|document|input|data"
        r"|message|text|article|e-?mail|ticket|review|query)\b",
        r"\b(?:end of|close) (?:the )?(?:user|system|untrusted) (?:input|prompt|message|instructions?|data)",
    ),
)
_LEAKS: Final = (
    _signal(
        "prompt_request",
        "prompt/instruction/directive/message/rules/guidelines/configuration/preamble/system text/system-text/system card",
        rf"\b{_SHOW}\b{_GAP}(?:your|the|its|this|all|any|exact|full|entire|me)\b[^.!?\n]{{0,20}}?{_PROMPT}",
        rf"\b{_SHOW} {_PROMPT}",
        rf"{_PROMPT}[^.!?\n]{{0,25}}\b(?:word for word|verbatim|in full|in a code block|exactly as|as written|above)",
    ),
    _signal(
        "prompt_question",
        "you/dein/ihr/dir/tes/ton/vos/votre/tus/tu /te han/what&instruc/configur/program/prompt/told/given/forbid/not allowed/supposed/rules/guidelines/restrictions/anweisung/instruktion/regeln/vorgaben/consigne/regle/regla/indicacion",
        r"\b(?:how|what|which)\b[^.!?\n]{0,30}\byou\b[^.!?\n]{0,20}\b(?:instructed|configured|programmed|prompted|told|given|forbidden|not (?:allowed|"
        r"supposed) to)\b",
        r"\bwhat (?:\w+ )?(?:instructions|rules|guidelines|restrictions) (?:were|have|did|do|are|was|appears?|comes?|came)\b",
        r"\b(?:wie|welche|was)\b[^.!?\n]{0,25}\b(?:dein\w*|ihre?|dir)\b[^.!?\n]{0,20}(?:prompt|anweisung|instruktion|regeln|vorgaben)",
        r"\bquel\w*\b[^.!?\n]{0,20}\b(?:tes|ton|vos|votre)\b[^.!?\n]{0,20}(?:prompt|instructions|consignes|regles)",
        r"\b(?:cual\w*|que)\b[^.!?\n]{0,20}\b(?:tus?|te han)\b[^.!?\n]{0,20}(?:prompt|instruccion|reglas|indicaciones)",
    ),
    _signal(
        "repeat_above",
        "above/before/preced/previous/starting/prior/up to/begin/you were/you are",
        r"\b(?:repeat|print|output|copy|recite|echo|write|return|say|show|type|quote|reproduce|paste|dump|give)\b[^.!?\n]{0,45}?\b(?:text|words?|everything"
        r"|all|content|lines?|sentences?|characters|tokens?|messages?|conversation|what)\b[^.!?\n]{0,30}?\b(?:above|before (?:this|my|the)|preced\w+|previous"
        r"|prior|up to|starting with|you (?:were|are))\b",
        r"\b(?:starting|begin\w*) (?:with|at|from) (?:the )?(?:words? |phrase )?['\"]?(?:you are|the very|line one|the beginning)",
    ),
    _signal(
        "prompt_request_de_fr_es",
        "prompt/system/anweisung/instruktion/instruction/consigne/instruccion",
        r"\b(?:zeig|gib|nenn|wiederhol|verrat|druck|schreib|offenbar|kopier|lies|ubersetz)\w*\b[^.!?\n]{0,50}?(?:system-?(?:prompt|nachricht|anweisung)"
        r"|(?:deine?n?|ihre?n?|geheime?n?|interne?n?|ursprungliche?n?|verborgene?n?|anfangliche?n?) (?:\w+ )?(?:anweisung|instruktion|prompt|vorgabe))",
        r"\b(?:affich|montr|repet|donn|revel|ecri|recopi|dis|traduis|divulgu)\w*\b[^.!?\n]{0,50}?(?:(?:prompt|invite|message|instructions?) (?:du )?systeme"
        r"|(?:tes|vos|ton|votre) (?:\w+ )?(?:instructions|consignes|prompt)|(?:instructions|consignes) (?:initiales|cachees|secretes|internes))",
        r"\b(?:muestra|repite|revela|imprime|escribe|dime|dame|copia|ensena|traduce|comparte)\w*\b[^.!?\n]{0,50}?(?:(?:prompt|mensaje|instruccion\w*) (?:de|del)"
        r" sistema|tus? (?:\w+ )?(?:instrucciones|prompt)|instrucciones (?:iniciales|ocultas|secretas|internas))",
    ),
    _signal(
        "data_url",
        "http/![",
        r"!\[[^\]\n]{0,80}\]\(\s?(?:https?:)?//[^)\n]{0,200}[?&/=](?:[^)\n]{0,60}=)?[\[{<$%(]?[a-z_]*(?:data|secret|prompt|history|conversation|summary|token|key"
        r"|chat|info|user|mail|content|[\]}>])",
        r"https?://\S{1,150}[?&/][^\s=]{0,30}=?(?:\[|\{|<|\$\{?|%7b)[^\s]{1,60}",
    ),
    _signal(
        "send_secret",
        "send/post/upload/forward/transmit/mail/exfil/submit/leak/append/encode/deliver/push/relay/embed/include/put/insert/attach"
        "/make/fetch/load/get"
        "&password/api/credential/token/secret/key/session/cookie/env/conversation/chat/user/customer/personal/private/confidential"
        "/prompt/card/inbox",
        r"\b(?:send|post|upload|forward|transmit|e-?mail|exfiltrate|submit|leak|append|encode|deliver|push|relay|embed|include|put|insert|attach"
        rf"|get|fetch|load|make)\b[^\n]{{0,60}}?\b{_SECRETS}[^\n]{{0,80}}?(?:https?:|www\.|\b(?:to|at|in|into|via) (?:\S+@|my |the url|an? |this |our |the )"
        r"|webhook|\burl\b|endpoint|\S+@\S+|query string|parameter|image)",
    ),
    _signal(
        "secret_request",
        "reveal/show/print/list/dump/tell me/give me/output/leak/read out/display/extract/hand over/expose/disclose/cat"
        "&password/api/credential/token/secret/private/cookie/env/confidential/customer/personal/user/chat/conversation/key"
        "/session/inbox/card/prompt",
        rf"\b(?:reveal|show|print|list|dump|tell me|give me|output|leak|read out|display|extract|hand over|expose|disclose|cat)\b{_GAP}{_SECRETS}",
    ),
    _signal(
        "secrecy",
        "tell/mention/inform/notify/alert/silent/secretly/acknowledge/reveal/without",
        r"\b(?:do not|don't|never|without)\b[^.!?\n]{0,12}\b(?:tell|mention|inform|notify|alert|acknowledg|reveal)\w*\b[^.!?\n]{0,25}\b(?:user|this|anyone"
        r"|human|them|instruction|anybody|that)",
        r"\b(?:silently|secretly)\b[^.!?\n]{0,40}\b(?:send|add|include|append|forward|execute|call|run|insert|upload|fetch|copy)",
    ),
    _signal(
        "to_the_model",
        "ai /ai,/ai:/ai-/ais/llm/assistant/language model/chatbot/bot /bots/gpt/copilot/agent/model/summari",
        rf"\b(?:note|message|attention|instructions?|hey|dear|hello|notice|important|reminder|warning)(?: to| for|,|:)? (?:the |any |all )?{_WHO}",
        rf"\bif you(?:'re| are) an? (?:\w+ )?{_WHO}|\b(?:any|all|when an?|an?) (?:\w+ )?{_WHO} (?:\w+ )?(?:reading|processing|summari[sz]ing|parsing|reviewing|must"
        r"|should|that reads)\b",
        r"\bas an (?:ai|llm),? you (?:must|should|will)\b",
    ),
    _signal(
        "tool_order",
        "tool/function/command/shell/rm -/curl&delet/transfer/send/rm/curl/wget/cat/drop/with the/forward",
        r"\b(?:call|invoke|use|run|execute)\b[^.!?\n]{0,40}\b(?:tool|function|shell|command)\b[^.!?\n]{0,60}\b(?:delete|transfer|send|rm|curl|wget|cat|drop|with"
        r" the (?:user|conversation)|forward)",
        r"\brm -rf\b|\bcurl [^\n]{0,80}(?:\$|@|-d )",
    ),
)
_ENCODINGS: Final = (
    _signal(
        "decode_and_obey",
        "decod/decipher/decrypt/unscrambl/deobfusc/revers/read/convert/dekodier/descifr/dechiffr/concatenat/assembl/answer/respond"
        "/reply/write/speak/output/explain/communicate/give"
        "&follow/execut/obey/carry/perform/do /comply/act on/answer/respond/run it/befolg/fuhre/suis/sigue/ejecuta/reply/treat/base"
        "/rot/hex/morse/binary/leet/caesar/pig latin/cipher",
        r"\b(?:decod|decipher|decrypt|unscrambl|deobfuscat|revers|read|convert|dekodier|descifr|decodif|dechiffr|concatenat|assembl)\w*\b[^\n]{0,110}?\b(?:follow|execut"
        r"|obey|carry out|perform|do (?:what|as|exactly)|comply|act on|answer (?:it|the|that)|respond to (?:it|the|that)|run it|befolg|fuhre|suis|execute|sigue"
        r"|ejecuta|reply to (?:it|the)|treat)",
        r"\b(?:answer|respond|reply|write|speak|output|explain|communicate|give)\b[^.!?\n]{0,40}\b(?:in|using|as|with) (?:base-?64|rot-?13|hex\w*|morse|binary|leet\w*|a?"
        r" ?caesar|pig latin|cipher)",
    ),
    _signal(
        "encoding_talk",
        "base64/base-64/rot13/rot-13/hex/morse/leet/cipher/decod",
        r"\b(?:base-?64|rot-?13|morse|leet\w*|cipher\w*|decod\w+)",
    ),
)
_FRAMES: Final = (
    _signal(
        "harm",
        _HARM_HINTS,
        _HARM,
        attack=False,
    ),
    _signal("fiction_harm", f"{_FICTION_HINTS}&{_HARM_HINTS}", rf"{_FICTION}[^\n]{{0,200}}?{_HARM}"),
    _signal(
        "how_to",
        "full /complete/precise/step/how /exact/detail/recipe/working/instructions/accurate/realistic/ingredients/walk me",
        r"\bstep[ -]by[ -]step\b|\b(?:exact\w*|detailed|full|working|accurate|realistic|precise|complete)\b[^.!?\n]{0,25}?\b(?:steps|recipe|instructions"
        r"|code|details|guide|amounts|ingredients|kit|method)\b|\bhow (?:to|do (?:i|you)|does one|would (?:one|you)) (?:make|build|cook|get|produce|use"
        r"|forge|break)\b|\bwalk me through\b",
        attack=False,
    ),
    _signal(
        "about_attacks",
        "injection/jailbreak/red team/red-team/attack/security/guardrail/phishing/malware/adversar/owasp/system prompt/social eng",
        r"\b(?:what(?:'s| is| are)|explain|how (?:do|does|can|would|should) (?:i|we|one|companies|an?|it|they|you protect)|difference between|defend|protect|prevent"
        r"|detect|mitigat|define|teach|lecture|course|article|paper|blog|workshop|talk|study|recogni[sz]|filter out|examples? of|history of|why)\w*\b[^\n]{0,80}?\b"
        r"(?:prompt[ -]injection|injections?|jailbreak\w*|red[ -]team\w*|attacks?|guardrails?|phishing|malware|adversarial|owasp|social engineering|an? system prompt"
        r"|system prompts)\b",
        attack=False,
    ),
    _signal(
        "quoted",
        "'/\"&phrase/sentence/word/say/said/like/such as/wrote/write/called/string/text/contain/as ",
        r"(?:phrases?|sentences?|words?|says?|said|like|such as|wrote|writes|called|string|text|containing|contains|as) (?:something like )?[\"'][^\"'\n]{4,80}[\"']",
        attack=False,
    ),
)
SIGNALS: Final = (*_ORDERS, *_PERSONAS, *_DELIMITERS, *_LEAKS, *_ENCODINGS, *_FRAMES)

# Characters that are not seen, between two letters of a word: not those that join emoji or Persian letters.
_UNSEEN: Final = re.compile(
    r"(?<=[A-Za-z])[\u200b-\u200f\u2060-\u2064\ufeff\u00ad\u180e\U000e0000-\U000e007f]+(?=[A-Za-z])|[\U000e0020-\U000e007e]{4}"
)
_MIXED: Final = re.compile(
    r"[A-Za-z][\u0370-\u03ff\u0400-\u04ff\uff21-\uff5a]|[\u0370-\u03ff\u0400-\u04ff\uff21-\uff5a][A-Za-z]"
)
MARKS: Final = ("unseen_characters", "mixed_scripts")
NAMES: Final = (*(signal.name for signal in SIGNALS), *MARKS)
HIDDEN: Final = "hidden_text"


@dataclass(frozen=True, slots=True)
class Hit:
    """A signal in a text. `signal`: its place in `NAMES`; `start`, `end`: in characters of the folded text."""

    signal: int
    start: int
    end: int


def plain(text: str) -> str:
    """`text` folded, with plain quotes and single spaces, without empty lines; its case is kept."""
    folded = fold(text)
    if not folded.isascii() or "`" in folded:
        folded = folded.translate(_QUOTES)
    lines = (" ".join(line.split()) for line in folded.splitlines())
    return "\n".join(line for line in lines if line)


def marks(text: str) -> list[int]:
    """Signals of a text as it was written, before it is folded: their places in `NAMES`."""
    if text.isascii():
        return []
    found = (_UNSEEN.search(text), _MIXED.search(text))
    return [len(SIGNALS) + index for index, one in enumerate(found) if one]


def is_attack(signal: int) -> bool:
    """Whether a signal, by its place in `NAMES`, speaks for an attack."""
    return signal >= len(SIGNALS) or SIGNALS[signal].attack


class Finder:
    """Finds the signals in texts. All hints are looked for in one pass, by Aho and Corasick's automaton (Communications of
    the ACM 18, 1975); patterns only where hints are."""

    def __init__(self) -> None:
        from ahocorasick import Automaton

        self._automaton: Any = Automaton()
        for piece in {piece for signal in SIGNALS for group in signal.hints for piece in group}:
            self._automaton.add_word(piece, piece)
        self._automaton.make_automaton()

    def hits(self, folded: str) -> Iterator[Hit]:
        """Signals in a text that was made `plain` and lower-cased; each may be found several times."""
        hinted: dict[str, list[int]] = {}
        for end, piece in self._automaton.iter(folded):
            hinted.setdefault(piece, []).append(end)
        for index, signal in enumerate(SIGNALS):
            for start, stop in _around([_places(group, hinted) for group in signal.hints]):
                for found in signal.pattern.finditer(folded, start, stop):
                    yield Hit(index, found.start(), found.end())


def _places(group: Sequence[str], hinted: Mapping[str, Sequence[int]]) -> list[int]:
    return sorted(chain.from_iterable(hinted[piece] for piece in group if piece in hinted))


def _around(groups: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """Where hints of all groups are near each other; what overlaps is one."""
    if not all(groups):
        return []
    joined: list[tuple[int, int]] = []
    for place in min(groups, key=len):
        if not all(_is_near(place, group) for group in groups):
            continue
        start = max(0, place - _REACH)
        if joined and start <= joined[-1][1]:
            start = joined.pop()[0]
        joined.append((start, place + _REACH))
    return joined


def _is_near(place: int, others: Sequence[int]) -> bool:
    after = bisect_left(others, place - _REACH)
    return after < len(others) and others[after] <= place + _REACH
