"""Wire formats of answers: codecs that put every text in an answer through guards."""
