"""The explicit rules of `auto`. Pure."""

from collections.abc import Callable, Iterator

from patchbay.router.routes.config import RuleConfig
from patchbay.router.routes.facts import RequestFacts
from patchbay.router.routes.pattern import compiled_pattern, whole


class RouteRule:
    """One rule, compiled. `language_of`: returns the ISO 639-1 code of a text's language."""

    def __init__(self, config: RuleConfig, language_of: Callable[[str], str]) -> None:
        self.route = config.route
        self._config = config
        self._pattern = compiled_pattern(config.pattern) if config.pattern is not None else None
        self._language_of = language_of

    def why(self, facts: RequestFacts) -> str | None:
        """Returns the conditions as text where all of them hold, None otherwise."""
        held: list[str] = []
        for condition, holds in self._conditions(facts):
            if not holds:
                return None
            held.append(condition)
        return ", ".join(held)

    def _conditions(self, facts: RequestFacts) -> Iterator[tuple[str, bool]]:
        """Yields conditions, and whether they hold, the cheap ones first: each is only evaluated where those before it
        hold."""
        config = self._config
        for name, value in config.header.items():
            yield f"header {name} is {value}", facts.headers.get(name.lower()) == value
        for name, value in config.metadata.items():
            yield f"metadata {name} is {value}", facts.metadata.get(name) == value
        if config.tools is not None:
            yield "there are tools" if config.tools else "there are no tools", facts.tools == config.tools
        if config.shorter_than is not None:
            yield f"shorter than {config.shorter_than}", len(facts.text) < config.shorter_than
        if config.longer_than is not None:
            yield f"longer than {config.longer_than}", len(facts.text) > config.longer_than
        if self._pattern is not None:
            yield f"pattern {config.pattern}", self._pattern.search(whole(facts.text)) is not None
        if config.language:
            found = self._language_of(facts.text)
            yield f"language {found}", found in config.language
