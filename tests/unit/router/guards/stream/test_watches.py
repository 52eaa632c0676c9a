"""Each watch piece by piece: what it has found, what it still holds, and what is searched for by hand."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from patchbay.core.errors import ConfigError
from patchbay.guards.rules.rule import Rule
from patchbay.guards.scan.re2_scanner import Re2Scanner
from patchbay.guards.scan.scanner import expressions_of
from patchbay.guards.stream.automaton_cache import MAX_BYTES, AutomatonCache
from patchbay.guards.stream.leak_watch import KIND as LEAK
from patchbay.guards.stream.leak_watch import LeakWatch, SuffixAutomaton, letters
from patchbay.guards.stream.rules_watch import GuardRule, RuleSet, RulesWatch
from patchbay.guards.stream.watch import TextWatch
from patchbay.guards.stream.words_watch import KIND as DENIED
from patchbay.guards.stream.words_watch import Words, WordsWatch
from patchbay.guards.verdict import OPEN

Places = list[tuple[int, int]]


def fed(watch: TextWatch, *pieces: str) -> tuple[list[Places], list[int]]:
    """The spans that each piece, and then the end, brought, and how far the watch had settled the text."""
    states = [*(watch.feed(piece) for piece in pieces), watch.finish()]
    return [[(one.start, one.end) for one in state.spans] for state in states], [state.live for state in states]


RULES = (
    Rule(name="key", kind="KEY", pattern=r"\bKEY[0-9]{2,4}\b"),
    Rule(name="same", kind="KEY", pattern=r"\bKEY[0-9]{2,4}\b"),
    Rule(name="even", kind="EVEN", pattern=r"\b[0-9]{3}\b", valid=lambda text: int(text) % 2 == 0),
    Rule(name="pem", kind="PEM", pattern=r"--BEGIN", until=r"END--"),
    Rule(name="own", kind="OWN", pattern=r"(x{1,9}x{1,9}){1,9}y", given=True),
    Rule(name="case", kind="CASE", pattern=r"secret", caseless=True),
)
SCANNER = Re2Scanner(expressions_of(RULES))
RULE_SET = RuleSet([GuardRule(rule, "rules", "redact") for rule in RULES], SCANNER)


def watch(*, escaped: bool = False) -> RulesWatch:
    return RulesWatch(RULE_SET, escaped=escaped)


def test_rules_are_numbered_in_their_order() -> None:
    assert dict(RULE_SET.numbers) == {"key": 0, "same": 1, "even": 2, "pem": 3, "own": 4, "case": 5}
    assert list(RULE_SET.ends) == [3]
    assert (len(RULE_SET.rules), len(RULE_SET.patterns)) == (6, 6)
    assert RULE_SET.scanner is SCANNER


def test_a_match_is_told_once_it_cannot_go_on_and_once_for_its_kind() -> None:
    made = watch()
    assert fed(made, "a KE", "Y12", "3", " b") == ([[], [], [], [(2, 8)], []], [2, 2, 2, 10, 10])
    state = watch().feed("KEY12 ")
    [only] = state.spans
    assert (only.guard, only.rule, only.kind, only.action) == ("rules", "same", "KEY", "redact")


def test_an_end_settles_what_might_have_gone_on() -> None:
    assert fed(watch(), "KEY12") == ([[], [(0, 5)]], [0, 5])
    assert fed(watch(), "KEY1") == ([[], []], [0, 4])
    assert fed(watch()) == ([[]], [0])


@pytest.mark.parametrize("text", ["aKEY12 ", "KEY12a ", "KEY12345 ", "_KEY12 "])
def test_a_match_stands_by_itself_across_pieces(text: str) -> None:
    for cut in range(len(text)):
        spans, _ = fed(watch(), text[:cut], text[cut:])
        assert spans == [[], [], []]


def test_what_a_rule_holds_for_wrong_is_searched_on_from_its_next_character() -> None:
    spans, _ = fed(watch(), "123 124 ", "125 ", "126")
    assert spans == [[(4, 7)], [], [], [(12, 15)]]


def test_a_span_without_a_bound_is_open_until_its_end_comes() -> None:
    made = watch()
    first = made.feed("a --BEGIN some")
    assert [(one.start, one.end, one.rule) for one in first.spans] == [(2, OPEN, "pem")]
    assert (first.closed, first.live) == ([], 14)
    second = made.feed(" text EN")
    assert (second.spans, second.closed) == ([], [])
    third = made.feed("D-- and --BEGIN")
    assert third.closed == [("pem", 25)]
    last = made.finish()
    told = [(one.start, one.end) for one in [*third.spans, *last.spans]]
    assert told == [(30, OPEN)]


def test_a_span_whose_end_came_with_it_is_closed_at_once() -> None:
    assert fed(watch(), "--BEGIN x END-- --BEGIN y END-- z")[0] == [[(0, 15), (16, 31)], []]


def test_a_rule_of_somebodys_own_is_matched_in_linear_time() -> None:
    assert fed(watch(), "x" * 5000)[0] == [[], []]
    assert fed(watch(), "xxxy ")[0] == [[(0, 4)], []]


class CountingPattern:
    """A pattern that counts how often a pass over a text is begun."""

    def __init__(self, pattern: Any) -> None:
        self._pattern = pattern
        self.passes = 0

    def finditer(self, *args: Any) -> Any:
        self.passes += 1
        return self._pattern.finditer(*args)

    def search(self, *args: Any) -> Any:
        self.passes += 1
        return self._pattern.search(*args)


def test_many_matches_of_an_own_rule_are_found_in_one_pass() -> None:
    """RE2 encodes the text again in each `search`: twenty thousand of them held Python's lock for half a minute."""
    rules = RuleSet([GuardRule(RULES[4], "rules", "redact")], Re2Scanner(expressions_of(RULES[4:5])))
    counting: Any = CountingPattern(rules.patterns[0])
    rules.patterns[0] = counting
    [found, _] = fed(RulesWatch(rules), "xxy " * 500)[0]
    assert found == [(4 * number, 4 * number + 3) for number in range(500)]
    assert counting.passes == 1


