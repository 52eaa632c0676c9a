"""Presidio's analyzer as the service that it documents: a program for Presidio's own environment.

`POST /analyze` takes and answers what Presidio's own server does, of which only the part without a web framework is in
its package: its request is read by its `AnalyzerRequest`, and its results are written by their `to_dict`. Usage:
serve.py FOLDER, which has spaCy's models by language. It prints its port, and ends when its standard input does.
"""

import json
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import tldextract
from presidio_analyzer import AnalyzerEngine, AnalyzerRequest
from presidio_analyzer.nlp_engine import NlpEngineProvider


def analyzer_of(folder):
    """Returns Presidio's analyzer over the models in `folder`."""
    models = [{"lang_code": one.name, "model_name": str(one)} for one in sorted(folder.iterdir()) if one.is_dir()]
    # Its own default leaves organisations out, for want of a model that is good at them.
    mapping = {kind: kind for kind in ("PERSON", "LOCATION", "ORGANIZATION")}
    configuration = {
        "nlp_engine_name": "spacy",
        "models": models,
        "ner_model_configuration": {"model_to_presidio_entity_mapping": mapping, "labels_to_ignore": ["CARDINAL"]},
    }
    engine = NlpEngineProvider(nlp_configuration=configuration).create_engine()
    return AnalyzerEngine(nlp_engine=engine, supported_languages=[one["lang_code"] for one in models])


class Handler(BaseHTTPRequestHandler):
    """Answers `POST /analyze`. `analyzer`: Presidio's."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    analyzer = None

    def do_POST(self):
        """Analyzes one text."""
        body = self.rfile.read(int(self.headers["content-length"]))
        try:
            asked = AnalyzerRequest(json.loads(body))
            found = self.analyzer.analyze(
                text=asked.text,
                language=asked.language,
                entities=asked.entities,
                score_threshold=asked.score_threshold,
                correlation_id=asked.correlation_id,
            )
            for one in found:
                one.__dict__.pop("recognition_metadata", None)
            status, answer = 200, json.dumps(found, default=lambda one: one.to_dict(), sort_keys=True)
        # As Presidio's own server does.
        except Exception as error:  # noqa: BLE001
            status, answer = 500, json.dumps({"error": str(error)})
        data = answer.encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        """Writes nothing."""


def main():
    """Runs the program."""
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    Handler.analyzer = analyzer_of(Path(sys.argv[1]))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    sys.stdout.write(f"{server.server_port}\n")
    sys.stdout.flush()
    threading.Thread(target=lambda: (sys.stdin.read(), server.shutdown()), daemon=True).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
