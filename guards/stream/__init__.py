"""Detection on growing texts: the part of a stream that may be released, and the spans found in it."""
