"""The base's training: a small Llama that knows every format and, asked for none, answers politely."""

import torch
from tokenizers import Tokenizer
from torch import nn
from transformers import LlamaConfig, LlamaForCausalLM

from patchbay.tuning.demo.corpus import Example
from patchbay.tuning.demo.data import IGNORED, Batch, batches
from patchbay.tuning.demo.optimise import learn
from patchbay.tuning.demo.recipe import Recipe, Shape
from patchbay.tuning.demo.tokenizer import BOS, END, PAD, id_of
from patchbay.tuning.progress import ProgressSink


def llama_config(shape: Shape, tokenizer: Tokenizer) -> LlamaConfig:
    """Builds the architecture's configuration. An untied head stays in full precision beside int4 layers."""
    return LlamaConfig(
        vocab_size=shape.vocab_size,
        hidden_size=shape.hidden,
        intermediate_size=shape.feed_forward,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.kv_heads,
        max_position_embeddings=shape.max_positions,
        rms_norm_eps=1e-5,
        tie_word_embeddings=False,
        bos_token_id=id_of(tokenizer, BOS),
        eos_token_id=id_of(tokenizer, END),
        pad_token_id=id_of(tokenizer, PAD),
        dtype="float32",
    )


def answer_loss(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Computes the mean cross entropy over the answers' tokens. The head runs on those positions alone."""
    hidden = model.model(input_ids=batch.ids, use_cache=False).last_hidden_state
    is_answer = batch.targets != IGNORED
    return nn.functional.cross_entropy(model.lm_head(hidden[is_answer]).float(), batch.targets[is_answer])


def train_base(
    model: LlamaForCausalLM, tokenizer: Tokenizer, examples: list[Example], recipe: Recipe, progress: ProgressSink
) -> None:
    """Trains `model` in place by `recipe.base`.

    `examples`: the base's training set; `progress`: is shown a step at a time.
    """
    training_batches = batches(tokenizer, examples, recipe.base.batch, f"{recipe.seed}/base")
    progress.start("base", recipe.base.steps)
    learn(model, training_batches, recipe.base, answer_loss, progress)
