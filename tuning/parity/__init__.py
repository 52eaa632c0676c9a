"""Parity, the trainer's side: what PEFT answers is written into an adapter's folder, for replicas to compare with."""
