"""The measurement of guards on the project's own sets of texts, beside Presidio: precision, recall and cost."""
