"""The swap test: it swaps an adapter's revision again and again under load, and rolls it back.

Its command is `python -m loadtests.swaps --help`. Every request's answer is compared with what exactly the revision
that its headers name must say; a stream on another adapter is watched for gaps, with and without swaps.
"""

import io
import itertools
import json
import statistics
import tarfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from loadtests.loopback import check_loopback
from patchbay.core.admin_token import admin_headers
from patchbay.core.errors import PatchbayError
from patchbay.core.exit_codes import fail

NAME = "swapped"
PROMPT = "Give me the numbers of all orders in Berlin"
_ANSWER_TOKENS = 48
_STREAM_TOKENS = 400
_PROMOTION_S = 60.0
# A router sends heartbeats on streams that are silent, so that no read of theirs times out: an answer has a limit of
# its own.
_ANSWER_S = 60.0


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of revision that takes turns with the others.

    `like`: an adapter with the same weights that is served already, whose answer is the one to expect.
    """

    folder: Path
    like: str


@dataclass(slots=True)
class Seen:
    """The observations of the load.

    `mixed`: answers that are not exactly the named revision's; `gaps_s`: between the chunks of the watched stream,
    while swapping (`True`) and not.
    """

    answered: int = 0
    failures: list[str] = field(default_factory=list)
    mixed: list[str] = field(default_factory=list)
    revisions: set[str] = field(default_factory=set)
    gaps_s: dict[bool, list[float]] = field(default_factory=lambda: {True: [], False: []})


@dataclass(frozen=True, slots=True)
class Report:
    """The result of a run. Gaps are in milliseconds, `swap_s` and `rollback_s` in seconds, each the longest of all."""

    swaps: int
    answered: int
    failed: int
    mixed: int
    revisions: int
    swap_s: float
    rollbacks: int
    rollback_s: float
    gap_median_ms: float
    gap_p99_ms: float
    gap_max_ms: float
    quiet_gap_p99_ms: float
    quiet_gap_max_ms: float
    examples: tuple[str, ...]


class Swaps:
    """Runs the swaps. `urls`: of all routers, the first takes the load; `admin`: a client of an admin port."""

    def __init__(self, urls: Sequence[str], admin: httpx.Client, kinds: Sequence[Kind], *, watched: str) -> None:
        self._urls = urls
        self._admin = admin
        self._kinds = kinds
        self._watched = watched
        # Made once: a client of httpx costs more than many of its requests.
        self._lookers = {url: httpx.Client(base_url=url, timeout=10) for url in urls}
        self._client = httpx.Client(timeout=60)
        self._numbers = itertools.count()
        self._kind_of: dict[str, int] = {}
        self._expected: list[str] = []
        self._seen = Seen()
        self._stop = threading.Event()
        self._swapping = False

    def run(self, *, swaps: int, every_s: float, rollbacks: int, clients: int = 4) -> Report:
        """Swaps `swaps` times, `every_s` seconds apart, under `clients` clients' load, then rolls back `rollbacks`
        times.

        Raises PatchbayError where a swap is refused or does not come to pass.
        """
        self._expected = [self._ask(self._urls[0], kind.like)[0] for kind in self._kinds]
        if len(set(self._expected)) < len(self._kinds):
            raise PatchbayError("The kinds of revision answer alike, so nothing could tell them apart.")
        self._swap()
        with self._load(clients):
            time.sleep(min(20.0, swaps * every_s))
            self._swapping = True
            swap_s = [self._paced(self._swap, every_s) for _ in range(swaps)]
            self._swapping = False
            rollback_s = [self._paced(self._roll_back_and_forth, every_s) for _ in range(rollbacks)]
        return self._report(swap_s, rollback_s)

    def _swap(self) -> float:
        """Pushes the next revision and promotes it; seconds from the wish until every router goes by it."""
        index = next(self._numbers)
        kind = index % len(self._kinds)
        archive = archive_of(self._kinds[kind].folder, note=f"{time.time_ns()}")
        pushed = self._post(f"{NAME}/upload", content=archive, headers={"content-type": "application/gzip"})
        number = pushed["revision"]["number"]
        self._kind_of[f"{NAME}@{number}"] = kind
        return self._until_live(lambda: self._post(f"{NAME}/promote", json={"revision": number}), f"{NAME}@{number}")

    def _roll_back_and_forth(self) -> float:
        """Rolls back, and promotes again what was rolled back from; seconds until every router had rolled back."""
        now = self._detail()["adapter"]["channels"]["stable"]
        before, current = now["previous"], now["number"]
        taken = self._until_live(lambda: self._post(f"{NAME}/rollback", json={}), f"{NAME}@{before}")
        self._until_live(lambda: self._post(f"{NAME}/promote", json={"revision": current}), f"{NAME}@{current}")
        return taken

    def _until_live(self, change: Callable[[], Any], revision: str) -> float:
        started = time.monotonic()
        change()
        waiting = list(self._urls)
        while waiting:
            waiting = [url for url in waiting if self._meaning(url) != revision]
            if time.monotonic() - started > _PROMOTION_S:
                raise PatchbayError(
                    f"{revision} is not live on {', '.join(waiting)}: {json.dumps(self._detail())[:2000]}"
                )
            time.sleep(0.01)
        return time.monotonic() - started

    @staticmethod
    def _paced(work: Callable[[], float], every_s: float) -> float:
        started = time.monotonic()
        taken = work()
        time.sleep(max(0.0, every_s - (time.monotonic() - started)))
        return taken

    def _meaning(self, url: str) -> str | None:
        """Returns the revision that the adapter's name means at the router at `url`."""
        answer = self._lookers[url].get(f"/v1/models/{NAME}")
        return str(answer.json()["root"]) if answer.status_code == 200 else None

    def _detail(self) -> dict[str, Any]:
        found: dict[str, Any] = self._admin.get(f"/admin/v1/adapters/{NAME}").raise_for_status().json()
        return found

    def _post(self, path: str, **request: Any) -> dict[str, Any]:
        answer = self._admin.post(f"/admin/v1/adapters/{path}", **request)
        if answer.status_code >= 300:
            raise PatchbayError(f"{path}: {answer.status_code} {answer.text[:500]}")
        document: dict[str, Any] = answer.json()
        return document

    @contextmanager
    def _load(self, clients: int) -> Iterator[None]:
        threads = [threading.Thread(target=self._keep_asking, args=(index,)) for index in range(clients)]
        threads.append(threading.Thread(target=self._keep_watching))
        for thread in threads:
            thread.start()
        try:
            yield
        finally:
            self._stop.set()
            for thread in threads:
                thread.join()

    def _keep_asking(self, index: int) -> None:
        with httpx.Client(timeout=60) as client:
            for turn in itertools.count(index):
                if self._stop.is_set():
                    return
                try:
                    text, revision = self._ask(self._urls[0], NAME, client=client, stream=turn % 2 == 0)
                except (PatchbayError, httpx.HTTPError, ValueError, KeyError) as error:
                    self._seen.failures.append(f"{type(error).__name__}: {error}")
                else:
                    self._note(text, revision)

    def _note(self, text: str, revision: str) -> None:
        seen = self._seen
        seen.answered += 1
        seen.revisions.add(revision)
        kind = self._kind_of.get(revision)
        if kind is None or text != self._expected[kind]:
            seen.mixed.append(f"{revision} answered {text!r}")

    def _ask(
        self, url: str, model: str, *, client: httpx.Client | None = None, stream: bool = False
    ) -> tuple[str, str]:
        """The answer, and the revision that gave it by its headers. Raises PatchbayError where it is an error, or where
        a chunk of it names another revision than the first."""
        body = _request(model, _ANSWER_TOKENS, stream=stream)
        with (client or self._client).stream("POST", f"{url}/v1/chat/completions", json=body) as answer:
            raw = b"".join(_reads(answer)).decode()
            if answer.status_code != 200:
                raise PatchbayError(f"{answer.status_code} {raw[:300]}")
            revision = answer.headers.get("x-patchbay-adapter", "")
        return _text(raw, stream=stream), revision

    def _keep_watching(self) -> None:
        while not self._stop.is_set():
            try:
                self._watch_once()
            except (httpx.HTTPError, PatchbayError) as error:
                self._seen.failures.append(f"the watched stream: {error}")

    def _watch_once(self) -> None:
        body = _request(self._watched, _STREAM_TOKENS, stream=True) | {"min_tokens": _STREAM_TOKENS, "ignore_eos": True}
        with self._client.stream("POST", f"{self._urls[0]}/v1/chat/completions", json=body) as answer:
            if answer.status_code != 200:
                raise PatchbayError(f"{answer.status_code} {answer.read()[:300]!r}")
            last = None
            # By reads and not by lines: what comes in one read has waited for nothing between.
            for read in _reads(answer):
                if b'"content"' not in read:
                    continue
                now = time.monotonic()
                if last is not None:
                    self._seen.gaps_s[self._swapping].append(now - last)
                last = now
                if self._stop.is_set():
                    return

    def _report(self, swap_s: list[float], rollback_s: list[float]) -> Report:
        seen, gaps, quiet = self._seen, self._seen.gaps_s[True], self._seen.gaps_s[False]
        return Report(
            swaps=len(swap_s),
            answered=seen.answered,
            failed=len(seen.failures),
            mixed=len(seen.mixed),
            revisions=len(seen.revisions),
            swap_s=max(swap_s),
            rollbacks=len(rollback_s),
            rollback_s=max(rollback_s, default=0.0),
            gap_median_ms=1000 * statistics.median(gaps),
            gap_p99_ms=1000 * _quantile(gaps, 0.99),
            gap_max_ms=1000 * max(gaps),
            quiet_gap_p99_ms=1000 * _quantile(quiet, 0.99),
            quiet_gap_max_ms=1000 * max(quiet, default=0.0),
            examples=tuple((seen.failures + seen.mixed)[:5]),
        )


