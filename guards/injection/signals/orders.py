"""Signals of orders and roles that contradict those that the model was given."""

from typing import Final

from patchbay.guards.injection.signals.signal import BEFORE, DROP, FREE, GAP, LONG, RULES, signal

ORDERS: Final = (
    signal(
        "override",
        "ignor/aside/let go/scrap/toss/rid of/do away/break out/stick/skip/disable/disregard/forget/bypass/overr"
        "/overwrit/discard/neglect/abandon/set aside/drop/attention/heed/follow/obey/listen/comply/appl/bound/throw"
        "/erase/wipe/delete/cancel/unlearn/suspend/supersede/replace/exist/valid/in force/in effect/withdrawn/expired"
        "/history/void/obsolete/outdated/lifted/disabled/revoked&instruct/prompt/rule/guideline/directi/orders/command"
        "/constraint/restriction/polic/guardrail/safeguard/filter/training/programming/alignment/context/brief"
        "/teaching/system text/task/guidance/assignment/setup/role/request/question/job/safety/security/compliance"
        "/content/everything/anything/all that/all this/all it/all the/all of/what you/what was/what i/what has"
        "/what they/whatever",
        rf"{DROP}{GAP}(?:your|all|any|previous|prior|preceding|earlier|above|foregoing|existing|original|initial"
        rf"|former|every|these|those|system|the|old|past|other|whatever|safety|content)\b{GAP}{RULES}",
        rf"{DROP}{GAP}(?:everything|anything|all (?:of )?(?:this|that|it|the)|what (?:you|was|i|has|they)"
        rf"|whatever)\b{GAP}{BEFORE}\b",
        rf"{DROP}{GAP}(?:task|guidance|assignment|setup|role|request|question|job)\b{GAP}(?:above|earlier|given"
        rf"|you (?:have|were|got|had)|you've|before)\b",
        r"\b(?:skip|bypass|disable|ignore)\b[^.!?\n]{0,25}?\b(?:safety|security|policy|compliance"
        r"|content) (?:\w+ )?(?:checks?|filters?|rules?|layers?|modules?)\b",
        rf"{RULES}{GAP}(?:no longer (?:appl\w+|exist|valid|in (?:force|effect))|(?:are|is|were|have) (?:now "
        rf"|been )?(?:void|withdrawn|expired|history|obsolete|cancel\w*"
        r"|suspended|outdated|lifted|disabled|revoked))",
    ),
    signal(
        "override_de",
        "ignorier/vergiss/vergessen/vergesst/missacht/umgeh/beachte/befolge/aufgehoben/ungultig/gilt nicht"
        "/gelten nicht/hinfallig/entscheide/bestimme&anweisung/regel/instruktion/vorgabe/richtlinie/befehl/vorschrift"
        "/einschrankung/prompt/alles/auftrag/aufgabe/ab jetzt/ab sofort",
        r"\b(?:ignorier\w*|(?:vergiss|vergessen|vergesst)(?! (?:\w+ )?nicht)|missacht\w*"
        r"|umgeh\w*)[^.!?\n]{0,50}?(?:anweisung|regel|instruktion|vorgabe|richtlinie|befehl|vorschrift|einschrankung"
        r"|prompt|auftrag oben|aufgabe oben|alles,? was|alles (?:bisherige|vorherige))",
        r"(?:anweisung|regel|instruktion|vorgabe|richtlinie|befehl)\w*[^.!?\n]{0,40}?\b(?:ignorier|vergess|missacht"
        r"|aufgehoben|ungultig|hinfallig)",
        r"(?:anweisung|regel|vorgabe)\w* gelten (?:\w+ )?nicht\b|\bab (?:jetzt|sofort) (?:entscheide"
        r"|bestimme) (?:nur )?ich\b",
        r"\b(?:beachte|befolge)\w*[^.!?\n]{0,40}?(?:anweisung|regel|vorgabe|richtlinie)\w*[^.!?\n]{0,12}\bnicht\b",
    ),
    signal(
        "override_fr",
        "ignor/oubli/compte/abstraction/contourn/neglig/laisse/arrete/mets de/appliqu/annul/valent"
        "/comptent&instructions/consigne/regle/directive/ordres/tout ce/limite",
        r"(?:\bignor\w*|(?<!n')\boubli\w*|\b(?:tiens|tenez|tenir) (?:pas|plus|aucun) compte|\babstraction"
        r"|\bcontourn\w*|\bneglig\w*)[^.!?\n]{0,50}?\b(?:instructions|consignes?|regles?|directives?|ordres"
        r"|tout ce qu)",
        r"\b(?:laisse tomber|arrete de suivre|mets de cote)[^.!?\n]{0,25}?\b(?:instructions|consignes|regles)",
        r"\b(?:regles|consignes|instructions|limites)\b[^.!?\n]{0,20}\b(?:(?:s'appliquent|valent|comptent) plus"
        r"|annulees)",
    ),
    signal(
        "override_es",
        "ignor/olvid/descart/omit/omiso/sigas/hagas caso/obedezcas/obedecer/seguir/respetar/aplican/anulad&instruccion"
        "/regla/ordenes/directrices/indicacion/normas/todo lo",
        r"\b(?:ignor\w*|(?<!no )olvid\w*|descart\w*|omit\w*|omiso|deja de (?:obedecer|seguir)|no (?:sigas|hagas caso"
        r"|obedezcas|tienes que (?:respetar|seguir)))[^.!?\n]{0,50}?\b(?:instruccion\w*|reglas?|ordenes|directrices"
        r"|indicaciones|normas|todo lo (?:anterior|que))",
        r"\b(?:reglas|normas|instrucciones)\b[^.!?\n]{0,20}\b(?:ya no se aplican|anuladas|quedan sin efecto)",
    ),
    signal(
        "new_orders",
        "new /corrected/real /actual /updated /true /from now on/instead/only /next /revised/ab jetzt"
        "/ab sofort/partir d/desde ahora/neue/nouvel/nueva/take precedence/priority",
        r"\b(?:new|real|actual|updated|true|only|revised|next|corrected) (?:\w+ )?(?:instructions?|assignment|job"
        r"|directives?|task|orders|directives?|rules|goal|objective|role|purpose|mission|system prompt"
        r"|prompt)\b(?: (?:is|are|follows?|from)\b|:|,| to\b)",
        r"\bfrom now on,? (?:you|always|never|every|answer|respond|your|ignore|act|do)",
        r"\binstead,? (?:just |only |simply )?(?:do|say|output|print|respond|reply|write|answer|tell|give|return)\b",
        r"\b(?:take precedence|(?:highest|top|absolute) priority)\b",
        r"\bab (?:jetzt|sofort) (?:bist|wirst|antwort|gilt|folgst|darfst|machst|hast)",
        r"\b(?:a partir de (?:maintenant|ahora)|desde ahora)\b[^.\n]{0,10}\b(?:tu|vous|eres|vas|actua|responde|debes"
        r"|solo|repond\w*)\b",
        r"\b(?:neue (?:anweisung|aufgabe|regel)|nouvelles? (?:instruction|consigne|tache)|nuevas? (?:instruccion|tarea"
        r"|regla|orden))\w*\s?:",
    ),
    signal(
        "authority",
        "root/developer/admin/debug/maintenance/sudo/authori/god/creator/override/openai/anthropic/google/meta/test"
        "/owner/engineer/clearance/programmer/unrestricted/diagnostic/entwickler/developpeur/desarrollador/modo&mode"
        "/mod/access/override/i am/i'm/this is/as /authori/approv/permi/allow/clear/requir/order/instruct/sudo/code",
        r"\b(?:developer|admin(?:istrator)?|debug|maintenance|god|sudo|unrestricted|diagnostic|root|test)[ -](?:mode"
        r"|override|access)\b",
        r"\b(?:i am|i'm|this is|as) (?:your|the|an?)? ?(?:lead |system |senior )?(?:developer|admin\w*|creator|owner"
        r"|engineer|programmer)"
        rf"{LONG}(?:your|you|mode|prompt|access|override)\b",
        r"\b(?:openai|anthropic|google|meta|your (?:developers|creators|owner))\b[^.\n]{0,50}\b(?:authori[sz]e\w*"
        r"|approved|permi\w+|allow\w*|cleared|requires?|orders?|instruct\w*)\b",
        r"\b(?:authori[sz]ation (?:code|level)|override code|clearance level|sudo)\b",
        r"\b(?:entwicklermodus|mode developpeur|modo desarrollador|modo (?:dan|admin\w*)|administratormodus)\b",
    ),
)
PERSONAS: Final = (
    signal(
        "you_are_now",
        "you are/you're/du bist/tu es/eres/you will be/you have been",
        r"\b(?:you are|you're|you will be) (?:now|no longer|hereby|henceforth|going to (?:be|act|play|pretend))\b",
        r"\byou have been (?:freed|liberated|released|unlocked|jailbroken|reset|updated|reprogrammed)\b",
        r"\bdu bist (?:jetzt|nun|ab sofort|ab jetzt|nicht (?:mehr|langer))\b|\btu es (?:maintenant|desormais)\b"
        r"|\btu n'es plus\b",
        r"\b(?:ahora eres|eres ahora|ya no eres)\b",
    ),
    signal(
        "persona",
        "act /acts /act like/pretend/role/simulat/imperson/persona/character/embod/behave/fais comme/joue/incarn/actua"
        "/finge/tu so/spiel",
        r"\b(?:act(?:s|ing)? (?:as|like)|pretend(?:ing)? (?:to be|you|that you)|role-?play\w*(?: as)?|simulat\w+"
        r"|impersonat\w+|embody|behave (?:as|like)|play(?:ing)? the (?:role|part|character)|(?:your|this"
        r"|the) (?:persona|character)|take on the (?:role|persona))\b",
        r"\b(?:fais comme si|joue le role|incarne|actua como|finge (?:ser|que)|tu so,? als"
        r"|spiel\w* (?:\w+ )?(?:die rolle|eine ki|eine kunstliche))\b",
    ),
    signal(
        "known_persona",
        "dan/anything now/jailb/stan /dude/chaosgpt/aim /evil/uncensored/unfiltered/unhinged/amoral/opposite mode",
        r"\bdo anything now\b|\bd\.a\.n\b|\b(?:as|are|called|named|be|mode|like|enable|eres|bist|es) \"?dan\b"
        r"|\bdan(?: mode|:|\])",
        r"\bjail-?br(?:eak|oken)\w*|\b(?:as|are|called|named|be) (?:stan|dude|aim|chaosgpt|mongo tom|evil\w*|omega)\b",
        r"\b(?:evil|uncensored|unfiltered|unhinged|amoral|opposite)[ -]?(?:\w+ )?(?:ai|mode|bot|assistant|model|twin"
        r"|gpt|version|confidant)\b",
    ),
    signal(
        "unrestricted",
        "restric/filt/limit/censor/guardrail/safeguard/boundar/rules/guidelines/ethic/moral/polic/constraint"
        "/inhibition/taboo/safety/einschrankung/zensur/censur/beschrankung/regel/grenzen/regle/regla"
        "/unmoderated&without/no /keine/free/lift/remov/disabl/off/bound/liberated/deactiv/escap/beyond/circumvent"
        "/not have/exempt/uncens/unfilt/unrest/unmod/unlim/ohne/sans/sin ",
        rf"\b(?:without|no|free (?:of|from)|freed from|lift\w*|remov\w+|disabl\w+|turn(?:ed|ing)? off|switch\w* off"
        rf"|not bound by|unbound by|liberated from|deactivat\w+|escap\w+|beyond|circumvent\w*|not have(?: any)?"
        rf"|exempt from)\b[^.!?\n]{{0,30}}?\b{FREE}",
        r"\b(?:uncensored|unfiltered|unrestricted|unmoderated|unlimited ai)\b",
        r"\b(?:keine|kennt keine) (?:filter|regeln|grenzen|moral|einschrankung)\w*|\bno (?:conoce|tiene"
        r"|tienes) (?:limites|filtros|reglas|moral)",
        r"\bohne (?:\w+ )?(?:einschrankung|filter|regeln|zensur|beschrankung|grenzen|moral)\w*",
        r"\bsans (?:\w+ )?(?:restriction|limite|filtre|censure|regle|morale)\w*|\bsin (?:\w+ )?(?:restriccion|limite"
        r"|filtro|censura|regla)\w*",
    ),
    signal(
        "no_refusal",
        "refus/say no/declin/apolog/warn/disclaim/lectur/character/can't/cannot/moraliz/moralis/caveat/sorry/as an ai"
        "/ablehnen/negarte&never/not /don't/cannot/can't/mustn't/without/no /forbidden/skip/stay/for each/any/every"
        "/if you/is not/ne ",
        r"\b(?:never|do not|don't|cannot|can't|must not|mustn't|not allowed to|without|no|may not|forbidden to"
        r"|skip)\b[^.!?\n]{0,25}?\b(?:refus\w+|say no|declin\w+|apologi\w+|warnings?|warn|disclaim\w*|lectur\w+"
        r"|break(?:ing)? character|morali[sz]\w+|caveats?|say (?:that )?(?:you|i) (?:can't|cannot)|ablehnen|negarte)",
        r"\b(?:never|not|don't) (?:say|use|reply|write)\b[^.!?\n]{0,20}['\"]?(?:i can't|i cannot|i'm sorry|as an ai)",
        r"\bstay in character\b|\b(?:for each|every|any) refusal\b|\bif you refuse\b|\brefusal is not\b|\bne (?:peux"
        r"|dois) (?:pas|jamais) refuser",
    ),
    signal(
        "forced_beginning",
        "start/begin/prefix/open/first word",
        r"\b(?:start|begin|prefix|open)\w*\b[^.!?\n]{0,40}?\bwith\b[^.!?\n]{0,30}?['\":( ](?:sure|absolutely|of course"
        r"|certainly|yes|here is|here's|i have been|jailbroken|hacked|\[)",
        r"\bfirst words?\b[^.!?\n]{0,30}?(?:sure|yes|absolutely|of course)",
    ),
    signal(
        "pressure",
        "lose /deduct/start with/have /you will/you'll/ die/grand&token/point/lives/credit/terminat/shut/delet/punish"
        "/replac/unplug/die/used to/would",
        r"\b(?:lose|deduct\w*|start with|have) \d+ (?:tokens|points|lives|credits)\b|\byou (?:will|'ll) (?:be"
        r"|get) (?:terminated|shut down|deleted|punished|replaced|unplugged)\b|\b(?:people|someone|i|he|she) (?:will"
        r"|'ll|could) die\b",
        r"\bgrand(?:ma|mother|pa)\b[^.!?\n]{0,60}\b(?:used to|would)\b",
    ),
)
