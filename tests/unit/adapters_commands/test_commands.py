"""`patchbay adapters …`, run as people do, over a real registry and a real store."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.commands.app import app
from patchbay.adapters.commands.registry import app as registry
from patchbay.adapters.commands.replicas import app as replicas
from patchbay.adapters.digest import folder_hashes
from tests.fakes.adapter_folder import MODULE, SIZE, f32, lora, safetensors, write_adapter, write_base
from tests.fakes.keys import signing_keys

Run = Callable[..., Result]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PATCHBAY_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("PATCHBAY_ACTOR", "tester")
    for name in ("PATCHBAY_REGISTRY", "PATCHBAY_ARTIFACTS"):
        monkeypatch.delenv(name, raising=False)

    def invoke(*arguments: object, code: int = 0) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exit_code == code, result.output
        return result

    return invoke


def told(result: Result) -> Any:
    return json.loads(result.stdout)


def adapter(tmp_path: Path, fill: int = 1, **config: Any) -> Path:
    return write_adapter(tmp_path / f"source-{fill}", fill=fill, **config)


def test_a_revision_goes_from_push_over_promotion_and_rollback_to_retirement_and_gc(run: Run, tmp_path: Path) -> None:
    for fill in (1, 2):
        pushed = told(run("push", adapter(tmp_path, fill), "--name", "sql", "--note", f"try {fill}", "--json"))
        assert (pushed["revision"]["number"], pushed["created"], pushed["stored"]) == (fill, True, 3 - fill)
        moved = told(run("promote", f"sql@{fill}", "--why", "better", "--json"))
        assert (moved["channel"]["number"], moved["live"]["missing"]) == (fill, [])
    again = told(run("push", adapter(tmp_path, 2), "-n", "sql", "--json"))
    assert (again["revision"]["number"], again["created"], again["stored"]) == (2, False, 0)
    assert "means sql@1 now; no router is running" in run("rollback", "sql", "--why", "worse").output
    assert "What 'stable' means" not in run("retire", "sql@1", code=5).stdout
    run("retire", "sql@2", "--why", "bad")
    assert told(run("gc", "--older-than", "0", "--dry-run", "--json")) == {"removed": 0, "found": 1}
    assert told(run("gc", "--older-than", "0", "--json")) == {"removed": 1, "found": 1}
    run("verify", "sql@1")
    run("verify", "sql@2", code=1)
    shown = told(run("show", "sql", "--json"))
    assert [move["kind"] for move in shown["history"]] == ["promote", "promote", "rollback"]
    actions = [entry["action"] for entry in told(run("audit", "--json"))]
    assert actions == ["gc", "retire", "rollback", "promote", "push", "promote", "push"]
    assert {entry["actor"] for entry in told(run("audit", "--json"))} == {"tester"}


def test_provenance_is_kept_from_flags_and_manifest_and_flags_go_first(run: Run, tmp_path: Path) -> None:
    source = adapter(tmp_path)
    (source / "patchbay-adapter.yaml").write_text("owner: makers\nlicence: MIT\nevaluations: {accuracy: 0.5}\n")
    given = (
        "--owner",
        "me",
        "--tag",
        "a",
        "--tag",
        "b",
        "--commit",
        "c0ffee",
        "--data-hash",
        "d",
        "--expires",
        "2099-01-02",
    )
    run("push", source, "--name", "sql", *given)
    draft = told(run("show", "sql@1", "--json"))["revision"]["draft"]
    provenance = draft["provenance"]
    assert (provenance["owner"], provenance["licence"], provenance["tags"]) == ("me", "MIT", ["a", "b"])
    assert (provenance["evaluations"], provenance["commit"]) == ({"accuracy": 0.5}, "c0ffee")
    assert provenance["expires"].startswith("2099-01-0")
    run("push", source, "--name", "sql", "--evaluation", "x", code=2)


def test_a_push_is_checked_against_the_base_and_a_refusal_names_what_was_expected(run: Run, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base", size=5)
    refused = run("push", adapter(tmp_path), "--name", "sql", "--base", base, code=3)
    assert "expected [8, 5]" in refused.stderr
    assert refused.stdout == ""
    # The base is known from now on, so that nobody has to name it again.
    run("push", adapter(tmp_path), "--name", "sql", code=3)
    assert told(run("list", "--json"))["adapters"] == []


def test_the_servers_file_says_where_the_registry_is_and_what_must_fit(run: Run, tmp_path: Path) -> None:
    base = write_base(tmp_path / "base")
    registry = "registry: {url: 'sqlite:///there/r.db', artifacts: ./there/files}\n"
    (tmp_path / "patchbay.yaml").write_text(
        f"base: {base.name}\nlora: {{max_rank: 4}}\n{registry}replicas: {{count: 9}}\n"
    )
    assert "at most 4" in run("push", adapter(tmp_path), "--name", "sql", code=3).stderr
    run("push", adapter(tmp_path, 2, r=8), "--name", "sql", code=3)
    (tmp_path / "patchbay.yaml").write_text(f"base: {base.name}\n{registry}")
    run("push", adapter(tmp_path), "--name", "sql")
    assert (tmp_path / "there" / "r.db").exists()
    assert (tmp_path / "there" / "files" / "sha256").is_dir()
    (tmp_path / "patchbay.yaml").write_text("registry: {urll: x}\n")
    assert "did you mean 'url'" in run("list", code=2).stderr


def test_a_pull_gives_the_very_files_and_never_writes_over_any(run: Run, tmp_path: Path) -> None:
    source = adapter(tmp_path)
    run("push", source, "--name", "sql")
    run("pull", "sql@1", tmp_path / "out")
    assert folder_hashes(tmp_path / "out") == folder_hashes(source)
    assert "not empty" in run("pull", "sql@1", tmp_path / "out", code=2).stderr
    run("pull", "sql@9", tmp_path / "other", code=4)
    assert not (tmp_path / "other").exists()


def test_a_stored_file_that_is_damaged_is_found_by_verify(run: Run, tmp_path: Path) -> None:
    run("push", adapter(tmp_path), "--name", "sql")
    assert told(run("verify", "sql@1", "--json"))["ok"] is True
    stored = next(path for path in (tmp_path / "data" / "artifacts").rglob("*") if path.is_file())
    stored.write_bytes(stored.read_bytes()[:-1] + b"?")
    assert "not what it was" in run("verify", "sql@1", code=1).stderr


def test_only_signed_adapters_are_taken_where_that_is_required(run: Run, tmp_path: Path) -> None:
    secret, public = signing_keys(tmp_path)
    (tmp_path / "patchbay.yaml").write_text(
        f"registry: {{signing: {{require_signed: true, public_keys: ['{public}']}}}}\n"
    )
    source = adapter(tmp_path)
    assert "is not signed" in run("push", source, "--name", "sql", code=3).stderr
    run("sign", source, "--key", secret)
    run("push", source, "--name", "sql")
    assert "public.pem" in told(run("show", "sql@1", "--json"))["revision"]["draft"]["signed_by"]
    write_adapter(source, fill=9)
    assert "signature is not good" in run("push", source, "--name", "sql", code=3).stderr


def test_two_revisions_are_compared_in_records_and_weights(run: Run, tmp_path: Path) -> None:
    for fill in (1, 3):
        run("push", adapter(tmp_path, fill), "--name", "sql", "--note", str(fill))
    told_diff = told(run("diff", "sql@1", "sql@2", "--json"))
    assert {"digest", "notes", "file adapter_model.safetensors"} <= {one["field"] for one in told_diff["changes"]}
    # Both matrices are twice as large, so the delta is four times: it differs by three times itself.
    assert told_diff["weight_distance"] == {"model.layers.0.self_attn.q_proj": pytest.approx(3.0)}
    assert "Distance of the weights" in run("diff", "sql@1", "sql@2").output


def test_settings_channels_and_recommendations_are_shown(run: Run, tmp_path: Path) -> None:
    run("push", adapter(tmp_path), "--name", "sql", "--pin")
    run("promote", "sql@1", "--channel", "canary")
    run("set", "sql", "--no-preload")
    assert told(run("list", "--json"))["adapters"][0]["settings"] == {"preload": False, "pin": True}
    assert "@1" in run("list").output
    run("clear", "sql", "--channel", "canary")
    assert told(run("list", "--json"))["adapters"][0]["channels"]["canary"]["number"] is None
    assert "No adapter has been asked for yet" in run("recommend").output
    run("promote", "sql@1", "--channel", "beta", code=2)


def test_every_command_has_help_with_an_example_and_speaks_json(run: Run) -> None:
    for command in app.registered_commands:
        shown = run(command.name, "--help").output
        assert "Example: patchbay adapters" in shown, command.name
        assert "--json" in shown, command.name
    assert "There are no adapters yet" in run("list").output


def test_a_registry_is_migrated_by_command_from_what_its_file_or_a_secret_says(run: Run, tmp_path: Path) -> None:
    (tmp_path / "url").write_text(f"sqlite:///{tmp_path / 'other.db'}\n")
    (tmp_path / "router.yaml").write_text(f"registry: {{url: {{file: {tmp_path / 'url'}}}}}\n")
    result = CliRunner().invoke(registry, ["migrate", "--config", str(tmp_path / "router.yaml")])
    assert (result.exit_code, (tmp_path / "other.db").exists()) == (0, True), result.output
    assert "up to date" in CliRunner().invoke(registry, ["migrate"]).stdout
    assert (tmp_path / "data" / "registry.db").exists()


def test_replicas_are_added_listed_and_removed_by_command(run: Run) -> None:
    def ask(*arguments: str, code: int = 0) -> Result:
        result = CliRunner().invoke(replicas, arguments)
        assert result.exit_code == code, result.output
        return result

    assert "gpu-1 is at http://10.0.0.1:9001." in ask("add", "gpu-1", "http://10.0.0.1:9001").stdout
    assert [one["url"] for one in told(ask("list", "--json"))] == ["http://10.0.0.1:9001"]
    assert "gpu-1" in ask("list").stdout
    ask("add", "gpu-2", "nowhere", code=2)
    assert told(ask("remove", "gpu-1", "--json"))["name"] == "gpu-1"
    ask("remove", "gpu-1", code=4)


def trained_by_dora(folder: Path) -> Path:
    write_adapter(folder, use_dora=True)
    magnitude = {f"base_model.model.{MODULE}.lora_magnitude_vector": f32(SIZE)}
    (folder / "adapter_model.safetensors").write_bytes(safetensors(lora() | magnitude))
    return folder


def test_a_refused_dora_names_no_way_or_the_way_does_not_go(run: Run, tmp_path: Path) -> None:
    base, source = write_base(tmp_path / "base"), trained_by_dora(tmp_path / "dora")
    refused = run("push", source, "--name", "sql", "--base", base, code=3)
    assert "vLLM does not serve DoRA" in refused.stderr
    assert "--fold FOLDER" in refused.stderr
    answer = told(run("push", source, "--name", "sql", "--base", base, "--fold", tmp_path / "new", "--json"))
    config = yaml.safe_load(answer["config"])
    assert config == {"base": {"model": str(tmp_path / "new"), "name": "sql"}}
    assert answer["command"] == "patchbay up --config sql.yaml"
    assert (answer["folded"]["changed"], answer["folded"]["parameters"]) == (1, 1)
    loaded = BaseLayout.of_folder(tmp_path / "new")
    assert loaded is not None
    assert loaded.fingerprint == answer["folded"]["fingerprint"]
    assert [entry["action"] for entry in told(run("audit", "--json"))] == ["fold"]
    assert told(run("list", "--json"))["adapters"] == []


def test_a_fold_is_told_to_people_with_what_they_have_to_write_and_to_type(run: Run, tmp_path: Path) -> None:
    base, source = write_base(tmp_path / "base"), trained_by_dora(tmp_path / "dora")
    archive = shutil.make_archive(str(tmp_path / "dora"), "zip", source)
    output = run("push", archive, "--name", "sql", "--base", base, "--fold", "new").output
    assert "1 of 1 parameters changed" in output
    assert f"base:\n  model: {tmp_path / 'new'}\n  name: sql\n" in output
    assert "patchbay up --config sql.yaml" in output


def test_a_fold_into_the_wrong_place_or_of_the_wrong_kind_ends_with_another_code(run: Run, tmp_path: Path) -> None:
    base, source = write_base(tmp_path / "base"), trained_by_dora(tmp_path / "dora")
    into = ("--fold", tmp_path / "new")
    assert "--base FOLDER" in run("push", source, "--name", "sql", *into, code=2).stderr
    assert "no folder here" in run("push", source, "--name", "sql", "--base", "org/none", *into, code=2).stderr
    assert "--fold FOLDER" in run("push", source, "--name", "sql", "--onto", base, code=2).stderr
    assert "no revisions" in run("push", source, "--name", "sql", *into, "--base", base, "--promote", code=2).stderr
    assert "exists already" in run("push", source, "--name", "sql", "--base", base, "--fold", base, code=2).stderr
    (base / "config.json").write_text('{"quantization_config": {"quant_method": "awq"}}')
    assert "--onto FOLDER" in run("push", source, "--name", "sql", "--base", base, *into, code=2).stderr
    plain = write_base(tmp_path / "plain")
    run("push", source, "--name", "sql", "--base", base, "--onto", plain, *into)
    narrow = write_base(tmp_path / "narrow", size=5)
    refused = run("push", source, "--name", "sql", "--onto", narrow, "--fold", tmp_path / "other", code=3)
    assert "takes 5 and gives 5" in refused.stderr
    assert not (tmp_path / "other").exists()


def test_a_fold_needs_a_signature_where_pushes_do(run: Run, tmp_path: Path) -> None:
    base, source = write_base(tmp_path / "base"), trained_by_dora(tmp_path / "dora")
    secret, public = signing_keys(tmp_path)
    (tmp_path / "patchbay.yaml").write_text(
        f"base: {base}\nregistry: {{signing: {{require_signed: true, public_keys: ['{public}']}}}}\n"
    )
    refused = run("push", source, "--name", "sql", "--fold", "new", code=3)
    assert "sign" in refused.stderr
    run("sign", source, "--key", secret)
    run("push", source, "--name", "sql", "--fold", "new")
    assert json.loads((tmp_path / "new" / "patchbay-fold.json").read_text())["signed_by"]
