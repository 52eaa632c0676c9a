"""The pages of the public port that are the same for everybody."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from patchbay.router.http.endpoints import FORWARDED_PATHS, OPENAPI
from patchbay.router.http.public_pages import public_pages
from tools.openapi import OUTPUT

ROOT = Path(__file__).parents[3]
DESCRIPTION = json.loads(public_pages()[OPENAPI])


def test_the_description_is_what_the_engines_models_say() -> None:
    # In a process of its own: the schemas' names depend on what else is imported.
    code = "import sys; from tools.openapi import description; sys.stdout.write(description())"
    made = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert json.loads(made[made.index('{\n"openapi"') :]) == json.loads(OUTPUT.read_text()), (
        "run: python -m tools.openapi"
    )


def test_every_endpoint_that_replicas_answer_is_described() -> None:
    assert set(DESCRIPTION["paths"]) >= FORWARDED_PATHS


@pytest.mark.parametrize("name", ["ChatCompletionRequest", "CompletionRequest", "ResponsesRequest"])
def test_a_request_can_be_checked_by_the_description(name: str) -> None:
    schema = {"$ref": f"#/components/schemas/{name}", "components": DESCRIPTION["components"]}
    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(schema)
    text = {"ChatCompletionRequest": "messages", "CompletionRequest": "prompt", "ResponsesRequest": "input"}[name]
    body = {"model": "sql", text: [{"role": "user", "content": "a"}] if text == "messages" else "a"}
    assert not list(validator.iter_errors(body))
    assert list(validator.iter_errors(body | {"temperature": "hot"}))
