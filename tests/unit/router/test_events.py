from patchbay.router.forward.stream_ends import split_events


def test_whole_events_go_on_and_a_partial_one_waits() -> None:
    assert split_events(b"data: 1\n\ndata: 2") == (b"data: 1\n\n", b"data: 2")


def test_a_read_that_ends_with_an_event_goes_on_whole() -> None:
    assert split_events(b"data: 1\n\ndata: 2\n\n") == (b"data: 1\n\ndata: 2\n\n", b"")


def test_lines_that_end_with_carriage_returns_are_events_too() -> None:
    assert split_events(b"data: 1\r\n\r\ndata: 2\r\n") == (b"data: 1\r\n\r\n", b"data: 2\r\n")


def test_what_is_held_for_an_event_that_never_ends_is_bounded() -> None:
    endless = b"x" * 70_000
    assert split_events(endless) == (endless, b"")
