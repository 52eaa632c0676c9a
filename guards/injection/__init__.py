"""Prompt injections and jailbreaks: named signals, a small classifier over them, and the data that it is trained on."""
