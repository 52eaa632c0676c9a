"""lm-evaluation-harness on the demo: tiny tasks by `local-completions` and `local-chat-completions`."""

import json
import os
from pathlib import Path
from typing import Any

from checks import KEY, LABELS, NOWHERE, QUESTION, SHIPPED, SQL, V1, check, refused, run, same
from lm_eval import simple_evaluate
from lm_eval.tasks import TaskManager

os.environ["OPENAI_API_KEY"] = KEY
TOKENIZER = os.environ["PATCHBAY_TOKENIZER"]
COMPLETIONS = {"base_url": f"{V1}/completions", "tokenizer": TOKENIZER, "max_retries": 1, "num_concurrent": 2}
CHAT = {"base_url": f"{V1}/chat/completions", "max_retries": 1, "num_concurrent": 2, "eos_string": "<|end|>"}


def task(name: str, rows: list[dict[str, Any]], **config: Any) -> dict[str, Any]:
    """A task over these rows."""
    file = Path(f"{name}.jsonl").absolute()
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    usual = {"task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(file)}}}
    return usual | {"test_split": "test", "doc_to_text": "{{question}}"} | config


def generating() -> dict[str, Any]:
    """A task whose answers are right and wrong by turns: half of them match."""
    rows = [{"question": QUESTION, "answer": SQL}, {"question": QUESTION, "answer": "something else"}]
    asked = {"until": ["<|end|>"], "max_gen_toks": 64, "do_sample": False}
    exact = [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}]
    matched = {"output_type": "generate_until", "generation_kwargs": asked, "metric_list": exact}
    return task("orders", rows, doc_to_target="{{answer}}", **matched)


def choosing() -> dict[str, Any]:
    """A task of log-likelihoods: the likeliest of eight labels."""
    rows = [{"question": SHIPPED, "label": LABELS.index("shipping")}]
    metrics = [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}]
    labels = {"doc_to_choice": LABELS, "doc_to_target": "{{label}}", "target_delimiter": ""}
    return task("labels", rows, output_type="multiple_choice", metric_list=metrics, **labels)


def scored(kind: str, name: str, where: dict[str, Any], wanted: dict[str, Any]) -> dict[str, float]:
    done = simple_evaluate(
        model=kind,
        model_args={"model": name, **where},
        tasks=[wanted],
        # Without it the thousands of tasks that come with it are read first.
        task_manager=TaskManager(include_defaults=False),
        apply_chat_template=True,
        bootstrap_iters=0,
    )
    marks = done["results"][wanted["task"]]
    return {key: float(value) for key, value in marks.items() if key in {"exact_match,none", "acc,none"}}


@check("local-chat-completions")
def chat() -> str:
    return same(scored("local-chat-completions", "sql", CHAT, generating()), {"exact_match,none": 0.5})


@check("local-completions")
def completions() -> str:
    return same(scored("local-completions", "sql", COMPLETIONS, generating()), {"exact_match,none": 0.5})


@check("local-completions, log-likelihoods")
def likelihoods() -> str:
    return same(scored("local-completions", "label", COMPLETIONS, choosing()), {"acc,none": 1.0})


@check("an unknown model")
def unknown_model() -> str:
    return refused(Exception, lambda: scored("local-chat-completions", NOWHERE, CHAT, generating()), "404")


run("lm-eval")