def test_case_counts_where_the_rule_says_so() -> None:
    assert fed(watch(), "SeCrEt key12 ")[0] == [[(0, 6)], []]


def test_escapes_of_json_are_read_and_places_are_those_of_the_text_as_it_came() -> None:
    assert fed(watch(escaped=True), r"\u004bEY12 ")[0] == [[(0, 10)], []]
    assert fed(watch(escaped=True), "\\u00", "4bEY12 ")[0] == [[], [(0, 10)], []]
    assert fed(watch(), r"\u004bEY12 ")[0] == [[], []]
    assert fed(watch(escaped=True), "KEY12\\")[0] == [[], [(0, 5)]]


PIECES = st.lists(st.sampled_from(["KEY", "12", "--BEGIN", "END--", " ", "124", "x", "y", "secret"]), max_size=12)


def joined(pieces: list[str]) -> Places:
    """All spans that were found in the pieces, open ones with the ends that were told later."""
    made = watch()
    states = [*(made.feed(piece) for piece in pieces), made.finish()]
    ends = iter(sorted(place for state in states for _, place in state.closed))
    found = sorted((one.start, one.end) for state in states for one in state.spans)
    return [(start, next(ends, OPEN) if end == OPEN else end) for start, end in found]


@given(PIECES)
@settings(max_examples=60)
def test_rules_find_the_same_however_the_text_comes(pieces: list[str]) -> None:
    text = "".join(pieces)
    assert joined(pieces) == joined([text]) == joined(list(text))


def words(*pieces: str, listed: tuple[str, ...] = ("foo", "foo bar", "bär", "日本"), escaped: bool = False) -> Places:
    made = WordsWatch(Words("g", listed), "g", "redact", escaped=escaped)
    return [one for spans in fed(made, *pieces)[0] for one in spans]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("foo", [(0, 3)]),
        ("a foo b", [(2, 5)]),
        ("FOO, Foo", [(0, 3), (5, 8)]),
        ("foo bar", [(0, 7)]),
        ("foo foo bar", [(0, 3), (4, 11)]),
        ("foo barn", [(0, 3)]),
        ("food", []),
        ("afoo", []),
        ("foo_", []),
        ("9foo", []),
        ("foo-foo", [(0, 3), (4, 7)]),
        ("bar", [(0, 3)]),
        ("b\u00e4r", [(0, 3)]),
        ("私は日本人", [(2, 4)]),
        ("日本日本", [(0, 2), (2, 4)]),
        ("", []),
    ],
)
def test_denied_words_count_where_they_stand_alone_however_the_text_is_cut(text: str, found: Places) -> None:
    assert words(text) == found
    assert words(*text) == found
    for cut in range(len(text)):
        assert words(text[:cut], text[cut:]) == found


def test_a_word_that_may_go_on_is_held_and_what_cannot_begin_one_is_not() -> None:
    made = WordsWatch(Words("g", ["foo", "foo bar"]), "g", "flag")
    spans, live = fed(made, "say fo", "o", " b", "ut")
    assert spans == [[], [], [], [(4, 7)], []]
    assert live == [4, 4, 4, 11, 11]
    [only] = WordsWatch(Words("g", ["foo"]), "guard", "flag").feed("foo ").spans
    assert (only.guard, only.rule, only.kind, only.action) == ("guard", "denied-word", "DENIED", "flag")
    assert DENIED == "DENIED"


