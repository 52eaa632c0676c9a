"""The commands of the page on tuning, followed from nothing in their order, do what the page says."""

import json
import re
import shlex
from pathlib import Path

from typer.testing import CliRunner, Result

from patchbay.command import build_app
from tests.unit.demo.endpoint import Reply, said, serving

PAGE = Path(__file__).parent.parent.parent.parent / "docs" / "tuning.md"
# What people type while they label: 'urgent' and 'calm' by number or name.
TYPED = {"ann": "1\ncalm\n1\n", "bo": "1\n2\ncalm\n", "--adjudicate": "urgent\n"}


def section() -> str:
    return PAGE.read_text().partition("## Data\n")[2].partition("\n## ")[0]


def teacher(body: dict[str, object]) -> Reply:
    number = body["seed"]
    fields = {"name": f"Person {number}", "urgent": False}
    ticket = (
        f"Parcel {number} from {number}th Street: the {number}-volt fan hums, wobbles and smells of {number} things."
    )
    return said(json.dumps({"prompt": ticket, "completion": fields}))


def followed(project: Path, url: str) -> dict[str, Result]:
    app, done = build_app(), {}
    case = re.findall(r"^```yaml\n(.*?)^```", section(), re.MULTILINE | re.DOTALL)[0]
    (project / "case.yaml").write_text(case)
    for block in re.findall(r"^```sh\n(.*?)^```", section(), re.MULTILINE | re.DOTALL):
        for line in block.splitlines():
            words = shlex.split(line.replace("http://127.0.0.1:8080", url))
            assert words[0] == "patchbay"
            typed = next((keys for word, keys in TYPED.items() if word in words), None)
            done[line] = result = CliRunner().invoke(app, words[1:], input=typed)
            assert result.exit_code == 0, f"{line}: {result.output}"
    return done


def test_every_command_of_the_page_works_in_its_order(project: Path) -> None:
    with serving(teacher) as seen:
        done = followed(project, seen.url)
    outputs = {line: result.stdout for line, result in done.items()}
    assert "# Decision: tuning" in next(text for line, text in outputs.items() if "decide" in line)
    assert (project / "decision.md").read_text().startswith("# Decision: tuning")
    assert "<svg" in (project / "report.html").read_text()
    labels = [text for line, text in outputs.items() if "data label" in line]
    assert "Krippendorff's alpha: 0.444" in labels[1]
    assert "Disagreements to decide: 1" in labels[1]
    assert "Disagreements to decide: 0" in labels[2]
    assert "urgency@1" in labels[3]
    why = next(text for line, text in outputs.items() if line.startswith("patchbay why"))
    assert [why.index(name) for name in ("tickets@3", "tickets@2", "tickets@1")] == sorted(
        why.index(name) for name in ("tickets@3", "tickets@2", "tickets@1")
    )
    assert "1 file removed" in list(outputs.values())[-1]
    assert {body["model"] for body in seen.bodies} == {"base"}
