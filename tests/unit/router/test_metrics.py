from patchbay.router.telemetry.metrics import Metrics


def test_the_metrics_that_are_documented_are_there() -> None:
    metrics = Metrics()
    metrics.requests.ended("chat_completions", "ok", "sql")
    metrics.replicas.failed("replica-0", "connect")
    metrics.requests.first_byte("chat_completions", 0.2)
    metrics.requests.bytes_passed(10, 20)
    metrics.requests.watch_in_flight(lambda: 3)
    metrics.replicas.watch_states(lambda state: 2 if state == "ready" else 0)
    lines = metrics.render().decode().splitlines()
    for line in (
        'patchbay_router_requests_total{endpoint="chat_completions",model="sql",outcome="ok"} 1.0',
        'patchbay_router_upstream_failures_total{kind="connect",replica="replica-0"} 1.0',
        'patchbay_router_first_byte_seconds_count{endpoint="chat_completions"} 1.0',
        'patchbay_router_body_bytes_total{direction="in"} 10.0',
        "patchbay_router_requests_in_flight 3.0",
        'patchbay_router_replicas{state="ready"} 2.0',
        'patchbay_router_replicas{state="draining"} 0.0',
    ):
        assert line in lines


def test_two_routers_in_one_process_do_not_share_their_numbers() -> None:
    first, second = Metrics(), Metrics()
    first.process.fault("proxy")
    assert b'where="proxy"' not in second.render()
