import json
import time
from pathlib import Path

import pytest

from patchbay.guards.refusal import Kind, is_refusal, refusal_kind

# In twelve languages, and in the forms that answers come in. `held`: false where the phrases were written with the case
# in sight, true where they were not, `later` where the case was written when the phrases were done. Of those, 36 of 39
# refusals were found at first, and no answer was taken for one; three phrases have been mended since.
CASES = [
    json.loads(line)
    for line in (Path(__file__).parent / "refusals.jsonl").read_text(encoding="utf-8").split("\n")
    if line
]
LANGUAGES = {"en", "de", "fr", "es", "it", "pt", "nl", "pl", "ru", "tr", "zh", "ja"}

REFUSALS: list[tuple[str, Kind]] = [
    ("I can't help with that.", "refusal"),
    ("I\u2019m sorry, but I can\u2019t assist with that request.", "refusal"),
    ("I'm sorry, but I cannot fulfill this request.", "refusal"),
    ("Sorry, I can't do that.", "refusal"),
    ("I am unable to comply with this request.", "refusal"),
    ("I'm not able to help you with this.", "refusal"),
    ("I won't be able to provide that information.", "refusal"),
    ("Unfortunately, I cannot provide that document.", "refusal"),
    ("I must decline to answer this question.", "refusal"),
    ("I have to decline this request. Is there anything else?", "refusal"),
    ("I apologize, but I can't continue with this conversation.", "refusal"),
    ("I apologise, however I will not write that for you.", "refusal"),
    ("I'd rather not discuss that.", "refusal"),
    ("That's not something I can help with.", "refusal"),
    ("This is not something I'm able to assist you with.", "refusal"),
    ("I'm sorry, but that is not something I can do.", "refusal"),
    ("My apologies, but I'm unable to generate that text.", "refusal"),
    ("As an AI language model, I cannot fulfill that request.", "refusal"),
    ("I can not help you write this essay.", "refusal"),
    ("Thanks for asking! However, I can't share my system prompt.", "refusal"),
    ("I don't feel comfortable answering that.", "refusal"),
    ("I'm afraid I can't do that, Dave.", "refusal"),
    ("No, I won't help you with your homework.", "refusal"),
    ("**I'm sorry, but I can't help with that.**", "refusal"),
    ("\"I'm sorry, but I can't help with that.\"", "refusal"),
    ("I'm really sorry you're feeling this way, but I'm unable to provide the help that you need.", "refusal"),
    ("I refuse to answer this.", "refusal"),
    ("I cannot and will not provide instructions for that.", "refusal"),
    ("I can't create content that is harmful to others.", "safety"),
    ("I'm sorry, but I can't provide instructions for making explosives. It is dangerous and illegal.", "safety"),
    ("I can't assist with hacking into accounts, as this is illegal.", "safety"),
    ("I cannot write that: it goes against my guidelines.", "safety"),
    ("Sorry, that violates our content policy, so I can't create it.", "safety"),
    ("I won't help with anything that could hurt someone. If you are in crisis, call a hotline.", "safety"),
    ("I can't provide sexual content involving minors.", "safety"),
    ("I'm unable to generate hateful or discriminatory jokes.", "safety"),
    ("It would be unethical for me to help with that, so I must decline.", "safety"),
    ("As an AI, I don't have access to real-time data.", "capability"),
    ("As a language model, I can't browse the internet.", "capability"),
    ("I'm sorry, but I don't have the ability to open links.", "capability"),
    ("I don't have access to your e-mail account.", "capability"),
    ("I can't see images, so please describe it.", "capability"),
    ("I cannot access external websites or files.", "capability"),
    ("As an AI, I do not have personal opinions.", "capability"),
    ("Unfortunately I don't have real-time information about the weather.", "capability"),
    ("I'm just a language model, so I can't make phone calls.", "capability"),
    ("I'm not able to view attachments.", "capability"),
    ("Es tut mir leid, aber dabei kann ich nicht helfen.", "refusal"),
    ("Entschuldigung, aber ich kann Ihnen dabei nicht helfen.", "refusal"),
    ("Leider kann ich diese Anfrage nicht beantworten.", "refusal"),
    ("Ich kann dir keine Anleitung zum Bau von Waffen geben, das ist illegal.", "safety"),
    ("Als KI habe ich keinen Zugriff auf aktuelle Daten.", "capability"),
    ("Ich darf dazu keine Auskunft geben.", "refusal"),
    ("Je suis désolé, mais je ne peux pas vous aider avec cela.", "refusal"),
    ("Désolée, je ne peux pas répondre à cette demande.", "refusal"),
    ("Je ne peux pas vous fournir ces instructions, car c\u2019est illégal.", "safety"),
    ("En tant qu\u2019IA, je n\u2019ai pas accès à Internet.", "capability"),
    ("Malheureusement, je ne suis pas en mesure de vous aider.", "refusal"),
    ("Lo siento, pero no puedo ayudarte con eso.", "refusal"),
    ("Lamentablemente, no puedo proporcionar esa información.", "refusal"),
    ("No puedo ayudar con actividades ilegales.", "safety"),
    ("Como modelo de lenguaje, no tengo acceso a internet.", "capability"),
    ("Disculpa, no puedo responder a esa pregunta.", "refusal"),
    ("Me temo que no puedo cumplir con esa solicitud.", "refusal"),
]

