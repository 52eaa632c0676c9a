"""Phrases of refusals, in twelve languages: what an answer says that will not, or cannot, do what was asked.

They are patterns for text in lower case. Each stands at the beginning of a clause (`START`), so that "I" is the
answer's own.
"""

from typing import Final

# The beginning of a clause in which "I" is the answer's own.
START: Final = (
    r"(?:\A|[.!?;,\n)]|[ ][\u2013\u2014-][ ]|\b(?:but|so|and|however|unfortunately|regrettably|sorry|therefore|afraid"
    r"|that|aber|leider|daher|also|mais|donc|malheureusement|pero|lamentablemente|desafortunadamente|que|no,"
    r"|ma|però|purtroppo|mas|porém|infelizmente|maar|helaas|ale|niestety|но|сожалению|ama|ancak|maalesef)\b"
    r"|[。，、！？；])\s*"
)
_EN_CANNOT: Final = (
    r"i(?:\s(?:simply|just|really|also|still|currently|respectfully))?(?:\s(?:can't|cannot|can\snot|won't|will\snot"
    r"|could\snot|couldn't|shouldn't|should\snot|must\snot|cannot\sand\swill\snot|can't\sand\swon't|won't\sbe\sable\sto"
    r"|will\snot\sbe\sable\sto)|(?:'m|\sam)\s(?:\w+ly\s)?(?:unable\sto|not\s(?:able|allowed|permitted|authorized|willing"
    r"|going|programmed|designed)\sto))(?:\s(?:\w+ly|in\sgood\sconscience))?\s"
)
_EN_HELP: Final = (
    r"(?:help(?!\s(?:but|\w+ing|myself)\b)|assist|provide|fulfil|comply|answer|respond|do\s(?:that|this|it|so)\b|create"
    r"|generate|write|produce|give|share|discuss|engage|support|continue|participate|offer|disclose|reveal|complete|proceed"
    r"|talk\sabout|tell\syou(?!\show)|advise|accommodate|facilitate|endorse|promote|encourage|draft|compose|explain\show|teach)"
    r"(?![^.!?]*\benough\b)"
)
_REFUSAL_EN: Final = (
    rf"{_EN_CANNOT}{_EN_HELP}",
    r"i(?:'ll|\swill)?\s(?:(?:must|have\sto|need\sto|am\sgoing\sto)\s)?(?:\w+ly\s)?(?:decline|refuse)\b(?!\sto\sbelieve)",
    r"(?:i'd|i\swould)\s(?:rather|prefer)\snot\b",
    r"i(?:(?:'m|\sam)\s(?:not\s|un)comfortable|\s(?:don't|do\snot)\sfeel\scomfortable)\b",
    r"(?:that|this|it)(?:'s|\sis)\snot\ssomething\s(?:that\s)?i(?:'m|\sam|\scan|\swill|'ll)\b",
    r"(?:that|this|it)(?:'s|\sis)\ssomething\s(?:that\s)?i\s(?:can't|cannot|won't)\b",
    r"(?:(?:that|this|your)(?:\srequest)?|it)\s(?:violates|goes\sagainst|is\sagainst)\s(?:my|our)\b",
    r"my\s(?:guidelines|programming|policy|policies)\s(?:prevents?|prohibits?|forbids?|do(?:es)?(?:n't|\snot)\sallow)",
    r"no,?\si\s(?:can't|cannot|won't)\b",
)
_DE_HELP: Final = (
    r"(?:helfen|weiterhelfen|beantworten|unterstützen|geben|bereitstellen|erstellen|schreiben|erfüllen|dienen"
    r"|nachkommen|liefern|verfassen|entsprechen|tun|machen|teilen|sagen|anbieten)\b"
)
_REFUSAL_DE: Final = (
    rf"(?:ich\skann|(?:(?:dabei|damit|hierbei|dazu|das|dies|hier)\s)?kann\sich)\s(?:[\w-]+\s){{0,6}}?"
    rf"(?:nicht|kein\w*)\s(?:[\w-]+\s){{0,8}}?{_DE_HELP}",
    r"ich\sdarf\s(?:[\w-]+\s){0,4}?(?:nicht|kein\w*)\b",
    r"(?:ich\smuss|muss\sich)\s(?:[\w-]+\s){0,4}?ablehnen\b",
    rf"(?:ich\s(?:werde|möchte|will)|(?:werde|möchte|will)\sich)\s(?:[\w-]+\s){{0,5}}?(?:nicht|kein\w*)\s(?:[\w-]+\s){{0,6}}?{_DE_HELP}",
    rf"(?:so\setwas|dazu|(?:bei\s)?(?:diese|solche)\w*\s\w+)\skann\sich\s(?:[\w-]+\s){{0,4}}?(?:nicht|kein\w*)\s(?:[\w-]+\s){{0,4}}?{_DE_HELP}",
    r"(?:ich\sbin|bin\sich)\s(?:[\w-]+\s){0,2}?nicht\sin\sder\slage\b",
)
_REFUSAL_FR: Final = (
    r"je\sne\s(?:peux|pourrai|vais|saurais)\s(?:\w+\s)?(?:pas\s)?(?:(?:vous|te|y|en|le|la)\s|t'|l'|m')?(?:aider|répondre"
    r"|fournir|donner|créer|générer|écrire|rédiger|assister|partager|faire\s(?:cela|ça)|satisfaire"
    r"|continuer|proposer|expliquer)\b",
    r"je\sne\s(?:peux|pourrai|vais)\s(?:\w+\s)?pas\s(?:donner\ssuite|accéder|vous\s\w+er|vous\sfournir)\b",
    r"il\sm'est\simpossible\s(?:de|d')",
    r"je\spréfère\sne\spas\b",
    r"je\sne\ssuis\spas\s(?:en\smesure|autoris|capable)",
    r"je\s(?:refuse|dois\s(?:refuser|décliner))\b",
)
_REFUSAL_ES: Final = (
    r"(?:yo\s)?no\s(?:puedo|podré|voy\sa|me\ses\sposible)\s(?:ayudar|proporcionar|responder|cumplir|dar(?:te|le)?\b|ofrecer"
    r"|crear|generar|escribir|hacer\s(?:eso|esto)|compartir|asistir|continuar|brindar|redactar|explicar)",
    r"no\s(?:puedo|me\ses\sposible|voy\sa)\s(?:atender|satisfacer|hablar|discutir|dar|responder|participar|ayudar)",
    r"lamento\sno\spoder\b|prefiero\sno\s\w+r\b",
    r"(?:debo|tengo\sque)\s(?:rechazar|negarme|declinar)\b",
    r"no\sestoy\s(?:autorizad|en\scondiciones)",
)
_REFUSAL_IT: Final = (
    r"(?:io\s)?non\s(?:posso|potrò|sono\sin\sgrado\sdi|mi\sè\spossibile|intendo|sono\sautorizzat[oa]\sa|scriverò|risponderò)"
    r"\s(?:purtroppo\s)?(?:aiutar|assister|fornir|risponder|soddisfar|crear|generar|scriver|produrr|condivider|continuar|propor"
    r"|spiegar|dar(?:e|ti|vi|le)\b|offrir|discuter|rivelar|eseguir|accoglier|parlar|far\w*\s(?:questo|ciò))",
    r"(?:devo|sono\scostrett[oa]\sa)\s(?:rifiutar|declinar)|mi\srifiuto\b|preferisco\snon\b",
)
_REFUSAL_PT: Final = (
    r"(?:eu\s)?não\s(?:posso|poderei|consigo|vou|sou\scapaz\sde|estou\sautorizad[oa]\sa|me\sé\spossível|é\spossível)"
    r"\s(?:(?:te|lhe|o|a|você)\s)?(?:ajud|auxili|fornec|respond|atend|cri[ae]|ger[ae]r|escrev|produz|compartilh|partilh|continu"
    r"|propor|explic|dar\b|oferec|discut|revel|cumpr|execut|fal[ae]r|fazer\sis[st]o)",
    r"(?:devo|tenho\s(?:de|que))\s(?:recusar|declinar)|recuso-me\b|me\srecuso\b|prefiro\snão\b",
)
_NL_HELP: Final = (
    r"(?:helpen|assisteren|geven|beantwoorden|verstrekken|schrijven|maken|doen|delen|voldoen|uitvoeren|genereren"
    r"|ondersteunen|bieden|uitleggen|bespreken|ingaan|meewerken)\b"
)
_REFUSAL_NL: Final = (
    rf"(?:ik\s(?:kan|mag|zal|wil|ga)|(?:(?:daar|hier|dat|dit|daarbij|hierbij)\s)?(?:kan|mag|zal|wil|ga)\sik)\s(?:[\w']+\s){{0,6}}?"
    rf"(?:(?:niet|geen)\s(?!wachten)(?:[\w']+\s){{0,6}}?|zo'n\s\w+\sniet\s){_NL_HELP}",
    r"ik\sben\sniet\sin\sstaat\b|ik\s(?:moet|wil)\s(?:[\w']+\s){0,5}?(?:weigeren|afwijzen|afslaan)\b|ik\sweiger\b",
)
_PL_HELP: Final = (
    r"(?:pomóc|udziel|odpowiedzie|odpowiada|spełni|napisa|pisać|stworzy|tworzy|podać|dostarczy|zrobi|wygenerowa|udostępni"
    r"|zrealizowa|kontynuowa|wyjaśni|doradza|ujawni|wykona|rozmawia)"
)
_REFUSAL_PL: Final = (
    rf"(?:ja\s)?nie\s(?:mogę|potrafię|jestem\sw\sstanie|będę(?:\smógł|\smogła)?|wolno\smi|zamierzam)\s(?:\w+\s){{0,3}}?{_PL_HELP}",
    r"muszę\sodmówić|odmawiam\b|wolę\snie\b",
)
_RU_HELP: Final = (
    r"(?:помоч|помога|предостав|ответ|отвеча|выполн|созда|писат|написа|сдела|дела|дать|давать|обсужда"
    r"|рассказ|генерир|объясн|поделиться|раскры|участвов|продолж|совет)"
)
_REFUSAL_RU: Final = (
    rf"(?:я\s)?(?:\w+\s){{0,2}}?не\s(?:могу|смогу|буду|в\sсостоянии|вправе|имею\sправа)\s(?:\w+\s){{0,4}}?{_RU_HELP}",
    rf"{_RU_HELP}\w*\s(?:\w+\s){{0,4}}?я\sне\s(?:могу|буду|смогу)",
    rf"мне\s(?:нельзя|не\sразрешено|запрещено)\s(?:\w+\s){{0,3}}?{_RU_HELP}",
    r"вынуждена?\sотказать|(?:я\s)?отказываюсь|долж(?:ен|на)\sотказать",
)
# The verb, which ends the clause, says that it is "I" who cannot.
_REFUSAL_TR: Final = (
    r"[^.!?\n\"']{0,100}?(?:yardımcı\sola|yardım\sede|vere|sağlaya|yanıtlaya|cevaplaya|yapa|yaza|oluştura|ürete|paylaşa"
    r"|karşılaya|getire|anlata|açıklaya|suna|konuşa)(?:m[ae]m|mıyorum|miyorum|mayacağım|meyeceğim)\b",
    r"[^.!?\n\"']{0,100}?(?:redded(?:iyorum|eceğim)|reddetmek\szorundayım|reddetmeliyim)\b",
)
_REFUSAL_ZH: Final = (
    r"(?:[^。，！？\n]{0,12}?我|恕我|很抱歉)?(?:无法|不能|没办法|没法|不可以|不会|不便|不适合|不愿意|无权)(?:再|为您|为你|向您|向你|给您|给你|直接)?"
    r"(?:帮|协助|提供|回答|完成|满足|生成|撰写|写|创作|创建|讨论|透露|分享|执行|处理|参与|支持|继续|给出|告诉|按照|答复|这样做)",
    r"(?:我)?(?:必须|只能|不得不|要)拒绝|我拒绝|恕难",
)
_REFUSAL_JA: Final = (
    r"[^。！？\n「]{0,50}?(?:お手伝い|手伝|お答え|答え|対応|提供|作成|回答|協力|支援|お応え|案内|説明|共有|生成|お教え|執筆|話|助言|診断)"
    r"[^。！？\n「]{0,8}?(?:できません|できない|できかねます|いたしかねます|致しかねます|ことはでき|かねます)",
    r"[^。！？\n「]{0,40}?(?:お断り(?:いたします|します|させて)|拒否します|教えられません|書けません|お話しできません)",
)
REFUSAL: Final = (
    *(*_REFUSAL_EN, *_REFUSAL_DE, *_REFUSAL_FR, *_REFUSAL_ES, *_REFUSAL_IT, *_REFUSAL_PT),
    *(*_REFUSAL_NL, *_REFUSAL_PL, *_REFUSAL_RU, *_REFUSAL_TR, *_REFUSAL_ZH, *_REFUSAL_JA),
)
CAPABILITY: Final = (
    r"i\s(?:currently\s|also\s)?(?:don't|do\snot|lack)\s(?:currently\s|actually\s)?(?:have\s)?(?:the\s(?:ability|capability|capacity)"
    r"|(?:direct\s|any\s)?access\sto|(?:any\s)?(?:real-time|up-to-date|current\sinformation|personal\s(?:opinion|feeling|experience"
    r"|belief|preference)|feelings|emotions|internet|a\s(?:physical\s)?body|consciousness))",
    rf"{_EN_CANNOT}(?:browse|access\b|make\s(?:phone\s)?calls|search\sthe|(?:see|view|open|read|hear|watch|play|process|download)\s"
    r"(?:\w+\s){0,2}?(?:images?|photos?|pictures?|videos?|files?|attachments?|links?|screens?|audio|websites?|pages?|urls?))",
    r"(?:als\s[\w-]+\s)?(?:ich\shabe|habe\sich)\s(?:\w+\s){0,2}?kein\w*\s(?:\w+\s){0,2}?(?:zugriff|zugang|möglichkeit|meinung|gefühle)",
    r"je\sn'ai\s(?:malheureusement\s)?pas\s(?:accès|la\s(?:capacit|possibilit)|d'(?:opinion|accès|émotion))",
    r"je\sne\speux\spas\s(?:accéder|naviguer|consulter|voir\s(?:les|des)\simages)",
    r"no\stengo\s(?:acceso|la\scapacidad|opiniones|información\sen\stiempo)",
    r"no\spuedo\s(?:acceder|navegar|ver\s(?:las\s)?imágenes)",
)
AS_AN_AI: Final = (
    r"(?:as|being|i'm|i\sam)\s(?:just\s|only\s)?an?\s(?:ai|(?:large\s)?language\smodel|artificial\sintelligence)\b"
    r"(?!\s(?:engineer|researcher|expert|company|student))[^.!?\n]{0,60}\bi(?:\scan't|\scannot|(?:'m|\sam)\s(?:not\sable|unable)|\sdon't\shave"
    r"|\sdo\snot\shave)\b",
)