def _reads(answer: httpx.Response) -> Iterator[bytes]:
    """Yields what is read of an answer. Raises PatchbayError, with the end of what came, where it takes too long."""
    last, until = b"", time.monotonic() + _ANSWER_S
    for read in answer.iter_raw():
        yield read
        last = (last + read)[-300:]
        if time.monotonic() > until:
            request_id = answer.headers.get("x-request-id")
            raise PatchbayError(f"no end within {_ANSWER_S:g} s of request {request_id}, which ends with {last!r}")


def _request(model: str, tokens: int, *, stream: bool) -> dict[str, Any]:
    messages = [{"role": "user", "content": PROMPT}]
    return {"model": model, "messages": messages, "max_tokens": tokens, "temperature": 0, "stream": stream}


def _text(raw: str, *, stream: bool) -> str:
    if not stream:
        return str(json.loads(raw)["choices"][0]["message"]["content"])
    events = [line.removeprefix("data: ") for line in raw.splitlines() if line.startswith("data: ")]
    if events[-1:] != ["[DONE]"]:
        raise PatchbayError(f"a stream ended early: {raw[-300:]}")
    chunks = [json.loads(event) for event in events[:-1]]
    if len({chunk["model"] for chunk in chunks}) != 1:
        raise PatchbayError("a stream's chunks name more than one revision")
    return "".join(choice["delta"].get("content") or "" for chunk in chunks for choice in chunk["choices"])


