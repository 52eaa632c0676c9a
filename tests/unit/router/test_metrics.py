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


def test_series_of_canaries_do_not_say_whose_they_are() -> None:
    metrics = Metrics()
    metrics.canaries.known_as("ours", "router-1")
    metrics.canaries.event(7, "sql@2", "canary", 0.1, "request")
    lines = metrics.render().decode().splitlines()
    labels = (
        'arm="canary",canary="7",event="request",installation="ours",revision="sql@2",router="router-1",share="0.1"'
    )
    assert f"patchbay_router_canary_events_total{{{labels}}} 1.0" in lines
    assert 'patchbay_router_info{installation="ours",router="router-1"} 1.0' in lines
