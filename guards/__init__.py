"""Guards: filters for the prompt, for the answer, and for the part of a stream that may be released."""