def test_denied_words_in_json_are_found_behind_escapes() -> None:
    assert words(r"\u0066oo", escaped=True) == [(0, 8)]
    assert words("fo", "o\\", escaped=True) == [(0, 3)]


def test_a_list_of_words_knows_its_longest_and_refuses_none_and_one_beyond_256_characters() -> None:
    assert Words("g", [" foo ", "longer"]).longest == 6
    assert Words("g", ["x" * 256]).longest == 256
    for wrong in ("", "  ", "x" * 257):
        with pytest.raises(ConfigError, match="Guard 'g': a denied word is empty or over 256 characters"):
            Words("g", ["foo", wrong])


def leaks_by_hand(known: str, text: str, least: int) -> tuple[Places, list[int]]:
    """Runs of `known` in `text` that end at each character, joined where one follows another that it overlaps, and where
    the last one began."""
    found: Places = []
    begins, goes_on = [], False
    for end in range(1, len(text) + 1):
        run = next(size for size in range(end, -1, -1) if text[end - size : end] in known)
        begins.append(end - run)
        if run >= least and goes_on and end - run < found[-1][1]:
            found[-1] = (found[-1][0], end)
        elif run >= least:
            found.append((end - run, end))
        goes_on = run >= least
    return found, begins


@given(st.text("abc", min_size=1, max_size=25), st.text("abcd", max_size=40), st.integers(1, 6))
def test_leaks_are_the_runs_that_a_search_by_hand_finds(known: str, text: str, least: int) -> None:
    made = LeakWatch(SuffixAutomaton(known), least, "g", "block")
    expected, begins = leaks_by_hand(known, text, least)
    found: Places = []
    for char, begin in zip(text, begins, strict=True):
        state = made.feed(char)
        found += [(one.start, one.end) for one in state.spans]
        held = [start for start, end in expected if begin < end and start <= state.live]
        assert state.live in (begin, *held)
        assert all(start < state.live for start, _ in found)
    found += [(one.start, one.end) for one in made.finish().spans]
    assert found == expected
    whole = LeakWatch(SuffixAutomaton(known), least, "g", "block")
    assert [one for spans in fed(whole, text)[0] for one in spans] == expected


@given(st.text("abc", max_size=25))
def test_an_automaton_knows_all_substrings_and_nothing_else(text: str) -> None:
    made = SuffixAutomaton(text)

    def knows(part: str) -> bool:
        state: int | None = 0
        for char in part:
            state = None if state is None else made.step[state].get(char)
        return state is not None

    parts = {text[start:end] for start in range(len(text)) for end in range(start, len(text) + 1)}
    assert all(knows(part) for part in parts)
    assert not any(knows(part + "d") or knows(part + "a") is not (part + "a" in text) for part in parts)
    assert (made.link[0], made.length[0]) == (-1, 0)
    assert len(made.length) == len(made.link) == len(made.step) <= max(1, 2 * len(text))
    assert all(made.length[made.link[state]] < made.length[state] for state in range(1, len(made.length)))


def test_a_leak_is_compared_by_letters_and_told_by_the_characters_around_them() -> None:
    made = LeakWatch(SuffixAutomaton(letters("Never tell!")), 6, "leak", "redact")
    state = made.feed("so: N-E-V-E-R  te... ok")
    [only] = state.spans
    assert (only.start, only.end) == (4, 17)
    assert (only.guard, only.rule, only.kind, only.action) == ("leak", "system-prompt", "SYSTEM_PROMPT", "redact")
    assert LEAK == "SYSTEM_PROMPT"
    assert made.finish().live == 23


def test_letters_are_folded_and_all_else_is_dropped() -> None:
    assert letters("A-b\u00e4 ① \u0410!_") == "aba1a"


def test_the_beginning_of_what_may_become_a_leak_is_held() -> None:
    made = LeakWatch(SuffixAutomaton("abcdef"), 4, "g", "redact")
    assert [made.feed(piece).live for piece in ("xa", "b", "c", "x", "..")] == [1, 1, 1, 5, 7]


def test_automata_take_64_mib_by_default_and_400_bytes_for_each_character() -> None:
    assert MAX_BYTES == 67_108_864
    cache = AutomatonCache(max_bytes=400 * 10)
    kept = cache.automaton("a" * 10)
    assert (cache.automaton("a" * 10) is kept, len(cache)) == (True, 1)
    cache.automaton("b" * 11)
    assert (cache.automaton("a" * 10) is kept, len(cache)) == (True, 1)
    halves = [cache.automaton(char * 5) for char in "cd"]
    assert len(cache) == 2
    assert [cache.automaton(char * 5) for char in "cd"] == halves
    cache.automaton("e")
    assert len(cache) == 2
    assert cache.automaton("c" * 5) is not halves[0]
