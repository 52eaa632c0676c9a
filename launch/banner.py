"""What is shown once requests can come: where to send them, as commands that work as they are."""

from launch.events import ReadyReport

_KEY_VARIABLE = "PATCHBAY_API_KEY"


def ready_text(report: ReadyReport) -> str:
    """A `curl` and a Python snippet that call what `report` tells of. Keys are never in it, only a variable's name."""
    model = report.adapters[0] if report.adapters else report.base
    return "\n".join(
        (
            "",
            f"Ready after {report.after_s:.0f} s: {report.url}  (admin and metrics: {report.admin_url})",
            f"Models: {', '.join((report.base, *report.adapters))}",
            *((f"Set {_KEY_VARIABLE} to one of the router's api_keys first.",) if report.needs_key else ()),
            "",
            _curl(report, model),
            "",
            _python(report, model),
            "",
            "Ctrl-C stops everything.",
            "",
        )
    )


def _curl(report: ReadyReport, model: str) -> str:
    key = f' -H "Authorization: Bearer ${_KEY_VARIABLE}"' if report.needs_key else ""
    body = f'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}'
    return f"curl {report.url}/chat/completions{key} -H 'Content-Type: application/json' \\\n  -d '{body}'"


def _python(report: ReadyReport, model: str) -> str:
    key = f'os.environ["{_KEY_VARIABLE}"]' if report.needs_key else '"unused"'
    lines = (
        *(("import os",) if report.needs_key else ()),
        "from openai import OpenAI",
        f'client = OpenAI(base_url="{report.url}", api_key={key})',
        'messages = [{"role": "user", "content": "Hello"}]',
        f'print(client.chat.completions.create(model="{model}", messages=messages).choices[0].message.content)',
    )
    return "\n".join(lines)
