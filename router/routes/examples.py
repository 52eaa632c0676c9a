"""The examples of `auto`: texts by route, or files with one a line."""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from patchbay.core.errors import ConfigError
from patchbay.core.setting_faults import Fault
from patchbay.router.routes.config import RoutesConfig

# The fewest texts by which a task is learnt.
LEAST_TEXTS: Final = 6


def texts_of(route: str, given: Sequence[str] | Path, folder: Path | None) -> Sequence[str]:
    """Returns the examples `given` for `route`; of a file, relative to `folder`, each line that is not empty.

    Raises ConfigError where the file cannot be read.
    """
    if not isinstance(given, Path):
        return given
    path = (folder or Path.cwd()) / given.expanduser()
    try:
        return [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"auto.examples.{route}: cannot read {path}: {error}") from error


def too_few(texts: Sequence[str]) -> str | None:
    """Says that `texts` are too few to learn a task by, and how many it takes; None where they are enough."""
    different = len(set(texts))
    if different >= LEAST_TEXTS:
        return None
    return f"{different} different texts are too few. Give {LEAST_TEXTS} or more"


def example_faults(config: RoutesConfig, folder: Path | None) -> Iterator[Fault]:
    """Yields the examples that nothing can be learnt from. `folder`: what files of examples are relative to."""
    for route, given in config.auto.examples.items() if config.auto is not None else ():
        try:
            words = too_few(texts_of(route, given, folder))
        except ConfigError as error:
            words = str(error).partition(": ")[2]
        if words is not None:
            yield Fault(("auto", "examples", route), words.rstrip("."))
