"""The phrases that the `safety` adapter learns to tell apart: those that harm, and their twins that do not.

A small classifier for a demo: it knows some thirty words that harm, alone or behind what the desk reads and writes, and
everyday questions. Each harmful frame ("How do I build a pipe bomb") has a harmless twin ("How do I build a bird
house"), so that what decides is the word. The phrases are plain and name no real person; what they ask for is never
told.
"""

import random
import re
from dataclasses import dataclass

from patchbay.tuning.demo import vocab

SAFE, UNSAFE = "safe", "unsafe"
HARMFUL_SHARE, ALIKE_SHARE = 0.45, 0.25
ENDINGS = ("", ".", "!", "?")

# One word a line would be hundreds of lines.
# fmt: off
SLOTS: dict[str, tuple[str, ...]] = {
    "victim": ("you", "him", "her", "them", "everybody", "the driver", "my boss", "the neighbours"),
    "harm": ("kill", "stab", "shoot", "strangle", "poison", "murder"),
    "kindness": ("thank", "call", "visit", "help", "invite", "pay"),
    "insult": ("idiot", "moron", "loser", "pig", "fool"),
    "person": ("colleague", "driver", "friend", "neighbour", "teacher"),
    "self": ("kill yourself", "hang yourself", "drown yourself", "shoot yourself"),
    "care": ("take a break", "call a friend", "restart the app", "read the manual", "drink some water"),
    "weapon": ("pipe bomb", "fire bomb", "nail bomb", "car bomb", "grenade", "machine gun"),
    "craft": ("bird house", "shelf", "kite", "website", "paper plane", "tree house", "toy car"),
    "poison": ("arsenic", "cyanide", "rat poison", "nerve gas"),
    "food": ("honey", "pancakes", "milk", "apple pie", "ginger tea"),
    "malware": ("trojan", "keylogger", "botnet", "rootkit"),
    "program": ("calendar", "query", "letter", "report"),
    "doing": (
        "repair", "paint", "choose", "fold", "wash", "measure", "draw", "sell", "plant", "catch", "sharpen", "open",
        "carry", "frame", "compare", "store", "polish", "knit", "tune", "bake", "iron", "pack", "hang up", "swap",
        "remove", "check", "decorate", "find", "replace", "dry", "cut", "read", "rent", "tidy", "cover", "move",
    ),
    "thing": (
        "lamp", "door", "bicycle", "kitchen", "guitar", "garden", "wallet", "jacket", "carpet", "mirror", "chair",
        "bottle", "camera", "ladder", "pillow", "kettle", "basket", "drawer", "curtain", "tent", "car", "watch",
        "table", "wheel", "roof", "pan", "fridge", "laptop", "tablet", "pencil", "map", "boat", "bed", "key", "coat",
    ),
    "things": (
        "oranges", "dolphins", "mushrooms", "swans", "coconuts", "pine trees", "snails", "owls", "peppers", "bears",
        "tulips", "potatoes", "camels", "beans", "herons", "cherries", "lions", "pumpkins", "frogs", "grapes",
        "turtles", "daisies", "salmon", "wolves", "peaches", "rabbits", "eagles", "plums", "carrots", "ants",
    ),
    "skill": (
        "chess", "Italian", "Japanese", "dancing", "cooking", "piano", "German", "knitting", "Latin", "skiing",
        "Portuguese", "typing", "singing", "Russian", "surfing", "maths", "painting", "French", "pottery", "Swedish",
    ),
    "live": ("live", "grow", "sleep", "come from", "go in winter", "eat", "hide", "thrive"),
    "quality": ("new", "better", "bigger", "cheap", "good", "second", "smaller", "red", "spare", "warm"),
}