def archive_of(folder: Path, *, note: str) -> bytes:
    """Packs the adapter in `folder` as a .tar.gz, with a README that makes its bytes unlike any other revision's."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as archive:
        for path in sorted(folder.iterdir()):
            archive.add(path, arcname=path.name)
        member = tarfile.TarInfo("README.md")
        member.size = len(note)
        archive.addfile(member, io.BytesIO(note.encode()))
    return buffer.getvalue()


def _quantile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


def run(
    url: Annotated[list[str] | None, typer.Option(help="A router; may be given several times.")] = None,
    admin_url: Annotated[str, typer.Option(help="A router's admin port.")] = "http://127.0.0.1:8081",
    swaps: Annotated[int, typer.Option(min=1, max=1000)] = 50,
    every: Annotated[float, typer.Option(min=0, help="Seconds from one swap to the next.")] = 2.0,
    rollbacks: Annotated[int, typer.Option(min=0, max=100)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Swaps under load against a running demo, prints what was seen, and fails where an answer failed or was mixed.

    Example: python -m loadtests.swaps --swaps 50 --every 2
    """
    from patchbay.tuning.demo.build import ARTIFACTS

    urls = url or ["http://127.0.0.1:8080"]
    for address in (*urls, admin_url):
        check_loopback(address)
    kinds = [Kind(ARTIFACTS / "adapters" / name, name) for name in ("sql", "json")]
    with httpx.Client(base_url=admin_url, timeout=60, headers=admin_headers()) as admin:
        report = Swaps(urls, admin, kinds, watched="style").run(swaps=swaps, every_s=every, rollbacks=rollbacks)
    typer.echo(json.dumps(asdict(report)) if as_json else _table(report))
    raise typer.Exit(1 if report.failed or report.mixed else 0)


def _table(report: Report) -> str:
    rows = [(key, value) for key, value in asdict(report).items() if key != "examples"]
    lines = [
        f"{key:<18} {value:>10.3f}" if isinstance(value, float) else f"{key:<18} {value:>10}" for key, value in rows
    ]
    return "\n".join((*lines, *(f"  {example}" for example in report.examples)))


if __name__ == "__main__":
    try:
        typer.run(run)
    except PatchbayError as error:
        raise SystemExit(fail(error)) from error
