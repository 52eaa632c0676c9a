"""The canary of a scenario, under way while load is: begun, and looked at in the end, over the admin port."""

import threading
import time
from typing import Any

import httpx

from loadtests.load.scenario import Canary
from loadtests.loopback import check_loopback
from loadtests.stacks import demo_models
from loadtests.swaps import archive_of
from patchbay.core.admin_token import admin_headers
from patchbay.core.errors import PatchbayError


class Trial:
    """Runs one canary. `push` it, `begin` it, and `end` it; it is aborted there if it is still under way."""

    def __init__(self, admin_url: str, canary: Canary) -> None:
        check_loopback(admin_url)
        self._admin = httpx.Client(base_url=f"{admin_url}/admin/v1", timeout=60, headers=admin_headers())
        self._canary = canary
        self._revision = 0
        self._number: int | None = None
        self._fault: str | None = None
        self._timer: threading.Timer | None = None

    def push(self) -> None:
        """Makes the revision. Raises PatchbayError where it is refused."""
        folder = demo_models().adapters.get(self._canary.source)
        if folder is None:
            raise PatchbayError(f"The demo has no adapter '{self._canary.source}' to make a canary of.")
        archive = archive_of(folder, note=f"{time.time_ns()}")
        pushed = self._post(f"adapters/{self._canary.adapter}/upload", archive, {"content-type": "application/gzip"})
        self._revision = pushed["revision"]["number"]

    def begin(self) -> None:
        """Starts it, as many seconds from now as the scenario says, in a thread of its own."""
        self._timer = threading.Timer(self._canary.at_s, self._start)
        self._timer.daemon = True
        self._timer.start()

    def end(self) -> dict[str, Any]:
        """Ends the trial, and returns the canary's summary. Raises PatchbayError where it never began."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()
        if self._number is None:
            raise PatchbayError(f"The canary did not begin: {self._fault or 'the run ended first'}")
        document: dict[str, Any] = self._admin.get(f"canaries/{self._number}").raise_for_status().json()
        live = self._admin.get("canaries/verdict", params={"adapter": self._canary.adapter}).json()["verdict"] == 0
        if live:
            self._admin.post(f"canaries/{self._number}/abort", json={"why": "the load has ended"})
        self._admin.close()
        return {"phase": document["standing"]["phase"], **document["summary"]}

    def _start(self) -> None:
        canary = self._canary
        body = {"adapter": canary.adapter, "revision": self._revision, "plan": canary.plan}
        try:
            answer = self._admin.post("canaries", json=body)
            if answer.is_success:
                self._number = answer.json()["id"]
            else:
                self._fault = f"{answer.status_code} {answer.text[:300]}"
        except httpx.HTTPError as error:
            self._fault = str(error)

    def _post(self, path: str, content: bytes, headers: dict[str, str]) -> dict[str, Any]:
        answer = self._admin.post(path, content=content, headers=headers)
        if not answer.is_success:
            raise PatchbayError(f"{path}: {answer.status_code} {answer.text[:300]}")
        document: dict[str, Any] = answer.json()
        return document
