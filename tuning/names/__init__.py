"""The adapter that names persons and addresses, for guards of the kind `entities`: its corpus and its measure."""
