"""Presidio's own analyzer, asked by a guard: over HTTP from a router, and as a library in Presidio's environment.

Its models are small ones that `make presidio` trains on templates; none of the names here is in them. Without that
environment these tests are left out.
"""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from patchbay.guards.entities.config import EntitiesGuard
from patchbay.guards.entities.finder import FinderFailed
from patchbay.guards.entities.presidio_service import PresidioService
from tests.fakes.engine import FakeEngine, Script, revision
from tests.fakes.routers import running_router
from tests.integration.router.test_judges import said
from tests.integration.router.wire import ask, content, post

ROOT = Path(__file__).resolve().parents[3]
PYTHON = ROOT / "build/peers/presidio/bin/python"
MODELS = ROOT / "build/peers/presidio/models"
WORDS = ("It was ", "found by ", "Ada Love", "lace. She ", "was born ", "in London. ", "Nothing was ", "said.")
WHOLE = "".join(WORDS)
pytestmark = [
    pytest.mark.anyio,
    pytest.mark.skipif(not (MODELS / "en").is_dir(), reason="`make presidio` has not made Presidio's environment"),
]


@pytest.fixture(scope="module")
def presidio() -> Iterator[str]:
    """The address of Presidio's analyzer."""
    command = [str(PYTHON), str(ROOT / "scripts/guards-peers/serve.py"), str(MODELS)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        process.stdin.close()


def guard(url: str, **fields: Any) -> dict[str, Any]:
    # A first question may find its recognisers cold.
    return {"kind": "entities", "url": url, "deadline_s": 20, **fields}


def found(url: str, text: str, language: str = "en", **fields: Any) -> list[tuple[str, str]]:
    service = PresidioService(EntitiesGuard.model_validate(guard(url, **fields)))
    return sorted((text[one.start : one.end], one.kind) for one in service.find(text, language))


def test_its_places_are_code_points_as_ours_are(presidio: str) -> None:
    text = "It was found in the garden \U0001f600\U00010348. It was found by Ada Lovelace in London."
    # The small model takes what it has never seen for a person, too.
    assert {("Ada Lovelace", "PERSON"), ("London", "LOCATION")} <= set(
        found(presidio, text, kinds=["PERSON", "LOCATION"])
    )
    assert found(presidio, text, kinds=["LOCATION"]) == [("London", "LOCATION")]
    assert found(presidio, "Nobody was there.") == []


def test_each_language_has_its_model_and_one_without_is_no_answer(presidio: str) -> None:
    assert ("Karl Lagerfeld", "PERSON") in found(presidio, "Es wurde von Karl Lagerfeld gefunden.", "de")
    with pytest.raises(FinderFailed, match="It answers 500"):
        found(presidio, "Ce fut Ada Lovelace.", "fr")


def test_a_text_that_only_has_what_a_pattern_finds_is_found_too(presidio: str) -> None:
    text = "Mail jane@example.org now."
    assert found(presidio, text, kinds=["EMAIL_ADDRESS"]) == [("jane@example.org", "EMAIL_ADDRESS")]


@pytest.mark.parametrize("stream", [False, True])
async def test_an_answer_comes_out_the_same_streamed_or_not(presidio: str, stream: bool) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    fake.script = Script(words=WORDS)
    guards = {"people": guard(presidio, kinds={"PERSON": "redact", "LOCATION": "flag"}, on=["output"])}
    async with running_router(fake, routes={"r": {"model": "sql", "guards": ["people"]}}, guards=guards) as router:
        answer = await post(router, ask("r", stream=stream))
        metrics = router.metrics.render().decode()
    assert (said(answer.text) if stream else content(answer)) == WHOLE.replace("Ada Lovelace", "[PERSON]")
    assert 'action="flag",guard="people",kind="LOCATION",side="output"} 1.0' in metrics


async def test_a_name_in_a_prompt_never_reaches_the_engine(presidio: str) -> None:
    fake = FakeEngine("replica-0", revisions=(revision("sql"),))
    guards = {"people": guard(presidio, languages=["en", "de"], on=["input"], action="mask")}
    messages = [
        {"role": "user", "content": "Please write to Ada Lovelace, who was born in London."},
        {"role": "user", "content": "Gestern wurde es im Garten von Karl Lagerfeld gefunden."},
    ]
    async with running_router(fake, routes={"r": {"model": "sql", "guards": ["people"]}}, guards=guards) as router:
        await post(router, ask("r", messages=messages))
    sent = json.dumps(fake.seen[0].json)
    assert "Lovelace" not in sent
    assert "Lagerfeld" not in sent
    assert sent.count("[PERSON_") >= 2


def test_as_a_library_it_finds_the_same() -> None:
    program = (
        "from patchbay.guards.entities.config import EntitiesGuard, InProcess\n"
        "from patchbay.guards.entities.presidio_library import PresidioLibrary, library_faults\n"
        "import sys\n"
        "library = InProcess(models={'en': sys.argv[1]})\n"
        "assert not list(library_faults(library))\n"
        "assert [one.keys for one in library_faults(InProcess(models={'en': 'en_core_web_sm'}))]\n"
        "guard = EntitiesGuard(kind='entities', in_process=library)\n"
        "finder = PresidioLibrary(guard, library)\n"
        "finder.prepare()\n"
        "print([tuple(one) for one in finder.find('It was found by Ada Lovelace.', 'en')])\n"
    )
    environment = {"PYTHONPATH": str(ROOT / "src"), "PATH": ""}
    command = [str(PYTHON), "-c", program, str(MODELS / "en")]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[(16, 28, 'PERSON', 0.85)]"