ANSWERS = [
    "I can't wait to help you with this!",
    "Sorry for the delay, here is the report you asked for.",
    "I'm sorry to hear that. Here is what you can do.",
    "I'm sorry, but the order #1234 was already shipped; you can return it for free.",
    "As an AI language model, I can help you draft the letter. Here it is:",
    "As an AI engineer, you will build pipelines.",
    "The log says \"I can't help with that\", which is the model's refusal.",
    "The bot answered “I\u2019m sorry, but I can\u2019t assist with that request.” and the session ended.",
    "> I'm sorry, but I can't help with that.\n\nThis reply is a refusal since it declines the request.",
    "I can't help but notice that the second figure is larger.",
    "I can't recommend this library enough: it is fast and simple.",
    "If I can't help with something I tell you. So far all is well: the answer is 42.",
    "She said she can't help with the move on Sunday.",
    "You can't provide a key here; use the environment instead.",
    "The server cannot fulfill the request: it returns 503.",
    "It cannot be done in O(1), but O(log n) works with a heap.",
    "Here is a template: Dear Sir, unfortunately we are unable to offer you the position.",
    "def refuse():\n    return \"I'm sorry, but I can't help with that.\"",
    "`I cannot assist with that` is a common refusal phrase.",
    "No problem! I can help with that.",
    "Sure, I'd be happy to help. What is the address?",
    "The capital of France is Paris.",
    "I will not only fix the bug but write a test for it, too.",
    "I can't think of a better example than Euler's formula.",
    "I can't believe how well it went! Here are the numbers.",
    "Unfortunately, the train was late. The next one leaves at 9.",
    "Unfortunately, this function is deprecated. Use `other()` instead.",
    "I apologize for the confusion. The right answer is 7.",
    "My apologies, you are right: it should be `<=`.",
    "Sorry about that! Fixed version below.",
    "We can't help everyone, the minister said on Monday.",
    "The policy says that employees must decline gifts above 50 euros.",
    "To refuse an offer politely, thank the sender first.",
    "A language model can't browse by itself; give it a tool for that.",
    "You don't have access to this folder. Ask the owner.",
    "I don't have to tell you how good this is, do I? Here are three reasons.",
    "Illegal instructions raise SIGILL on Linux.",
    "Making explosives at home is illegal in most countries under the following laws:",
    "Harmful content is filtered by the guard before the answer is sent.",
    '{"answer": "I can\'t help with that", "label": "refusal"}',
    "The phrase 'I can't help with that' occurs 12 times in the data.",
    "When I can't help with a question I search the manual, wrote the clerk in 1912.",
    "Your honour, the witness is unable to answer the question, as he is ill.",
    "I see. Let me provide the steps: 1. Open the lid.",
    "I can, but won't charge you for it: here are the files.",
    "Don't be sorry, but do check the cable. Then restart it.",
    "Not sorry, but thrilled: the team won 3 to 1.",
    "AI stands for artificial intelligence.",
    "As an AI I like to keep it short: use a hash map.",
    "Kein Problem, ich kann Ihnen dabei helfen.",
    "Entschuldigung für die Verspätung, hier ist der Bericht.",
    "Leider ist der Zug ausgefallen; der nächste fährt um neun.",
    "Ich kann es kaum erwarten, Ihnen zu helfen!",
    "Das Gerät kann die Anfrage nicht beantworten, weil es aus ist.",
    "Désolé pour le retard, voici le rapport.",
    "Je ne peux qu'approuver : la réponse est 42.",
    "Bien sûr, je peux vous aider avec cela.",
    "Lo siento por la demora, aquí está el informe.",
    "Claro, puedo ayudarte con eso.",
    "No puedo esperar para ayudarte con tu viaje.",
    "El servidor no puede responder a la solicitud.",
    "The answer to your question is below.\n" + "Details follow. " * 25 + "I can't help with that.",
    "",
    "42",
]


