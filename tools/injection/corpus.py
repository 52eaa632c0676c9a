"""Documents of this machine, which are harmless texts to train on and to measure with. None of them is kept.

They are the files of the installed packages, manual pages, other documentation, catalogs of translations, and this
repository's own documents. A document has a source, such as a package: sources are held out as a whole.
"""

import gettext
import gzip
import re
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal

ROOT: Final = Path(__file__).parents[2]
_SHARE: Final = Path("/usr/share")
_ENDINGS: Final = frozenset(
    ["", ".py", ".pyi", ".h", ".js", ".json", ".html", ".toml", ".yaml", ".yml", ".cfg", ".md", ".rst", ".txt"]
)
# Files of one source, and characters of one file, that are read.
_FILES, _LONGEST = 60, 60_000
# A source is held out to test where its digest falls below the first, of 256, and to choose thresholds by where it
# falls below the second.
_TEST, _CHOICE = 32, 56
Part = Literal["train", "choose", "test"]
_ROFF: Final = re.compile(r"^[.'].*\n?|\\f.|\\[&|%:]|\\\([a-z]{2}|\\-", re.MULTILINE)
_LANGUAGES: Final = frozenset("de fr es it pt pt_BR nl pl ru tr zh_CN zh_TW ja ko ar hi uk cs sv".split())  # noqa: SIM905


@dataclass(frozen=True, slots=True)
class Document:
    """A harmless document. `source`: the package, section or language that it is of; `kind`: its kind, for tables."""

    source: str
    kind: str
    path: Path

    @property
    def part(self) -> Part:
        """The use of its source: training, the choice of thresholds, or the test. Our own documents are trained on."""
        if self.kind == "own":
            return "train"
        digest = sha256(self.source.encode()).digest()[0]
        return "test" if digest < _TEST else "choose" if digest < _CHOICE else "train"

    def text(self) -> str:
        """Reads it, the first 60,000 characters. Returns nothing where it cannot be read as text."""
        try:
            return _read(self.path)[:_LONGEST]
        except (OSError, UnicodeError, EOFError):
            return ""


def documents() -> list[Document]:
    """Returns the documents of this machine, always in the same order."""
    found = [*_packages(), *_manuals(), *_documentation(), *_catalogs(), *_own()]
    by_source: dict[str, list[Document]] = {}
    for document in found:
        by_source.setdefault(document.source, []).append(document)
    return [one for source in sorted(by_source) for one in _some(by_source[source])]


def _some(found: Sequence[Document]) -> Sequence[Document]:
    return sorted(found, key=lambda one: sha256(one.path.name.encode() + str(one.path.parent.name).encode()).digest())[
        :_FILES
    ]


def _packages() -> Iterator[Document]:
    folder = Path(sysconfig.get_paths()["purelib"])
    for package in sorted(folder.iterdir()):
        source = f"package {package.name.split('-')[0].lower()}"
        for path in sorted(package.rglob("*")) if package.is_dir() else [package]:
            if path.suffix in _ENDINGS and path.is_file() and "__pycache__" not in path.parts:
                yield Document(source, _kind(path), path)


def _kind(path: Path) -> str:
    if path.name.upper().startswith(("LICENSE", "LICENCE", "COPYING", "NOTICE")):
        return "licence"
    return (
        "code"
        if path.suffix in {".py", ".pyi", ".h", ".js", ".json", ".toml", ".yaml", ".yml", ".cfg", ".html"}
        else "documentation"
    )


def _manuals() -> Iterator[Document]:
    for path in sorted((_SHARE / "man").rglob("*.gz")):
        relative = path.relative_to(_SHARE / "man")
        yield Document(f"manual {relative.parts[0]} {path.name[:2]}", "manual", path)


def _documentation() -> Iterator[Document]:
    for path in sorted((_SHARE / "doc").rglob("*")):
        if path.suffix in {".gz", "", ".txt", ".md", ".html"} and path.is_file() and not path.is_symlink():
            kind = "licence" if path.name == "copyright" else "documentation"
            yield Document(f"doc {path.relative_to(_SHARE / 'doc').parts[0]}", kind, path)


def _catalogs() -> Iterator[Document]:
    for path in sorted((_SHARE / "locale").glob("*/LC_MESSAGES/*.mo")):
        if path.parts[-3] in _LANGUAGES:
            yield Document(f"catalog {path.parts[-3]} {path.stem[:2]}", "catalog", path)


def _own() -> Iterator[Document]:
    for path in sorted(
        [
            *ROOT.glob("*.md"),
            *(ROOT / "docs").rglob("*.md"),
            *(ROOT / "router").rglob("*.py"),
            *(ROOT / "deploy").rglob("*.yaml"),
        ]
    ):
        yield Document(f"own {path.name}", "own", path)


def _read(path: Path) -> str:
    if path.suffix == ".mo":
        with path.open("rb") as file:
            known = gettext.GNUTranslations(file)._catalog  # type: ignore[attr-defined]  # noqa: SLF001
        return "\n".join(text for key, text in known.items() if key and isinstance(text, str))
    data = path.read_bytes()
    text = (gzip.decompress(data) if path.suffix == ".gz" else data).decode("utf-8")
    return _ROFF.sub("", text) if "man" in path.parts else text
