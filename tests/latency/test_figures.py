"""Numbers in files are read strictly: what Python alone takes for one is refused."""

import pytest

from mobilenas.latency.figures import MOST_US, finite, values_of, whole


@pytest.mark.parametrize(("text", "value"), [("0", 0), ("007", 7), ("123456789012345678", 123456789012345678)])
def test_whole_numbers(text, value):
    assert whole(text, "runs") == value


@pytest.mark.parametrize(
    "text", ["", " 5", "5 ", "1_0", "1.5", "-1", "+1", "1e3", "\uff11\uff12", "\u0663", "5\0", "9" * 19]
)
def test_what_is_no_whole_number(text):
    with pytest.raises(ValueError, match=r"^runs .* is not accepted; give a whole number from 0$"):
        whole(text, "runs")


@pytest.mark.parametrize(
    ("text", "value"), [("0", 0.0), ("-0.0", 0.0), ("190.5000", 190.5), ("1.", 1.0), (".5", 0.5), ("1.5e-05", 1.5e-5)]
)
def test_numbers(text, value):
    assert finite(text, "latency_us") == value


@pytest.mark.parametrize(
    "text", ["", ".", "e5", " 5", "1_0", "\uff11\uff12", "nan", "inf", "-1", "1e13", "1e400", "0x10", "1,5"]
)
def test_what_is_no_number(text):
    with pytest.raises(ValueError, match=r"^latency_us .* is not accepted; give a number from 0 to 1e\+12$"):
        finite(text, "latency_us")
    assert finite("1e12", "latency_us") == MOST_US


def test_values_of_a_line():
    assert values_of('a,"b, c",') == ["a", "b, c", ""]
    assert values_of("") == []


@pytest.mark.parametrize("line", ['"a,b', 'a,"b"c'])
def test_a_quote_out_of_place(line):
    with pytest.raises(ValueError, match=r"a quote in .* is out of place"):
        values_of(line)
