"""Whatever the chart's schema accepts, a cluster and Patchbay take what becomes of it."""

from pathlib import Path
from tempfile import TemporaryDirectory

from helm_python import HelmRenderError, HelmValuesError
from hypothesis import HealthCheck, assume, given, settings

from tests.integration.deploy.charts import Object, chart, check, configurations, put_secrets, rendered
from tests.integration.deploy.drawn import values


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(values(chart().schema or {}))
def test_any_values_that_the_schema_accepts_make_objects_that_are_accepted(drawn: Object) -> None:
    try:
        objects = rendered(drawn)
    except HelmValuesError:
        assume(False)
    except HelmRenderError as error:
        # What no schema can say is refused in the templates, in a sentence of ours.
        assert "patchbay: " in str(error)  # noqa: PT017 - not the error itself is tested
        assume(False)
    for one in objects:
        check(one)
    with TemporaryDirectory() as folder:
        put_secrets(objects, Path(folder))
        configurations(objects, Path(folder))
