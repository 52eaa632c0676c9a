"""A chat template that is only written otherwise is no drift; one that writes a chat otherwise is."""

import json
from pathlib import Path

import pytest

from patchbay.adapters.checks.base import BaseLayout
from patchbay.adapters.checks.drift import check_drift
from patchbay.adapters.checks.folder import DEFAULT_LIMITS
from patchbay.core.errors import AdapterError
from tests.fakes.adapter_folder import write_base

CHATML = """\
{%- for message in messages -%}
{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}
{%- endfor -%}
{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}
"""
# The same, as LLaMA-Factory writes its own.
LOOPED = (
    "{% if messages[0]['role'] == 'system' %}{% set loop_messages = messages[1:] %}"
    "{% set system_message = messages[0]['content'] %}{% else %}{% set loop_messages = messages %}{% endif %}"
    "{% if system_message is defined %}{{ '<|im_start|>system\\n' + system_message + '<|im_end|>\\n' }}{% endif %}"
    "{% for message in loop_messages %}{% set content = message['content'] %}{% if message['role'] == 'user' %}"
    "{{ '<|im_start|>user\\n' + content + '<|im_end|>\\n<|im_start|>assistant\\n' }}"
    "{% elif message['role'] == 'assistant' %}{{ content + '<|im_end|>' + '\\n' }}{% endif %}{% endfor %}"
)
# The same, with what TRL needs to take the loss of answers alone.
MARKED = CHATML.replace(
    "{{- '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>\\n' -}}",
    "{{- '<|im_start|>' + message['role'] + '\\n' -}}{%- generation -%}{{- message['content'] + '<|im_end|>\\n' -}}"
    "{%- endgeneration -%}",
)
NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('no system') }}{% endif %}"


def check(folder: Path, *, own: str, base: str) -> None:
    layout = BaseLayout.of_folder(write_base(folder / "base", template=base))
    (folder / "own").mkdir()
    (folder / "own" / "chat_template.jinja").write_text(own)
    check_drift(folder / "own", layout, DEFAULT_LIMITS) if layout is not None else pytest.fail("no layout")


@pytest.mark.parametrize(
    ("own", "base"),
    [(LOOPED, CHATML), (MARKED, CHATML), (CHATML, MARKED), (NO_SYSTEM + CHATML, NO_SYSTEM + LOOPED)],
    ids=["looped", "marked", "marked base", "both without a system"],
)
def test_a_template_that_writes_chats_as_the_bases_does_is_no_drift(tmp_path: Path, own: str, base: str) -> None:
    check(tmp_path, own=own, base=base)


@pytest.mark.parametrize(
    ("own", "base", "words"),
    [
        ("{% set system_message = 'You are X.' %}" + LOOPED, CHATML, "it writes a question otherwise"),
        (CHATML, NO_SYSTEM + CHATML, "it writes a system's message and a question otherwise"),
        (NO_SYSTEM + CHATML, CHATML, "it writes a system's message and a question otherwise"),
        (LOOPED.replace("content + '<|im_end|>' + '\\n'", "content"), CHATML, "a question, an answer and a question"),
        (CHATML.replace("assistant\\n", "assistant\\n<think>\\n"), CHATML, "it writes a question otherwise"),
        ("{% for x in range(10 ** 12) %}{% endfor %}" + CHATML, CHATML, "it writes a question otherwise"),
        ("{{ ''.__class__.__mro__ }}" + CHATML, CHATML, "it writes a question otherwise"),
        ("{% for %}", CHATML, "the chat template cannot be read: TemplateSyntaxError"),
    ],
)
def test_a_template_that_writes_a_chat_otherwise_says_which(tmp_path: Path, own: str, base: str, words: str) -> None:
    with pytest.raises(AdapterError) as refused:
        check(tmp_path, own=own, base=base)
    assert words in str(refused.value)


@pytest.mark.parametrize("written", ["<|bos|>", {"content": "<|bos|>", "lstrip": False}])
def test_special_tokens_are_those_that_the_adapter_names(tmp_path: Path, written: object) -> None:
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "tokenizer_config.json").write_text(json.dumps({"bos_token": written}))
    (tmp_path / "own" / "chat_template.jinja").write_text("<|bos|>" + CHATML)
    layout = BaseLayout.of_folder(write_base(tmp_path / "base", template="{{- bos_token -}}" + CHATML))
    assert layout is not None
    check_drift(tmp_path / "own", layout, DEFAULT_LIMITS)
