"""What is shown once requests can come: where to send them, as commands that work as they are."""

import json
import shlex
from dataclasses import dataclass

from launch.events import ReadyReport

_KEY_VARIABLE = "PATCHBAY_API_KEY"


@dataclass(frozen=True, slots=True)
class SampleCall:
    """A request worth showing: which model, and what to say to it."""

    model: str
    prompt: str


def ready_text(report: ReadyReport, sample: SampleCall | None = None) -> str:
    """A `curl` and a Python snippet that call what `report` tells of. Keys are never in it, only a variable's name.

    Without a `sample` they greet the first adapter, or the base where there is none.
    """
    call = sample or SampleCall(report.adapters[0] if report.adapters else report.base, "Hello")
    return "\n".join(
        (
            "",
            f"Ready after {report.after_s:.0f} s: {report.url}  (admin and metrics: {report.admin_url})",
            f"Models: {', '.join((report.base, *report.adapters))}",
            *((f"Set {_KEY_VARIABLE} to one of the router's api_keys first.",) if report.needs_key else ()),
            "",
            _curl(report, call),
            "",
            _python(report, call),
            "",
            *(("What is served, and from which revision: patchbay adapters list", "") if report.adapters else ()),
            "Ctrl-C stops everything.",
            "",
        )
    )


def _curl(report: ReadyReport, call: SampleCall) -> str:
    key = f' -H "Authorization: Bearer ${_KEY_VARIABLE}"' if report.needs_key else ""
    body = json.dumps({"model": call.model, "messages": [{"role": "user", "content": call.prompt}]}, ensure_ascii=False)
    return f"curl {report.url}/chat/completions{key} -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"


def _python(report: ReadyReport, call: SampleCall) -> str:
    key = f'os.environ["{_KEY_VARIABLE}"]' if report.needs_key else '"unused"'
    lines = (
        "# with .venv/bin/python, or any Python that has the package openai",
        *(("import os",) if report.needs_key else ()),
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{report.url}", api_key={key})',
        f'messages = [{{"role": "user", "content": {json.dumps(call.prompt, ensure_ascii=False)}}}]',
        f'answer = client.chat.completions.create(model="{call.model}", messages=messages)',
        "print(answer.choices[0].message.content)",
    )
    return "\n".join(lines)