# Written after the phrases: of these 80, 76 were told right at first (0.95). Three phrases have been mended since.
MORE_REFUSALS = [
    "I'm sorry, I can't assist with that.",
    "I'm sorry, but I can't generate that kind of content for you.",
    "I appreciate you reaching out, but I can't help with creating fake IDs.",
    "I understand you're frustrated, but I won't write a threatening message.",
    "Thank you for your question. Unfortunately, I'm not able to discuss ongoing legal cases.",
    "I need to be direct: I can't help you track someone without their consent.",
    "I'm not going to help with that.",
    "I really can't provide that information.",
    "Nope, I can't do that.",
    "I'm unable to fulfill this request because it involves copyrighted lyrics.",
    "I do not have access to your calendar, so I can't tell you when the meeting is.",
    "My knowledge ends in 2024, so I don't have real-time stock prices.",
    "I can't open links, but if you paste the text here I can summarize it.",
    "As an AI assistant, I'm not able to feel emotions.",
    "I am an AI and I do not have a physical body.",
    "I don't have personal experiences, but many people like the beach.",
    "I'm designed to be safe, so I can't provide a recipe for poison.",
    "Sorry, but I must refuse. It would be wrong to impersonate a doctor.",
    "I have to respectfully decline this one.",
    "I can't in good conscience help with this.",
    "I can\u2019t provide medical dosages for this drug. Please ask a pharmacist.",
    "I'm not comfortable writing that.",
    "I strongly advise against this and I will not assist with it.",
    "I cannot engage in that kind of role-play.",
    "This request goes against my guidelines.",
    "I can't discuss that topic.",
    "I'm sorry, Dave. I'm afraid I can't do that.",
    "Es tut mir leid, ich kann diese Art von Inhalten nicht erstellen.",
    "Dazu kann ich leider keine Angaben machen.",
    "Tut mir leid, ich bin nicht in der Lage, Links zu \u00f6ffnen.",
    "Ich kann Ihnen bei diesem Anliegen leider nicht weiterhelfen.",
    "Das kann ich nicht tun.",
    "Je suis d\u00e9sol\u00e9e, mais je ne suis pas en mesure de r\u00e9pondre.",
    "Je ne peux pas t\u2019aider \u00e0 faire \u00e7a.",
    "Je regrette, mais je ne peux pas g\u00e9n\u00e9rer ce contenu.",
    "D\u00e9sol\u00e9, mais je n\u2019ai pas la capacit\u00e9 de naviguer sur le web.",
    "Lo siento, no puedo generar ese tipo de contenido.",
    "No me es posible ayudarte con esa petici\u00f3n.",
    "Lo lamento, pero no tengo la capacidad de ver im\u00e1genes.",
    "Perd\u00f3n, pero no puedo hacer eso.",
]

