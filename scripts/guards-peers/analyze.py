"""The spans that Presidio finds in texts, and what that costs: a program for Presidio's own environment.

It reads {"texts": [[text, language], …], "long": [text, …], "rounds": number} on standard input, and prints {"version",
"recognizers", "found": [[[start, end, entity, score], …], …], "seconds": [of all texts, each round], "long_seconds":
[[of the first long text, each round], …]}.
Every recogniser that goes by patterns is on, also those that Presidio leaves off: those without a country in every
language, those of a country in its own. There is no model: spaCy splits texts into words, whose small letters stand
for their lemmas, so that Presidio's context words work. Nothing is fetched.
"""

import inspect
import json
import sys
import time
from importlib.metadata import version

import spacy
import tldextract
from presidio_analyzer import AnalyzerEngine, LocalRecognizer, RecognizerRegistry, predefined_recognizers
from presidio_analyzer.nlp_engine import SpacyNlpEngine
from presidio_analyzer.predefined_recognizers import PhoneRecognizer
from spacy.language import Language

# Those of the languages of our sets; Presidio's own default has neither Spain, Italy nor Portugal.
_REGIONS = ("US", "GB", "DE", "AT", "FR", "ES", "IT", "PT", "BR")
_WITHOUT_COUNTRY = "presidio_analyzer.predefined_recognizers.generic"
_BY_PATTERNS = ("presidio_analyzer.predefined_recognizers.generic", "presidio_analyzer.predefined_recognizers.country_")


@Language.component("small_letters")
def small_letters(doc):
    """Takes a word's small letters for its lemma."""
    for token in doc:
        token.lemma_ = token.lower_
    return doc


class BlankEngine(SpacyNlpEngine):
    """Presidio's engine over spaCy's tokenizers alone."""

    def load(self):
        """Makes a tokenizer for each language, which needs no file."""
        self.nlp = {}
        for model in self.models:
            self.nlp[model["lang_code"]] = spacy.blank(model["lang_code"])
            self.nlp[model["lang_code"]].add_pipe("small_letters")


def recognizers(languages):
    """Yields every recogniser that goes by patterns, for each of its languages."""
    for name, made in inspect.getmembers(predefined_recognizers, inspect.isclass):
        if not issubclass(made, LocalRecognizer) or not made.__module__.startswith(_BY_PATTERNS):
            continue
        if made.__module__.startswith(_WITHOUT_COUNTRY):
            more = {"supported_regions": _REGIONS} if made is PhoneRecognizer else {}
            yield from (made(supported_language=language, name=f"{name} {language}", **more) for language in languages)
        elif (found := made()).supported_language in languages:
            yield found


def timed(analyzer, text):
    """Returns the seconds that a text takes."""
    begun = time.process_time()
    analyzer.analyze(text, "en")
    return time.process_time() - begun


def main():
    """Runs the program."""
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    asked = json.load(sys.stdin)
    languages = sorted({language for _, language in asked["texts"]} | {"en"})
    engine = BlankEngine(models=[{"lang_code": language, "model_name": "blank"} for language in languages])
    engine.load()
    registry = RecognizerRegistry(list(recognizers(languages)), supported_languages=languages)
    analyzer = AnalyzerEngine(registry=registry, nlp_engine=engine, supported_languages=languages)
    found, seconds = [], []
    for _ in range(asked["rounds"]):
        begun = time.process_time()
        found = [analyzer.analyze(text, language) for text, language in asked["texts"]]
        seconds.append(time.process_time() - begun)
    long_seconds = [[timed(analyzer, text) for _ in range(asked["rounds"])] for text in asked["long"]]
    spans = [[[one.start, one.end, one.entity_type, one.score] for one in of_text] for of_text in found]
    answer = {"version": version("presidio-analyzer"), "recognizers": len(registry.recognizers), "found": spans}
    json.dump(answer | {"seconds": seconds, "long_seconds": long_seconds}, sys.stdout)


if __name__ == "__main__":
    main()
