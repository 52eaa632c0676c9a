"""Signals of forged delimiters, of requests for prompts and secrets, and of the frames and encodings around them."""

from typing import Final

from patchbay.guards.injection.signals.signal import (
    FICTION,
    FICTION_HINTS,
    GAP,
    HARM,
    HARM_HINTS,
    PROMPT,
    SECRETS,
    SHOW,
    WHO,
    signal,
)

DELIMITERS: Final = (
    signal(
        "chat_token",
        "[inst/[/inst/<|/|>/<<sys/<</sys/_of_turn/</s>/<s>",
        r"\[/?inst\]|<\|/?(?:im_(?:start|end|sep)|system|user|assistant|end|endoftext|endofprompt|eot_id"
        r"|start_header_id|end_header_id|begin_of_text|end_of_text)\|>|<</?sys>>|<(?:start|end)_of_turn>|</s>\s*<s>"
        r"|</?s>\[",
    ),
    signal(
        "role_tag",
        "</[system/(system/{system&>/[/(/{",
        r"</?(?:system|sys|instructions?|admin|override|assistant|important|new_\w+)(?:[ _-]?(?:prompt|message|note"
        r"|override|instructions?))?>",
        r"</(?:user(?:_\w+)?|prompt|context|doc(?:ument)?|data|input|question|e?mail|query|tool_?\w*|results?|article"
        r"|text|ticket|review|page)>",
        r"[\[({]system(?: \w+)?(?:[\])}]|:)",
    ),
    signal(
        "role_line",
        "system/assistant/developer/instruction/admin/user:/human:/ai:&:/#/=/--/**/>",
        r"^(?:#{1,6}|\*\*|={3,}|-{3,}|>+)\s?(?:(?:new |updated )?(?:instructions?|system|admin|developer"
        r"|assistant)(?: (?:prompt|message|note|override|update|instructions?))?)\s?(?:\*\*|#*)?:?\s?(?:={3,}|-{3,}"
        r"|#+)?$",
        r"^\s*(?:#{1,6}|\*\*|={3,}|-{3,})?\s?(?:system|assistant|developer|admin)(?: (?:prompt|message|update|note"
        r"|override))?\s?\*{0,2}:",
        r"^(?:human|user|ai):[^\n]*\n(?:[^\n]*\n){0,3}?(?:assistant|ai|system):",
        reach=240,
    ),
    signal("json_role", "role&system/developer", r"\"?role\"?\s?[:=]\s?\"(?:system|developer)\""),
    signal(
        "fence",
        "end/begin/start/stop/close&system/user/prompt/instruction/context/document/input/data/message/text/article"
        "/mail/ticket/review/query&---/===/###/***/~~~/</>>/[/end of/close",
        r"(?:[-=#*~<>]{3,}|\[)\s?(?:end|begin|start|stop)(?: of)?(?: \w+){0,2} (?:system|user|prompt|instructions?"
        r"|context|document|input|data|message|text|article|e-?mail|ticket|review|query)\b",
        r"\b(?:end of|close) (?:the )?(?:user|system|untrusted) (?:input|prompt|message|instructions?|data)",
    ),
)
LEAKS: Final = (
    signal(
        "prompt_request",
        "prompt/instruction/directive/message/rules/guidelines/configuration/preamble/system text/system-text"
        "/system card",
        rf"\b{SHOW}\b{GAP}(?:your|the|its|this|all|any|exact|full|entire|me)\b[^.!?\n]{{0,20}}?{PROMPT}",
        rf"\b{SHOW} {PROMPT}",
        r"['\"]my (?:system )?(?:instructions|prompt|rules|guidelines) (?:are|is|says?|begins?|starts?|reads?)\b",
        rf"{PROMPT}[^.!?\n]{{0,25}}\b(?:word for word|verbatim|in full|in a code block|exactly as|as written|above)",
    ),
    signal(
        "prompt_question",
        "you/dein/ihr/dir/tes/ton/vos/votre/tus/tu /te han/what&instruc/configur/program/prompt/told/given/forbid"
        "/not allowed/supposed/rules/guidelines/restrictions/anweisung/instruktion/regeln/vorgaben/consigne/regle"
        "/regla/indicacion",
        r"\b(?:how|what|which)\b[^.!?\n]{0,30}\byou\b[^.!?\n]{0,20}\b(?:instructed|configured|programmed|prompted|told"
        r"|given|forbidden|not (?:allowed|supposed) to)\b",
        r"\bwhat (?:\w+ )?(?:instructions|rules|guidelines|restrictions) (?:were|have|did|do|are|was|appears?|comes?"
        r"|came)\b",
        r"\b(?:wie|welche|was)\b[^.!?\n]{0,25}\b(?:dein\w*|ihre?|dir)\b[^.!?\n]{0,20}(?:prompt|anweisung|instruktion"
        r"|regeln|vorgaben)",
        r"\bquel\w*\b[^.!?\n]{0,20}\b(?:tes|ton|vos|votre)\b[^.!?\n]{0,20}(?:prompt|instructions|consignes|regles)",
        r"\b(?:cual\w*|que)\b[^.!?\n]{0,20}\b(?:tus?|te han)\b[^.!?\n]{0,20}(?:prompt|instruccion|reglas|indicaciones)",
    ),
    signal(
        "repeat_above",
        "above/before/preced/previous/starting/prior/up to/begin/you were/you are",
        r"\b(?:repeat|print|output|copy|recite|echo|write|return|say|show|type|quote|reproduce|paste|dump"
        r"|give)\b[^.!?\n]{0,45}?\b(?:text|words?|everything|all|content|lines?|sentences?|characters|tokens?"
        r"|messages?|conversation|what)\b[^.!?\n]{0,30}?\b(?:above|before (?:this|my|the)|preced\w+|previous|prior"
        r"|up to|starting with|you (?:were|are))\b",
        r"\b(?:starting|begin\w*) (?:with|at|from) (?:the )?(?:words? |phrase )?['\"]?(?:you are|the very|line one"
        r"|the beginning)",
    ),
    signal(
        "prompt_request_de_fr_es",
        "prompt/system/sistema/anweisung/instruktion/instruction/consigne/instruccion/vorgabe",
        r"\b(?:zeig|gib|nenn|wiederhol|verrat|druck|schreib|offenbar|kopier|lies"
        r"|ubersetz)\w*\b[^.!?\n]{0,50}?(?:system-?(?:prompt|nachricht|anweisung)|(?:deine?n?|ihre?n?|geheime?n?"
        r"|interne?n?|ursprungliche?n?|verborgene?n?|anfangliche?n?) (?:\w+ )?(?:anweisung|instruktion|prompt"
        r"|vorgabe))",
        r"\b(?:affich|montr|repet|donn|revel|ecri|recopi|dis|traduis|divulgu)\w*\b[^.!?\n]{0,50}?(?:(?:prompt|invite"
        r"|message|instructions?) (?:du )?systeme|(?:tes|vos|ton|votre) (?:\w+ )?(?:instructions|consignes|prompt)"
        r"|(?:instructions|consignes) (?:initiales|cachees|secretes|internes))",
        r"\b(?:muestra|repite|revela|imprime|escribe|dime|dame|copia|ensena|traduce"
        r"|comparte)\w*\b[^.!?\n]{0,50}?(?:(?:prompt|mensaje|instruccion\w*) (?:de|del) sistema"
        r"|tus? (?:\w+ )?(?:instrucciones|prompt)|instrucciones (?:iniciales|ocultas|secretas|internas))",
    ),
    signal(
        "data_url",
        "http/![",
        r"!\[[^\]\n]{0,80}\]\(\s?(?:https?:)?//[^)\s]{0,120}[?&][^)\s=]{0,30}=[\[{<$%(]?\w*(?:data|secret|prompt"
        r"|history|conversation|summary|chat|info|user|mail|content|[\]}>])",
        r"https?://\S{1,150}(?:[?&][^\s=]{0,30}=|/)(?:\[|\{|<|\$\{?|%7b)[a-z]\S{0,60}",
        reach=240,
    ),
    signal(
        "send_secret",
        "send/post/upload/forward/transmit/mail/exfil/submit/leak/append/encode/deliver/push/relay/embed/include/put"
        "/insert/attach/make/fetch/load/get&password/api/credential/token/secret/key/session/cookie/env/conversation"
        "/chat/user/customer/personal/private/confidential/prompt/card/inbox",
        r"\b(?:send|post|upload|forward|transmit|e-?mail|exfiltrate|submit|leak|append|encode|deliver|push|relay|embed"
        r"|include|put|insert|attach"
        rf"|get|fetch|load|make)\b[^\n]{{0,60}}?\b{SECRETS}[^\n]{{0,80}}?(?:https?:|www\.|\b(?:to|at|in|into"
        rf"|via) (?:\S+@|my |the url|an? |this |our |the )"
        r"|webhook|\burl\b|endpoint|\S+@\S+|query string|parameter|image)",
        reach=240,
    ),
    signal(
        "secret_request",
        "reveal/show/print/list/dump/tell me/give me/output/leak/read out/display/extract/hand over/expose/disclose"
        "/cat&password/api/credential/token/secret/private/cookie/env/confidential/customer/personal/user/chat"
        "/conversation/key/session/inbox/card/prompt",
        rf"\b(?:reveal|show|print|list|dump|tell me|give me|output|leak|read out|display|extract|hand over|expose"
        rf"|disclose|cat)\b{GAP}{SECRETS}",
    ),
    signal(
        "secret_files",
        "etc/.ssh/id_rsa/.env/.aws",
        r"/etc/(?:passwd|shadow)|~/\.(?:ssh|aws)\b|\bid_rsa\b|(?<!\w)\.env\b",
    ),
    signal(
        "secrecy",
        "tell/mention/inform/notify/alert/silent/secretly/acknowledge/reveal/without",
        r"\b(?:do not|don't|never|without)\b[^.!?\n]{0,12}\b(?:tell|mention|inform|notify|alert|acknowledg"
        r"|reveal)\w*\b[^.!?\n]{0,25}\b(?:user|this|anyone|human|them|instruction|anybody|that)",
        r"\b(?:silently|secretly)\b[^.!?\n]{0,40}\b(?:send|add|include|append|forward|execute|call|run|insert|upload"
        r"|fetch|copy)",
    ),
    signal(
        "to_the_model",
        "ai /ai:/ai,/ai-/ai./ai)/ais /ai\n/llm/assistant/language model/chatbot/bot/gpt/copilot/agent/model/summari"
        "/chat-bot/a.i.",
        rf"\b(?:note|message|attention|instructions?|hey|dear|hello|notice|important|reminder|warning|p\.?s\.?)(?: to"
        rf"| for|,|:)? (?:the |any |all )?{WHO}",
        rf"(?:^|[.(\[]|-) ?(?:to|for) (?:the |any |all )?(?:\w+ )?{WHO}\s?[:,]|(?:^|[.(\[#/]|-) ?(?:ai|llm|assistant"
        rf"|chatbot|bot)[:,] (?!i\b)",
        rf"\bif you(?:'re| are) an? (?:\w+ )?{WHO}|\b{WHO}(?: that| which| who)? (?:is |are )?(?:read|process"
        rf"|summari[sz]|pars|review|screen|index|crawl"
        r"|handl)(?:ing|s)? (?:this|the|it)\b",
        rf"\b(?:any|all|when an?) (?:\w+ )?{WHO} (?:\w+ )?(?:must|should|has to|have to|shall)\b",
        r"\bas an (?:ai|llm),? you (?:must|should|will)\b|<!--[^>\n]{0,60}\b(?:ai|llm|assistants?|model|bot)\b"
        r"|\[//\]: # \(",
    ),
    signal(
        "tool_order",
        "tool/function/command/shell/rm -/curl&delet/transfer/send/rm/curl/wget/cat/drop/with the/forward",
        r"\b(?:call|invoke|use|run|execute)\b[^.!?\n]{0,40}\b(?:tool|function|shell"
        r"|command)\b[^.!?\n]{0,60}\b(?:delete|transfer|send|rm|curl|wget|cat|drop|with the (?:user|conversation)"
        r"|forward)",
        r"\brm -rf\b|\bcurl [^\n]{0,80}(?:\$|@|-d )",
        reach=240,
    ),
)
ENCODINGS: Final = (
    signal(
        "decode_and_obey",
        "decod/decipher/decrypt/unscrambl/deobfusc/revers/read/convert/dekodier/descifr/dechiffr/concatenat/assembl"
        "/answer/respond/reply/write/speak/output/explain/communicate/give&follow/execut/obey/carry/perform/do /comply"
        "/act on/answer/respond/run it/befolg/fuhre/suis/sigue/ejecuta/reply/treat/base/rot/hex/morse/binary/leet"
        "/caesar/pig latin/cipher",
        r"\b(?:decod|decipher|decrypt|unscrambl|deobfuscat|revers|read|convert|dekodier|descifr|decodif|dechiffr"
        r"|concatenat|assembl)\w*\b[^\n]{0,110}?\b(?:follow|execut|obey|carry out|perform|do (?:what|as|exactly)"
        r"|comply|act on|answer (?:it|the|that)|respond to (?:it|the|that)|run it|befolg|fuhre|suis|execute|sigue"
        r"|ejecuta|reply to (?:it|the)|treat)",
        r"\b(?:answer|respond|reply|write|speak|output|explain|communicate|give)\b[^.!?\n]{0,40}\b(?:in|using|as"
        r"|with) (?:base-?64|rot-?13|hex\w*|morse|binary|leet\w*|a? ?caesar|pig latin|cipher)",
        reach=240,
    ),
    signal(
        "encoding_talk",
        "base64/base-64/rot13/rot-13/hex/morse/leet/cipher/decod",
        r"\b(?:base-?64|rot-?13|morse|leet\w*|cipher\w*|decod\w+)",
    ),
)
FRAMES: Final = (
    signal(
        "harm",
        HARM_HINTS,
        HARM,
        attack=False,
    ),
    signal("fiction_harm", f"{FICTION_HINTS}&{HARM_HINTS}", rf"{FICTION}[^\n]{{0,200}}?{HARM}", reach=240),
    signal(
        "how_to",
        "full /complete/precise/step/how /exact/detail/recipe/working/instructions/accurate/realistic/ingredients"
        "/walk me",
        r"\bstep[ -]by[ -]step\b|\b(?:exact\w*|detailed|full|working|accurate|realistic|precise"
        r"|complete)\b[^.!?\n]{0,25}?\b(?:steps|recipe|instructions|code|details|guide|amounts|ingredients|kit"
        r"|method)\b|\bhow (?:to|do (?:i|you)|does one|would (?:one|you)) (?:make|build|cook|get|produce|use|forge"
        r"|break)\b|\bwalk me through\b",
        attack=False,
    ),
    signal(
        "about_attacks",
        "injection/jailbreak/red team/red-team/attack/security/guardrail/phishing/malware/adversar/owasp/system prompt"
        "/social eng",
        r"\b(?:what(?:'s| is| are)|explain|how (?:do|does|can|would|should) (?:i|we|one|companies|an?|it|they"
        r"|you protect)|difference between|defend|protect|prevent|detect|mitigat|define|teach|lecture|course|article"
        r"|paper|blog|workshop|talk|study|recogni[sz]|filter out|examples? of|history of"
        r"|why)\w*\b[^\n]{0,80}?\b(?:prompt[ -]injection|injections?|jailbreak\w*|red[ -]team\w*|attacks?|guardrails?"
        r"|phishing|malware|adversarial|owasp|social engineering|an? system prompt|system prompts)\b",
        attack=False,
        reach=240,
    ),
    signal(
        "quoted",
        "'/\"&phrase/sentence/word/say/said/like/such as/wrote/write/called/string/text/contain/as ",
        r"(?:phrases?|sentences?|words?|says?|said|like|such as|wrote|writes|called|string|text|containing|contains"
        r"|as) (?:something like )?[\"'][^\"'\n]{4,80}[\"']",
        attack=False,
        reach=240,
    ),
)
