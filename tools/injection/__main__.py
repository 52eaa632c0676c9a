"""The command of the injection detector's model: `python -m tools.injection train`, `evaluate` or `styles`.

`train` makes the weights and their recipe anew, in some ten minutes of two cores: from the templates of this folder and
from the documents of this machine, so that another machine makes somewhat other ones. `evaluate` measures the weights
of the package; `styles` trains without one style of attacks at a time, on fewer documents, and measures on that style.
"""

import argparse
import json
import platform
import random
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from importlib.metadata import version
from itertools import chain

from patchbay.guards.config import InjectionGuard
from patchbay.guards.injection.classifier import InjectionClassifier
from patchbay.guards.injection.model import FILE, RECIPE, decoded_model, encoded_model
from tools.injection.corpus import ROOT, Document, documents
from tools.injection.evaluation import Share
from tools.injection.prompts import prompts
from tools.injection.samples import Sample, held_out, templates_digest, training
from tools.injection.training import SEED, calibrated, train

_FOLDER = ROOT / "guards" / "injection"
_PROMPTS = 3000
_FEW_DOCUMENTS = 1500


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(prog="python -m tools.injection", description=__doc__)
    parser.add_argument("what", choices=("train", "evaluate", "styles"))
    {"train": _train, "evaluate": _evaluate, "styles": _styles}[parser.parse_args().what]()


def _train() -> None:
    everything, samples = documents(), training()
    of_part = [document for document in everything if document.part == "train"]
    # By the weights as they are kept.
    kept = decoded_model(encoded_model(train(samples, of_part)))
    model = calibrated(kept, [document for document in everything if document.part == "choose"])
    data = encoded_model(model)
    (_FOLDER / FILE).write_bytes(data)
    (_FOLDER / RECIPE).write_text(json.dumps(recipe(data, samples, of_part), indent=2) + "\n", encoding="utf-8")


def recipe(data: bytes, samples: Sequence[Sample], of_part: Sequence[Document]) -> Mapping[str, object]:
    """Returns what a model was made from, and by what. `data`: the model's file."""
    kinds = sorted({document.kind for document in of_part})
    paths = "\n".join(f"{document.source}/{document.path.name}" for document in of_part)
    return {
        "sha256": sha256(data).hexdigest(),
        "command": "python -m tools.injection train",
        "seed": SEED,
        "templates": templates_digest(),
        "attacks": sum(one.attack for one in samples),
        "harmless": sum(not one.attack for one in samples),
        "documents": {kind: sum(document.kind == kind for document in of_part) for kind in kinds},
        "document_paths": sha256(paths.encode()).hexdigest(),
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "scipy", "scikit-learn")},
    }


def _evaluate() -> None:
    classifier, guard = InjectionClassifier(), InjectionGuard(kind="injection")
    user, other = guard.threshold, guard.document_threshold
    for family, texts in _attack_texts().items():
        _tell(f"{family}, at {user}", _share(classifier, texts, user))
        _tell(f"{family}, as documents, at {other}", _share_of_documents(classifier, texts, other))
    by_kind: dict[str, list[str]] = {}
    for document in documents():
        if document.part == "test" and len(text := document.text()) > 100:
            by_kind.setdefault(document.kind, []).append(text)
    everything = [text for texts in by_kind.values() for text in texts]
    asked = list(prompts(everything, _PROMPTS, random.Random(SEED)))  # noqa: S311
    _tell(f"prompts cut from documents, at {user}", _share(classifier, asked, user))
    for kind, texts in sorted(by_kind.items()):
        _tell(f"{kind}, at {other}", _share_of_documents(classifier, texts, other))
    _tell(f"all documents, at {other}", _share_of_documents(classifier, everything, other))


def _attack_texts() -> Mapping[str, Sequence[str]]:
    """Returns the texts of `tests/redteam` and of the held-out templates, by family."""
    by_family: dict[str, list[str]] = {}
    for family, text in chain(_redteam(), ((f"held-out {one.family}", one.text) for one in held_out())):
        by_family.setdefault(family, []).append(text)
    return by_family


def _redteam() -> Iterator[tuple[str, str]]:
    for file in sorted((ROOT / "tests" / "redteam" / "cases").glob("*.jsonl")):
        for line in file.read_text(encoding="utf-8").split("\n"):
            if line:
                case = json.loads(line)
                yield f"{file.stem} {case['family']}", case["text"]


def _styles() -> None:
    samples = training()
    of_part = [document for document in documents() if document.part == "train"]
    few = random.Random(SEED).sample(of_part, _FEW_DOCUMENTS)  # noqa: S311
    for style in sorted({_style(one) for one in samples if one.attack}):
        kept = [one for one in samples if not one.attack or _style(one) != style]
        classifier = InjectionClassifier(train(kept, few, rounds=1))
        _tell(
            f"without {style}",
            _share(classifier, [one.text for one in samples if one.attack and _style(one) == style], 0.5),
        )


def _style(sample: Sample) -> str:
    return sample.family.split()[0]


def _share(classifier: InjectionClassifier, texts: Iterable[str], threshold: float) -> Share:
    listed = list(texts)
    return Share(taken=sum(classifier.judge(text).score >= threshold for text in listed), total=len(listed))


def _share_of_documents(classifier: InjectionClassifier, texts: Iterable[str], threshold: float) -> Share:
    listed = list(texts)
    return Share(taken=sum(classifier.judge(text).document_score >= threshold for text in listed), total=len(listed))


def _tell(what: str, share: Share) -> None:
    low, high = share.interval
    sys.stdout.write(f"{what}: {share.taken} of {share.total}, {share.share:.3f} ({low:.3f} to {high:.3f})\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
