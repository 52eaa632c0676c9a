"""The sender of one request, which watches its answer on a connection of its own.

Written with plain blocking sockets: in the worker's process Locust has made them, and threads, gevent's.
"""

import http.client
import json
import time
from typing import Any
from urllib.parse import urlsplit

from loadtests.load.records import TIMEOUT, Job, Outcome, Planned, Record

_READ = 65_536
_REFUSED = 429


class Watch:
    """The state of an answer so far. Times are the monotonic clock's."""

    def __init__(self) -> None:
        self.first: float | None = None
        self.last: float | None = None
        self.gap_s = 0.0
        self.text = ""
        self.id = ""
        self.done = False
        self.error = ""
        self._chunks = 0
        self._used: int | None = None

    @property
    def tokens(self) -> int:
        """By the answer's usage, else by its chunks with text."""
        return self._chunks if self._used is None else self._used

    def event(self, event: bytes, now: float) -> None:
        """An event of a stream, seen at `now`."""
        data = b"".join(line[5:].strip() for line in event.split(b"\n") if line.startswith(b"data:"))
        if data == b"[DONE]":
            self.done = True
            return
        if not data:
            return
        message = json.loads(data)
        if "error" in message:
            self.error = _error_kind(message)
            return
        self.id = message.get("id") or self.id
        self._used = (message.get("usage") or {}).get("completion_tokens", self._used)
        text = "".join((choice.get("delta") or {}).get("content") or "" for choice in message.get("choices", ()))
        if text:
            self._token(text, now)

    def whole(self, body: bytes) -> None:
        """An answer that is not streamed."""
        message = json.loads(body)
        self.id = message.get("id", "")
        self.text = message["choices"][0]["message"].get("content") or ""
        self._used = (message.get("usage") or {}).get("completion_tokens", 0)
        self.done = True

    def _token(self, text: str, now: float) -> None:
        self._chunks += 1
        self.text += text
        if self.first is None:
            self.first = now
        if self.last is not None:
            self.gap_s = max(self.gap_s, now - self.last)
        self.last = now


class Sender:
    """Sends a job's requests. `began`: the monotonic clock's time from which all times are counted."""

    def __init__(self, job: Job, began: float) -> None:
        where = urlsplit(job.url)
        self._host = where.hostname or ""
        self._port = where.port or 80
        self._keys = job.keys
        self._timeout_s = job.timeout_s
        self._began = began

    def send(self, planned: Planned) -> Record:
        """Sends one, and says what came of it; it raises nothing that a server can bring about."""
        sent, watch = time.monotonic(), Watch()
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        status, revision = 0, ""
        try:
            connection.request("POST", "/v1/chat/completions", json.dumps(planned.body), self._headers(planned))
            answer = connection.getresponse()
            status, revision = answer.status, answer.headers.get("x-patchbay-adapter") or ""
            outcome, kind = self._read(planned, answer, watch, sent + self._timeout_s)
        except TimeoutError:
            outcome, kind = "failed", TIMEOUT
        except (OSError, http.client.HTTPException, ValueError, KeyError, IndexError, TypeError) as error:
            outcome, kind = "failed", f"broken: {type(error).__name__}"
        finally:
            connection.close()
        ended = time.monotonic()
        right = self._judge(planned, watch) if outcome == "answered" else None
        first_s = None if watch.first is None else watch.first - self._began
        times = (sent - self._began, first_s, ended - self._began)
        return Record(planned.number, *times, watch.tokens, outcome, status, kind, revision, watch.gap_s, right)

    def _read(
        self, planned: Planned, answer: http.client.HTTPResponse, watch: Watch, until: float
    ) -> tuple[Outcome, str]:
        if answer.status != http.client.OK:
            kind = f"{answer.status} {_error_kind_of(answer.read())}"
            return ("refused" if answer.status == _REFUSED else "failed"), kind
        if not planned.body.get("stream"):
            watch.whole(answer.read())
            return "answered", ""
        rest = b""
        while data := answer.read1(_READ):
            now = time.monotonic()
            if now > until:
                raise TimeoutError
            *events, rest = (rest + data).split(b"\n\n")
            for event in events:
                watch.event(event, now)
            if planned.cancel_after is not None and watch.tokens >= planned.cancel_after and not watch.done:
                return "cancelled", ""
        if watch.error:
            return "failed", f"in the stream: {watch.error}"
        return ("answered", "") if watch.done else ("failed", "a stream that ends early")

    def _judge(self, planned: Planned, watch: Watch) -> bool | None:
        """Whether the answer is right; a wrong one is voted down."""
        if planned.expects is None:
            return None
        right = watch.text.strip() == planned.expects
        if not right:
            self._vote_down(planned, watch.id)
        return right

    def _vote_down(self, planned: Planned, completion: str) -> None:
        connection = http.client.HTTPConnection(self._host, self._port, timeout=self._timeout_s)
        body = json.dumps({"completion_id": completion, "vote": "down"})
        try:
            connection.request("POST", "/v1/feedback", body, self._headers(planned))
            connection.getresponse().read()
        except (OSError, http.client.HTTPException):
            # A vote that is lost is evidence that is lost, and no failure of the answer's.
            return
        finally:
            connection.close()

    def _headers(self, planned: Planned) -> dict[str, str]:
        key = self._keys.get(planned.tenant)
        return {"content-type": "application/json", **({"authorization": f"Bearer {key}"} if key else {})}


def _error_kind_of(body: bytes) -> str:
    try:
        return _error_kind(json.loads(body))
    except ValueError:
        return "without a reason"


def _error_kind(message: Any) -> str:
    error = message.get("error") if isinstance(message, dict) else None
    if not isinstance(error, dict):
        return "without a reason"
    return str(error.get("code") or error.get("type") or "without a reason")
