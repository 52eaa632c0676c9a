"""Parity: whether an adapter answers where it serves as it did where it was trained. Pure, without torch.

A trainer leaves a file beside the weights with texts and the log-probabilities that it gave them. A replica scores the
same tokens, compares, and says what differs.
"""
