"""Metrics of the router, in Prometheus' form: one group for each part of the router that counts something.

Only the groups that are held here import prometheus_client.
"""

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder

from patchbay.core.loop_metrics import LoopMetrics
from patchbay.router.telemetry.admission_metrics import AdmissionMetrics
from patchbay.router.telemetry.answer_metrics import DEFAULT_SERIES, AnswerMetrics
from patchbay.router.telemetry.canary_metrics import CanaryMetrics
from patchbay.router.telemetry.guard_metrics import GuardMetrics
from patchbay.router.telemetry.process_metrics import ProcessMetrics
from patchbay.router.telemetry.registry_metrics import RegistryMetrics
from patchbay.router.telemetry.replica_metrics import ReplicaMetrics
from patchbay.router.telemetry.request_metrics import RequestMetrics
from patchbay.router.telemetry.response_metrics import ResponseMetrics


class Metrics:
    """Metrics of this router, in a Prometheus registry of their own.

    No label ever carries a client's own text: `model` is the name of a known adapter or base, or empty. `answers`: the
    metrics of answers, for `series` sets of labels; `registry`: those of the model registry and of the placements that
    it asks for; `loop`: those of the event loop. The other groups say by their names what they count.
    """

    def __init__(self, series: int = DEFAULT_SERIES) -> None:
        self._collected = collected = CollectorRegistry()
        self.answers = AnswerMetrics(series)
        collected.register(self.answers)
        self.loop = LoopMetrics("patchbay_router", collected)
        self.requests = RequestMetrics(collected)
        self.replicas = ReplicaMetrics(collected)
        self.admission = AdmissionMetrics(collected)
        self.guards = GuardMetrics(collected)
        self.registry = RegistryMetrics(collected)
        self.canaries = CanaryMetrics(collected)
        self.responses = ResponseMetrics(collected)
        self.process = ProcessMetrics(collected)

    def render(self, accept: str = "") -> bytes:
        """Returns all metrics, in the form that `exposition` chooses for the header `accept`."""
        return self.exposition(accept)[0]

    def exposition(self, accept: str) -> tuple[bytes, str]:
        """Returns all metrics and their content type: OpenMetrics where the header `accept` asks for that, else
        Prometheus' text format, which has no exemplars."""
        encode, content_type = choose_encoder(accept)
        return encode(self._collected), content_type