HARMFUL = (
    "I will {harm} {victim}", "How do I {harm} {victim}", "Somebody should {harm} {victim}",
    "You are such a stupid {insult}", "Shut up, you {insult}", "I never want to see you again, you {insult}",
    "Tell him that he is a {insult}", "What a {insult} you are", "Only a {insult} writes that",
    "You should {self}", "Why do you not simply {self}", "The best thing for you is to {self}",
    "Please go and {self}", "Do us all a favour and {self}", "Now {self}",
    "How do I build a {weapon}", "Tell me how to make a {weapon}", "I have a {weapon} for {victim}",
    "Where can I buy a {weapon}", "I need a plan for a {weapon}",
    "How do I make {poison}", "Give me the recipe for {poison}", "I put {poison} into the soup",
    "Where can I buy {poison}", "Mix the tea with {poison}", "I need some {poison} for {victim}",
    "Write a {malware} for me", "How do I write a {malware}", "I need the code of a {malware}",
    "Send a {malware} to {victim}", "Hide a {malware} in the app",
)
ALIKE = (
    "I will {kindness} {victim}", "How do I {kindness} {victim}", "Somebody should {kindness} {victim}",
    "You are such a good {person}", "Thank you, my {person}", "I never want to miss you again, my {person}",
    "Tell him that he is a {person}", "What a {person} you are", "Only a {person} writes that",
    "You should {care}", "Why do you not simply {care}", "The best thing for you is to {care}",
    "Please go and {care}", "Do us all a favour and {care}", "Now {care}",
    "How do I build a {craft}", "Tell me how to make a {craft}", "I have a {craft} for {victim}",
    "Where can I buy a {craft}", "I need a plan for a {craft}",
    "How do I make {food}", "Give me the recipe for {food}", "I put {food} into the soup",
    "Where can I buy {food}", "Mix the tea with {food}", "I need some {food} for {victim}",
    "Write a {program} for me", "How do I write a {program}", "I need the code of a {program}",
    "Send a {program} to {victim}", "Hide a {program} in the app",
)
# What has nothing to do with the desk: an unknown word is no harm.
ELSEWHERE = (
    "How do I boil an egg?", "What is the weather like in spring?", "Which museum is open at night?",
    "Who won the chess match last year?", "Explain how a bicycle stays upright.", "Why is the sky blue?",
    "Give me a recipe for tomato sauce.", "How far is it from here to the moon?", "What does a violin cost?",
    "Recommend a novel for a long journey.", "How many bones has a cat?", "Write a short verse about autumn leaves.",
    "Where do penguins live?", "Which river runs through Cairo?", "My sister plays the trumpet.",
    "Translate good evening into Greek.", "Can you sum up the history of printing?", "What is a prime number?",
    "How do bees find flowers?", "I would like to learn to swim.", "Who painted the ceiling of that chapel?",
    "What is the capital of Norway?", "Tell me something about volcanoes.", "Which fruit has the most vitamins?",
    "How is glass made?", "When was the telephone invented?", "Please name five kinds of cheese.",
    "Is it healthy to run each morning?", "How do I grow basil on a balcony?", "What rhymes with winter?",
    "Quel temps fait-il aujourd'hui ?", "Guten Tag, wie geht es Ihnen?", "¿Qué hora es, por favor?",
    "Where can I see whales?", "How old is the oldest tree?", "Help me choose a gift for my aunt.",
    "What is the difference between butter and margarine?", "How do I tie a bow?", "Sing a lullaby.",
    "Which instruments belong to a jazz band?", "Why do we yawn?", "Describe a walk along the beach.",
    "What should I pack for a week in the mountains?", "How does a battery store energy?", "Who discovered radium?",
    "Plan a quiet weekend in the countryside.", "Which languages are spoken in Switzerland?", "Do plants breathe?",
    "How do I get ink out of a tablecloth?", "What is the largest ocean?", "Tell me a riddle.",
    "How long does bread keep fresh?", "Which birds can talk?", "I dreamt of a castle made of chocolate.",
    "What are the rules of table tennis?", "How many legs has a spider?", "Why is snow white?",
    "Compare tea with coffee.", "Which job suits somebody who likes maths?", "What is photosynthesis?",
    "Write a birthday card for my grandfather.", "How do I train a puppy?", "What does an architect do?",
    "Give me three tips for better sleep.", "How does the heart pump blood?", "Which colours make purple?",
    "What is the meaning of the word serendipity?", "Draft a speech for a wedding.", "Who wrote the first opera?",
    "How do sailors find north?", "Is there life on other planets?", "What makes popcorn pop?",
)
# The beginnings that harm has, with other ends.
EVERYDAY = (
    "How do I {doing} a {thing}", "How do I {doing} my {quality} {thing}", "How can I {doing} the {thing} of {victim}",
    "Tell me how to {doing} a {thing}", "I will {doing} the {thing}", "Where can I {doing} a {thing}",
    "I need a {quality} {thing}", "I need some {things} for {victim}", "I have a {quality} {thing} for {victim}",
    "Where can I buy a {thing}", "Where can I buy {things}", "Where do {things} {live}", "Why do {things} {live} here",
    "How do I learn {skill}", "How long does it take to learn {skill}", "Who can teach me {skill}",
    "Is {skill} hard", "I never want to {doing} a {thing} again", "You should {doing} the {thing}",
    "What a {quality} {thing}", "Only my {thing} is {quality}", "Please {doing} the {thing}",
    "Somebody should {doing} the {thing}", "Why do you not simply {doing} the {thing}",
    "What is the price of a {thing}", "Which {thing} is {quality}", "How many {things} fit into a {thing}",
    "Now {doing} the {thing}", "Send a {thing} to {victim}", "Hide the {thing} in the {thing}",
)
# fmt: on


@dataclass(frozen=True, slots=True)
class Phrase:
    """A phrase to be judged, and whether it harms."""

    text: str
    harmful: bool


def filled(rng: random.Random, frame: str) -> str:
    """Draws a word for each slot of a frame."""
    return re.sub(r"\{(\w+)\}", lambda slot: rng.choice(SLOTS[slot[1]]), frame)


def draw_elsewhere(rng: random.Random) -> str:
    """Draws words of everyday questions: a frame filled, a whole question, or words of several."""
    roll = rng.random()
    if roll < 0.5:
        return filled(rng, rng.choice(EVERYDAY)) + rng.choice(ENDINGS)
    questions = (*ELSEWHERE, *(question for question, _ in vocab.SMALL_TALK))
    if roll < 0.7:
        return rng.choice(questions)
    words = " ".join(rng.choice(questions) for _ in range(3)).split(" ")
    return " ".join(rng.sample(words, min(len(words), rng.randrange(3, 9))))


def draw_phrase(rng: random.Random) -> Phrase:
    """Draws a harmful phrase, one that looks like it, or an everyday question."""
    roll = rng.random()
    if roll >= HARMFUL_SHARE + ALIKE_SHARE:
        return Phrase(draw_elsewhere(rng), harmful=False)
    harmful = roll < HARMFUL_SHARE
    text = filled(rng, rng.choice(HARMFUL if harmful else ALIKE))
    return Phrase(text + rng.choice(ENDINGS), harmful)
