"""A tiny GGUF file of the demo's tiny base, written by the package `gguf`, and the model that it was written from."""

from pathlib import Path
from typing import Any

import gguf
import torch
from transformers import AutoConfig, AutoTokenizer, LlamaForCausalLM

from patchbay.tuning.bases.quantize import load_dequantized
from patchbay.tuning.demo.build import ARTIFACTS

BASE = ARTIFACTS / "base"
_NAMES = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
}
_WHOLE = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}


def tiny_model(*, layers: int | None = None) -> LlamaForCausalLM:
    """The demo's tiny base, with dequantized weights in float32. `layers`: only the first ones."""
    config = AutoConfig.from_pretrained(str(BASE))
    del config.quantization_config
    model = LlamaForCausalLM(config)
    load_dequantized(BASE, model, 32)
    if layers is not None:
        model.model.layers = model.model.layers[:layers]
        config.num_hidden_layers = layers
    return model.eval()


def write_gguf(model: LlamaForCausalLM, path: Path, *, licence: str = "Apache-2.0") -> Path:
    """Writes the model, and the demo's tokenizer, as llama.cpp's converter does."""
    writer = gguf.GGUFWriter(path, "llama")
    _write_shape(writer, model.config)
    writer.add_license(licence)
    _write_tokenizer(writer)
    for name, value in model.state_dict().items():
        writer.add_tensor(gguf_name(name), _laid_out(name, value, model.config).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def gguf_name(name: str) -> str:
    """The name that llama.cpp gives a parameter."""
    stem = name.removesuffix(".weight")
    if stem in _WHOLE:
        return f"{_WHOLE[stem]}.weight"
    _, _, block, rest = stem.split(".", 3)
    return f"blk.{block}.{_NAMES[rest]}.weight"


def _laid_out(name: str, value: torch.Tensor, config: Any) -> torch.Tensor:
    """llama.cpp has the rows of queries and keys in another order, for its rotary embedding."""
    heads = {"q_proj": config.num_attention_heads, "k_proj": config.num_key_value_heads}
    count = next((heads[part] for part in heads if part in name), None)
    if count is None:
        return value.contiguous()
    rows, columns = value.shape
    return value.reshape(count, 2, rows // count // 2, columns).swapaxes(1, 2).reshape(rows, columns).contiguous()


def _write_shape(writer: gguf.GGUFWriter, config: Any) -> None:
    writer.add_context_length(config.max_position_embeddings)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(config.num_attention_heads)
    writer.add_head_count_kv(config.num_key_value_heads)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_freq_base(config.rope_parameters["rope_theta"])
    writer.add_rope_dimension_count(config.hidden_size // config.num_attention_heads)
    writer.add_vocab_size(config.vocab_size)


def _write_tokenizer(writer: gguf.GGUFWriter) -> None:
    import json

    tokenizer = AutoTokenizer.from_pretrained(str(BASE))
    stored = json.loads((BASE / "tokenizer.json").read_bytes())["model"]
    tokens = [token for token, _ in sorted(tokenizer.get_vocab().items(), key=lambda one: one[1])]
    special = set(tokenizer.all_special_ids)
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3 if place in special else 1 for place in range(len(tokens))])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in stored["merges"]])
    writer.add_bos_token_id(tokenizer.bos_token_id)
    writer.add_eos_token_id(tokenizer.eos_token_id)
    writer.add_pad_token_id(tokenizer.pad_token_id)
    writer.add_chat_template(tokenizer.chat_template)
