"""What a phone says of itself."""

import pytest

from mobilenas.errors import InputError
from mobilenas.runners._phone_state import PhoneState, choose_cores, mask_of

SAID = """Current Battery Service state:
  AC powered: false
  status: 2
  level: 85
  temperature: 312
Thermal Status: 0
  mWakefulness=Awake
cpuset /foreground
frequency 6 1826000
governor 6 schedutil
frequency 7 2000000
"""
THREE_CLASSES = "0 200 1700000\n1 200 1700000\n2 600 2300000\n3 600 2300000\n4 1024 2800000\n5 1024 2800000\n"


def trouble(text):
    return PhoneState.parse(text).trouble(most_celsius=40.0, least_percent=15)


def test_everything_is_read():
    assert PhoneState.parse(SAID) == PhoneState(85, 31.2, 0, "Awake", "schedutil", (1826000, 2000000), "/foreground")
    assert trouble(SAID) == ""


def test_what_cannot_be_read_is_unknown_and_no_trouble():
    assert PhoneState.parse("Permission denied\n") == PhoneState(None, None, None, None, "unknown", (), "unknown")
    assert trouble("") == ""
    unreadable = SAID.replace("1826000", "").replace("2000000", "<unknown>")
    assert PhoneState.parse(unreadable).frequencies_khz == ("unknown", "unknown")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Awake", "Dozing", "asleep (mWakefulness=Dozing)"),
        ("Status: 0", "Status: 3", "throttled (thermal status 3)"),
        ("temperature: 312", "temperature: 413", "hot (battery at 41.3 C, at most 40 C)"),
        ("level: 85", "level: 9", "low on charge (9 %, at least 15 %)"),
    ],
)
def test_trouble_is_named(old, new, words):
    assert trouble(SAID.replace(old, new)) == words


@pytest.mark.parametrize(
    ("name", "threads", "cores"),
    [("big", 1, (5,)), ("big", 2, (4, 5)), ("mid", 1, (3,)), ("little", 2, (0, 1)), ("all", 6, ())],
)
def test_cores_are_the_last_ones_of_a_class(name, threads, cores):
    assert choose_cores(THREE_CLASSES, name, threads) == cores


def test_classes_come_from_the_largest_frequency_where_no_capacity_can_be_read():
    assert choose_cores("0 0 1700000\n1 0 2800000\n", "big", 1) == (1,)
    assert choose_cores("0 500 1700000\n1 0 1500000\n", "big", 1) == (0,)
    assert choose_cores("0 500 0\n1 500 0\n", "little", 2) == (0, 1)


@pytest.mark.parametrize(
    ("listing", "name", "threads", "message"),
    [
        (THREE_CLASSES, "big", 3, "has 2 of them for 3 threads"),
        ("0 1 1\n1 2 2\n", "mid", 1, "has 0 of them"),
        ("0 0 0\n", "big", 1, "does not say which"),
        ("", "big", 1, "does not say which"),
    ],
)
def test_cores_that_are_not_there_are_named(listing, name, threads, message):
    with pytest.raises(InputError, match=message):
        choose_cores(listing, name, threads)


def test_a_mask_has_a_bit_for_each_core():
    assert mask_of((6, 7)) == 0xC0
    assert mask_of(()) == 0
