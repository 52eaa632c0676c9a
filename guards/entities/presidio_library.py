"""Presidio's analyzer as a library in this process, with spaCy's models.

Source: https://microsoft.github.io/presidio/api/analyzer_python/ (AnalyzerEngine, NlpEngineProvider).
"""

import threading
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from patchbay.core.distribution import EXTRAS, install_command
from patchbay.core.setting_faults import Fault
from patchbay.guards.entities.config import EntitiesGuard, InProcess
from patchbay.guards.entities.finder import FinderFailed, FoundEntity, checked

_MODULE = "presidio_analyzer"


def library_faults(library: InProcess) -> Iterator[Fault]:
    """Yields what is not installed: Presidio's analyzer, with the one command that installs it, and models."""
    if find_spec(_MODULE) is None:
        words = f"Presidio's analyzer is not installed here: {install_command(EXTRAS[_MODULE])}"
        yield Fault(("in_process",), words)
        return
    for language, model in library.models.items():
        if not _is_here(model):
            words = f"spaCy's model '{model}' is not installed here: install its package, or name the folder it is in"
            yield Fault(("in_process", "models", language), words)


def _is_here(model: str) -> bool:
    """Whether a model can be loaded without being fetched."""
    return Path(model).is_dir() or (model.isidentifier() and find_spec(model) is not None)


class PresidioLibrary:
    """An `EntityFinder` with Presidio's analyzer in this process. Its models are loaded once, before the first text."""

    def __init__(self, config: EntitiesGuard, library: InProcess) -> None:
        self._config = config
        self._models = library.models
        self._analyzer: Any = None
        self._loading = threading.Lock()

    def prepare(self) -> None:
        """Loads the models; see `EntityFinder`."""
        with self._loading:
            if self._analyzer is None:
                self._analyzer = self._loaded()

    def find(self, text: str, language: str) -> Sequence[FoundEntity]:
        """Returns what is found in `text`; see `EntityFinder`."""
        config = self._config
        try:
            results = self._analyzer.analyze(
                text=text, language=language, entities=sorted(config.kinds), score_threshold=config.min_score
            )
            found = [(one.start, one.end, str(one.entity_type), float(one.score)) for one in results]
        # The library and its models may raise anything.
        except Exception as error:
            raise FinderFailed(f"Presidio's analyzer failed: {type(error).__name__}.") from error
        return checked(found, text)

    def _loaded(self) -> Any:
        # Presidio fetches a model that is not here.
        for model in self._models.values():
            if not _is_here(model):
                raise FinderFailed(f"spaCy's model '{model}' is not installed here.")
        try:
            from presidio_analyzer import AnalyzerEngine
            from presidio_analyzer.nlp_engine import NlpEngineProvider

            models = [{"lang_code": language, "model_name": name} for language, name in self._models.items()]
            engine = NlpEngineProvider(nlp_configuration={"nlp_engine_name": "spacy", "models": models})
            return AnalyzerEngine(nlp_engine=engine.create_engine(), supported_languages=list(self._models))
        except Exception as error:
            raise FinderFailed(f"Presidio's analyzer cannot be loaded: {type(error).__name__}.") from error
