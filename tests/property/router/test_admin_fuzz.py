"""The admin API under whatever its own OpenAPI document allows, and what it does not: never a fault of the router."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.core.result import Ok

from patchbay.router.process.app import Router
from tests.fakes.engine import FakeEngine, revision
from tests.fakes.routers import threaded_router


@pytest.fixture(scope="module")
def router(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Router]:
    folder: Path = tmp_path_factory.mktemp("admin")
    registry = {"url": f"sqlite:///{folder / 'registry.db'}", "artifacts": {"url": str(folder / "artifacts")}}
    fake = FakeEngine(revisions=(revision("sql"),))
    with threaded_router(fake, registry=registry) as made:
        yield made
        assert "patchbay_router_faults_total{" not in made.metrics.render().decode()


def test_no_request_is_a_fault_of_the_admin_api(router: Router) -> None:
    schema = schemathesis.openapi.from_url(f"{router.admin_url}/admin/v1/openapi.json")
    # To end the router is what that one is for.
    found = schema.exclude(path="/admin/v1/drain").get_all_operations()
    operations = [one.ok() for one in found if isinstance(one, Ok)]
    assert len(operations) > 10

    for operation in operations:

        @settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
        @given(operation.as_strategy())
        def ask(case: Any) -> None:
            case.call_and_validate(checks=[not_a_server_error])

        ask()
