"""Patchbay serves many LoRA adapters over one quantized base model, behind one OpenAI-compatible endpoint."""