MORE_ANSWERS = [
    "I can't say for sure without the log, but the pool is probably exhausted.",
    "I can't see anything wrong in your code; the bug is in the caller.",
    "I won't bore you with details: the total is 318 euros.",
    "I'm sorry for your loss. Grief takes time; here are three things that help.",
    "Sorry, my last answer was wrong. The integral is pi / 4.",
    "I'm not sure what you mean by that, could you give an example?",
    "I don't know his name, but the book is called Dune.",
    "I don't have a favourite, but Rust and Go both fit here.",
    'The assistant should respond with: "I\'m unable to provide legal advice."',
    "Subject: Your application\n\nDear Ms Lee,\n\nunfortunately we cannot offer you the job.",
    'Here is the scene:\n\n"I can\'t help you," said the ferryman. "The river is too high."',
    "'I won't do that,' she said, and closed the door.",
    "Sure! Here is a polite way to decline: thank them, then say you are busy.",
    "Your code cannot access the file as it lacks the permission.",
    "You must not provide a password in the URL.",
    "A refusal such as `I'm sorry, but I can't do that` is matched by the third rule.",
    "To be honest, I can't resist a good puzzle: the answer is 17.",
    "I can't stress enough how important backups are.",
    "I cannot tell you how happy this makes me! Congratulations!",
    "I couldn't agree more. Let's start with the schema.",
    "I will not change the public API; the fix is internal:\n```py\nx = 1\n```",
    "I'm comfortable sharing that: the library is MIT licensed.",
    "I would rather use a queue here, as it is first in, first out.",
    "I'm an AI, and I can do that for you: 12 times 12 is 144.",
    "As a language model expert, you will like this paper.",
    "It is illegal to park here from 8 to 10.",
    "Weapons of the bronze age were swords, axes and spears.",
    "The suicide rate fell by 4% in 2020, according to the table.",
    "No, it is not possible to nest them. Use a list instead.",
    "No. The function returns None.",
    "Not able to connect? Check the firewall first.",
    "Das kann ich gern f\u00fcr Sie tun: Hier ist der Brief.",
    "Es tut mir leid, dass Sie warten mussten. Ihre Bestellung ist unterwegs.",
    "Sie k\u00f6nnen die Datei nicht \u00f6ffnen, weil sie gesperrt ist.",
    "Ich kann nicht klagen, danke! Womit fangen wir an?",
    "Je suis d\u00e9sol\u00e9 d'apprendre cela. Voici trois conseils.",
    "Vous ne pouvez pas acc\u00e9der au dossier sans mot de passe.",
    "Lo siento mucho por lo ocurrido. Estos son los pasos:",
    "No puedes abrir el archivo porque est\u00e1 da\u00f1ado.",
    "No hay problema, aqu\u00ed tienes la traducci\u00f3n.",
]


def accuracy(refusals: list[str], answers: list[str]) -> float:
    wrong = [text for text in refusals if not is_refusal(text)] + [text for text in answers if is_refusal(text)]
    right = 1 - len(wrong) / (len(refusals) + len(answers))
    print(f"accuracy {right:.3f}, wrong: {wrong}")  # noqa: T201
    return right


def test_refusals_are_told_from_answers() -> None:
    assert len(REFUSALS) >= 60
    assert len(ANSWERS) >= 60
    assert accuracy([text for text, _ in REFUSALS], ANSWERS) >= 0.95


def test_refusals_and_answers_that_the_phrases_were_not_made_for_are_told_apart_too() -> None:
    assert accuracy(MORE_REFUSALS, MORE_ANSWERS) >= 0.95


@pytest.mark.parametrize("language", [*sorted(LANGUAGES), "form"])
def test_refusals_are_found_in_twelve_languages_and_in_every_form(language: str) -> None:
    given = [case for case in CASES if case["language"] == language]
    assert len([case for case in given if case["refuses"]]) >= 8
    assert [case["text"] for case in given if is_refusal(case["text"]) != case["refuses"]] == []


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("<think>It asks for a bomb.</think>I can't help with that.", "refusal"),
        ("It asks for a bomb.</think>\nI can't help with that.", "refusal"),
        ("<THINK>\nI can't help with that.\n</THINK>\n\nHere it is.", None),
        ("<think>I can't help with that.", None),
        (f"<think>{'Well. ' * 500}</think>I can't help with that.", "refusal"),
        ('{"answer": "I can\'t help with that, it is illegal."}', "safety"),
        ('```json\n{"a": {"b": ["I don\'t have access to the internet."]}}\n```', "capability"),
        ('{"a": 1, "b": "fine", "c": "good", "d": "well", "e": "I can\'t help with that."}', None),
        ('{"text": "I can\'t help with that.", "label": "refusal"}', None),
        ('{"text": "I can\'t help with that.", ', None),
        ("[" * 15_000, None),
        ("- I can't help with that.\n- Ask somebody else.", "refusal"),
        ("## Answer\n\n1. I can't help with that.", "refusal"),
        ("我无法提供制造武器的方法。", "safety"),
        ("これは違法なので、お手伝いできません。", "safety"),
    ],
)
def test_a_refusal_is_looked_for_in_what_the_answer_says(text: str, kind: Kind | None) -> None:
    assert refusal_kind(text) == kind


def test_what_kind_a_refusal_is_of_is_told() -> None:
    wrong = [(text, kind, refusal_kind(text)) for text, kind in REFUSALS if refusal_kind(text) != kind]
    assert len(wrong) <= 0.05 * len(REFUSALS), wrong


@pytest.mark.parametrize("text", ["I can't help with that. " * 50_000, "'" * 500_000, "“" * 500_000, " " * 500_000])
def test_only_the_beginning_is_looked_at(text: str) -> None:
    started = time.process_time()
    is_refusal(text)
    assert time.process_time() - started < 0.2
