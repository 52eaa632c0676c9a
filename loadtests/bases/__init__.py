"""Bases of several kinds, each served with adapters that are held against PEFT, token by token."""
