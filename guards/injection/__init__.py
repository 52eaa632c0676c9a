"""Detection of prompt injections and jailbreaks: named signals, a small classifier over them, and its training data."""
