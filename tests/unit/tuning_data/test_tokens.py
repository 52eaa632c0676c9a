"""Rows are counted in the base's own tokens, and what its template does not take whole is told."""

import json
from pathlib import Path

import pytest

from patchbay.tuning.data.rows import row_of
from patchbay.tuning.data.token_checks import TokenCheck
from tests.fakes.tokenizers import write_tokenizer
from tests.unit.tuning_data.conftest import Run, pair, write_lines

USER, SAID = {"role": "user", "content": "Hi there"}, {"role": "assistant", "content": "Hello"}
SYSTEM = {"role": "system", "content": "Be short."}
PLAIN = (
    "{% for m in messages %}{% if m['role'] != 'system' %}{{ m['role'] }}: {{ m['content'] }}\n{% endif %}{% endfor %}"
)
STRICT = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system messages') }}{% endif %}x"


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    write_tokenizer(folder, "llama2")
    (folder / "config.json").write_text(json.dumps({"model_type": "llama", "max_position_embeddings": 64}))
    return folder


def with_template(base: Path, template: str) -> TokenCheck:
    for name in ("chat_template.jinja",):
        (base / name).write_text(template)
    return TokenCheck(base)


def test_what_the_template_leaves_out_or_does_not_take_is_told(base: Path) -> None:
    check = with_template(base, PLAIN)
    count, found = check.findings(row_of({"messages": [USER, SAID]}))
    assert count > 0
    assert found == []
    told = [
        one.message for one in check.findings(row_of({"messages": [SYSTEM, USER, SAID], "tools": [{"name": "f"}]}))[1]
    ]
    assert told == ["the template leaves out what 'system' says", "the template leaves out the tools"]
    _, [refused] = with_template(base, STRICT).findings(row_of({"messages": [SYSTEM, USER, SAID]}))
    assert refused.message == "the template does not take it: no system messages"


def test_rows_that_are_too_long_for_the_base_are_told(base: Path, run: Run, project: Path) -> None:
    with_template(base, PLAIN)
    write_lines(project / "a.jsonl", [pair("Hi there", "Hello"), pair("word " * 400, "Hello")])
    report = json.loads(run("check", "a.jsonl", "--base", str(base), "--json", code=1).stdout)
    [finding] = [one for one in report["findings"] if one["check"] == "length"]
    assert finding["place"] == "train:2"
    assert finding["message"].endswith("and the base takes 64")
    assert report["tokens"]["most"] > 64
    run("check", "a.jsonl", "--base", str(base), "--max-tokens", "100000")
    assert "no tokenizer" in run("check", "a.jsonl", "--base", str(project / "none"), code=2).stderr
