"""What the admin port says of a request that it refuses: which field is wrong, what of it, and the nearest name."""

from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.fakes.engine import FakeEngine
from tests.fakes.installation import Installation
from tests.integration.router.trying import QUICK, routed, two_revisions
from tests.integration.router.wire import error_of

pytestmark = pytest.mark.anyio
PLAN = QUICK.model_dump(mode="json")
SQL = {"adapter": "sql", "revision": 2}


def with_metrics(*names: str) -> dict[str, Any]:
    return PLAN | {"metrics": {name: {} for name in names}}


@pytest.mark.parametrize(
    ("body", "param", "says"),
    [
        ({}, "adapter", "give 'adapter' and 'revision', or 'pool'"),
        ({"adapter": "sql"}, "revision", "which revision of sql"),
        (SQL | {"pool": "next"}, "pool", "either 'pool', or"),
        ({"pool": "nope"}, "pool", "There is no pool 'nope' (there are: default)"),
        (SQL | {"plan": "carefull"}, "plan", "there is no plan 'carefull' (ready: careful, fast"),
        (SQL | {"plan": with_metrics("error")}, "plan.metrics", "there is no metric 'error' (did you mean 'errors'?)"),
        (SQL | {"plan": with_metrics("schema")}, "plan", "metrics.schema will see nothing"),
        (SQL | {"plan": PLAN | {"steps": [{"wieght": 5}]}}, "plan.steps.0.wieght", "did you mean 'weight'?"),
        (SQL | {"plan": PLAN | {"alhpa": 0.1}}, "plan.alhpa", "unknown key 'plan.alhpa' (did you mean 'alpha'?)"),
        (SQL | {"revison": 2}, "revison", "unknown key 'revison' (did you mean 'revision'?)"),
        (SQL | {"revision": "two"}, "revision", "'revision': must be a whole number"),
        ({"adapter": "sql", "revision": 1}, "revision", "'stable' means sql@1 already"),
        ({"adapter": "sql", "revision": 9}, "revision", "sql has no revision 9"),
        ({"adapter": "sgl", "revision": 2}, "adapter", "There is no adapter 'sgl'"),
    ],
)
async def test_a_canary_that_cannot_start_names_the_field(
    tmp_path: Path, installation: Installation, body: dict[str, Any], param: str, says: str
) -> None:
    two_revisions(installation)
    async with routed(tmp_path, FakeEngine()) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        answer = await admin.post("/admin/v1/canaries", json=body)
    assert answer.status_code in (400, 404, 409)
    assert says in error_of(answer)["message"]
    assert error_of(answer)["param"] == param


async def test_a_body_that_is_no_json_and_one_that_is_missing_are_told_apart(
    tmp_path: Path, installation: Installation
) -> None:
    async with routed_bare(tmp_path, installation) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        json_type = {"content-type": "application/json"}
        broken = await admin.post("/admin/v1/canaries", content=b'{"adapter": ', headers=json_type)
        missing = await admin.post("/admin/v1/canaries", headers=json_type)
    assert "is not valid JSON" in error_of(broken)["message"]
    assert "body is missing" in error_of(missing)["message"]


async def test_what_is_not_there_is_named(tmp_path: Path, installation: Installation) -> None:
    async with routed_bare(tmp_path, installation) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        verdict = await admin.get("/admin/v1/canaries/verdict", params={"pool": "next"})
        one = await admin.get("/admin/v1/canaries/7")
        pair = await admin.post("/admin/v1/canaries/7/pairs", json={"value": 1})
        long = await admin.get("/admin/v1/canaries", params={"limit": 0})
    assert error_of(verdict)["message"] == "There was no canary of next yet."
    assert [error_of(one)["param"] for one in (verdict, one, pair, long)] == ["pool", "canary", "canary", "limit"]


async def test_a_ready_plan_is_started_without_what_would_see_nothing(
    tmp_path: Path, installation: Installation
) -> None:
    async with routed_bare(tmp_path, installation) as router, httpx.AsyncClient(base_url=router.admin_url) as admin:
        answer = await admin.post("/admin/v1/canaries", json=SQL | {"plan": "careful"})
    assert answer.status_code == 201, answer.text
    assert {"schema", "refusals", "guards"}.isdisjoint(answer.json()["plan"]["metrics"])
    assert {"errors", "ttft"} <= answer.json()["plan"]["metrics"].keys()


def routed_bare(folder: Path, installation: Installation) -> Any:
    two_revisions(installation)
    return routed(folder, FakeEngine())
