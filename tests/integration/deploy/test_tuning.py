"""The chart's Jobs for runs of training."""

import pytest
import yaml
from helm_python import HelmRenderError

from tests.integration.deploy.charts import Object, rendered

RECIPE: Object = {"name": "sql", "base": "/srv/tuning/bases/eight", "adapter": {"rank": 16}, "rate": 0.0002}


def _job(objects: list[Object]) -> Object:
    return next(one for one in objects if one["kind"] == "Job" and "-tune-" in one["metadata"]["name"])


def _tuned(recipe: Object, **more: object) -> list[Object]:
    return rendered({"tuning": {"claim": "work", "runs": {"sql": {"recipe": recipe}}, **more}})


def test_a_run_reads_its_recipe_as_it_was_written() -> None:
    objects = _tuned(RECIPE)
    job = _job(objects)
    kept = next(
        one for one in objects if one["kind"] == "ConfigMap" and one["metadata"]["name"] == job["metadata"]["name"]
    )
    assert yaml.safe_load(kept["data"]["recipe.yaml"]) == RECIPE
    container = job["spec"]["template"]["spec"]["containers"][0]
    assert container["args"] == ["tune", "run", "/etc/patchbay/recipe.yaml", "--yes", "--json"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == 1


def test_another_recipe_is_another_job_since_what_a_job_runs_cannot_be_changed() -> None:
    names = {_job(_tuned(RECIPE | {"rate": rate}))["metadata"]["name"] for rate in (1e-4, 2e-4, 2e-4)}
    assert len(names) == 2


def test_a_queue_of_kueue_says_when_a_run_begins() -> None:
    free, queued = _job(_tuned(RECIPE)), _job(_tuned(RECIPE, queue="training"))
    assert "suspend" not in free["spec"]
    assert queued["spec"]["suspend"] is True
    assert queued["metadata"]["labels"]["kueue.x-k8s.io/queue-name"] == "training"


def test_a_run_without_a_claim_is_refused_in_words() -> None:
    with pytest.raises(HelmRenderError, match=r"patchbay: runs of tuning need tuning\.claim"):
        rendered({"tuning": {"runs": {"sql": {"recipe": RECIPE}}}})


def test_without_runs_there_is_no_job_of_training() -> None:
    assert not any("-tune-" in one["metadata"]["name"] for one in rendered({}))
