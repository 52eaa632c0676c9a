"""Masks are taken back in a time that does not grow with how many there are."""

from collections.abc import Iterator

from patchbay.guards.masks import Masks, Unmask


class Counted(dict[str, str]):
    """Masks that count how often all of them were looked through."""

    walks = 0

    def __iter__(self) -> Iterator[str]:
        self.walks += 1
        return super().__iter__()


def test_a_chunk_of_an_answer_looks_through_all_masks_of_the_prompt() -> None:
    masks = Masks()
    counted = masks.originals = Counted()
    known = [masks.mask("MAIL", f"m{number}@example.org") for number in range(20_000)]
    unmask = Unmask(masks)
    pieces = [piece for mask in known[:200] for piece in (mask[:8], mask[8:], " and [MA", "x] ")]
    out = "".join(map(unmask.feed, pieces)) + unmask.finish()
    assert out == "".join(f"m{number}@example.org and [MAx] " for number in range(200))
    assert counted.walks <= 1
