"""The text that is shown once requests can come: addresses, and commands that work as they are."""

import json
import shlex
from dataclasses import dataclass

from patchbay.core.admin_token import own_token, token_path, token_url
from patchbay.launch.events import ReadyReport

_KEY_VARIABLE = "PATCHBAY_API_KEY"
_USUAL_URL = "http://127.0.0.1:8080"


@dataclass(frozen=True, slots=True)
class SampleCall:
    """A request for the text to show: a model and a prompt."""

    model: str
    prompt: str


def ready_text(report: ReadyReport, sample: SampleCall | None = None, admin: str | None = None) -> str:
    """Writes a `curl` and a Python snippet that call the models of `report`, with a variable's name in place of a key.

    `sample`: the request to show, where its model is served; else "Hello" to the first adapter that is, or to the base.
    `admin`: the admin port's address as a person opens it, where that is more than `report` has.
    """
    fallback = SampleCall(report.adapters[0] if report.adapters else report.base, "Hello")
    call = sample if sample is not None and sample.model in (report.base, *report.adapters) else fallback
    return "\n".join(
        (
            "",
            f"Ready after {report.after_s:.0f} s: {report.url}  (admin and metrics: {admin or report.admin_url})",
            f"Models: {', '.join((report.base, *report.adapters, *report.pools))}",
            *(f"Not served: {name}: {reason}" for name, reason in report.not_served.items()),
            *(f"Note: {name}: {remark}" for name, remark in report.remarks.items()),
            *_where(report),
            *((f"Set {_KEY_VARIABLE} to one of the router's api_keys first.",) if report.needs_key else ()),
            "",
            _curl(report, call),
            "",
            *((_python(report, call), "") if report.task == "generate" else ()),
            *(("What is served, and from which revision: patchbay adapters list", "") if _any_adapter(report) else ()),
            "Ctrl-C stops everything.",
            "",
        )
    )


def admin_address(report: ReadyReport, *, terminal: bool) -> str:
    """Returns the admin port's address for a person.

    On a `terminal` it has the generated token in it, as Jupyter prints its own. Elsewhere, where the token would stay
    in a log or a file, only the command that prints the token follows. Raises ConfigError where the token cannot be
    read.
    """
    if not report.own_token:
        return report.admin_url
    if not terminal:
        return f"{report.admin_url}, its token: patchbay admin token"
    return token_url(report.admin_url, own_token(token_path()))


def _where(report: ReadyReport) -> tuple[str, ...]:
    """Says how commands find a router that is not at its usual address."""
    address = report.url.removesuffix("/v1")
    return () if address == _USUAL_URL else (f"For `patchbay chat` and `doctor`: export PATCHBAY_URL={address}",)


def _any_adapter(report: ReadyReport) -> bool:
    return bool(report.adapters or report.not_served)


def _curl(report: ReadyReport, call: SampleCall) -> str:
    path, fields = _request(report, call)
    key = f' -H "Authorization: Bearer ${_KEY_VARIABLE}"' if report.needs_key else ""
    body = json.dumps({"model": call.model, **fields}, ensure_ascii=False)
    return f"curl {report.url}/{path}{key} -H 'Content-Type: application/json' \\\n  -d {shlex.quote(body)}"


def _request(report: ReadyReport, call: SampleCall) -> tuple[str, dict[str, object]]:
    """Returns the path and the fields of a request for what the base does."""
    if report.task == "embed":
        return "embeddings", {"input": call.prompt}
    if report.task == "score":
        return "rerank", {"query": call.prompt, "documents": ["Good morning", "Goodbye"]}
    return "chat/completions", {"messages": [{"role": "user", "content": call.prompt}]}


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
