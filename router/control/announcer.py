"""Announcements of ended canaries: a report on disk, a webhook, an Event where there is a cluster.

None of them may hold up the control loop: failures are logged.
"""

import asyncio
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx

from patchbay.core.errors import ConfigError
from patchbay.core.paths import data_dir
from patchbay.core.thread_pools import Threads
from patchbay.registry.canary_records import CanaryRecord, Look
from patchbay.router.canary.config import CanaryConfig
from patchbay.router.canary.incident import summary
from patchbay.router.canary.report_files import write_incident

_log = logging.getLogger("patchbay.router")
_TRIES, _PAUSE_S, _TIMEOUT_S = 3, 1.0, 5.0
_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class Announcer:
    """Announces the ends of canaries.

    `environ`: where a pod finds its cluster's address; `account`: the folder with the pod's own credentials.
    """

    def __init__(self, config: CanaryConfig, environ: Mapping[str, str] = os.environ, account: Path = _ACCOUNT) -> None:
        self._config = config
        self._environ = environ
        self._account = account
        self._threads = Threads("incidents", 1)

    async def ended(self, record: CanaryRecord, looks: Sequence[Look]) -> None:
        """Makes all announcements of an ended canary. `looks`: those at it, in order, for the report."""
        report = summary(record, looks)
        await self._write(record, looks)
        if self._config.webhook is not None:
            await self._post_webhook(self._config.webhook, report)
        host = self._environ.get("KUBERNETES_SERVICE_HOST")
        if host and self._config.kubernetes_events and (self._account / "token").exists():
            await self._post_event(host, record)

    async def _write(self, record: CanaryRecord, looks: Sequence[Look]) -> None:
        folder = self._config.incidents or data_dir() / "incidents"
        try:
            made = await self._threads.run(write_incident, folder, record, looks)
        except (OSError, ConfigError) as error:
            _log.warning("the report of canary %d was not written: %s", record.id, error)
        else:
            _log.info("wrote the report of canary %d: %s", record.id, made / "summary.md")

    async def _post_webhook(self, url: str, report: Mapping[str, Any]) -> None:
        token = self._config.webhook_token
        headers = {"authorization": f"Bearer {token.get_secret_value()}"} if token is not None else {}
        async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S) as client:
            await _post(client, url, report, "the webhook")

    async def _post_event(self, host: str, record: CanaryRecord) -> None:
        """Creates a core/v1 Event in the pod's namespace.

        Source: https://kubernetes.io/docs/reference/kubernetes-api/cluster-resources/event-v1/.
        """
        port = self._environ.get("KUBERNETES_SERVICE_PORT", "443")
        token, namespace = ((self._account / name).read_text().strip() for name in ("token", "namespace"))
        scheme = "https" if (self._account / "ca.crt").exists() else "http"
        verify = str(self._account / "ca.crt") if scheme == "https" else True
        headers = {"authorization": f"Bearer {token}"}
        async with httpx.AsyncClient(headers=headers, timeout=_TIMEOUT_S, verify=verify) as client:
            url = f"{scheme}://{host}:{port}/api/v1/namespaces/{namespace}/events"
            await _post(client, url, event_of(record, namespace, self._environ.get("HOSTNAME", "")), "the cluster")


def event_of(record: CanaryRecord, namespace: str, pod: str) -> dict[str, Any]:
    """Returns the Event of an ended canary. `pod`: the pod that judged it, whose Event it is."""
    at = record.updated_at.strftime("%Y-%m-%dT%H:%M:%SZ")
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"generateName": f"patchbay-canary-{record.id}-", "namespace": namespace},
        "involvedObject": {"apiVersion": "v1", "kind": "Pod", "name": pod, "namespace": namespace},
        "reason": "Canary" + "".join(part.capitalize() for part in record.phase.split("_")),
        "message": f"{record.name}: {record.reason}"[:1024],
        "type": "Normal" if record.phase == "promoted" else "Warning",
        "source": {"component": "patchbay-router"},
        "firstTimestamp": at,
        "lastTimestamp": at,
        "count": 1,
    }


async def _post(client: httpx.AsyncClient, url: str, document: Mapping[str, Any], receiver: str) -> None:
    for number in range(1, _TRIES + 1):
        try:
            (await client.post(url, json=document)).raise_for_status()
        except httpx.HTTPError as error:
            _log.warning("%s did not get a canary's end (try %d of %d): %s", receiver, number, _TRIES, error)
            await asyncio.sleep(_PAUSE_S)
        else:
            return
