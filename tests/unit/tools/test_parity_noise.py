"""What rounding a base's weights once more does is told from what computing in bfloat16 does."""

from tests.fakes.peft_replica import BASE
from tools.parity_noise import noise_of


def test_noise_is_as_large_as_another_precision() -> None:
    found = dict(noise_of(BASE))
    assert 0 < found["computed in bfloat16"] < 0.05
    assert found["rounded to 8 bits"] < found["rounded to 5 bits"] < found["rounded to 4 bits"]
    assert found["rounded to 4 bits"] > 4 * found["computed in bfloat16"]
