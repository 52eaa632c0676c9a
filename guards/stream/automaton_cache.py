"""Cache of system prompts' automata: the requests of one application share one prompt, and building its automaton is
long work."""

import threading
from collections import OrderedDict
from typing import Final

from patchbay.guards.stream.leak_watch import SuffixAutomaton

# What an automaton takes for each character of its text: 310 to 385 bytes were measured on prose and on random letters.
_BYTES_PER_CHAR: Final = 400
MAX_BYTES: Final = 64 * 1024 * 1024


class AutomatonCache:
    """The automata that were used last, in at most about `max_bytes` of memory. Thread-safe.

    An automaton that alone takes more than that is built and not kept.
    """

    def __init__(self, max_bytes: int = MAX_BYTES) -> None:
        self._max_bytes = max_bytes
        self._automata: OrderedDict[str, SuffixAutomaton] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._automata)

    def automaton(self, text: str) -> SuffixAutomaton:
        """Returns the automaton of `text`, built where it is not cached. Takes time in the order of its length."""
        with self._lock:
            if (known := self._automata.get(text)) is not None:
                self._automata.move_to_end(text)
                return known
        # Built without the lock, so that one long prompt does not hold up others' short ones.
        made = SuffixAutomaton(text)
        with self._lock:
            self._keep(text, made)
        return made

    def _keep(self, text: str, automaton: SuffixAutomaton) -> None:
        if text in self._automata or len(text) * _BYTES_PER_CHAR > self._max_bytes:
            return
        self._automata[text] = automaton
        self._bytes += len(text) * _BYTES_PER_CHAR
        while self._bytes > self._max_bytes:
            oldest, _ = self._automata.popitem(last=False)
            self._bytes -= len(oldest) * _BYTES_PER_CHAR
