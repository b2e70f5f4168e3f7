from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import JSON_VALUES

from mobilenas.errors import (
    DeviceError,
    FieldError,
    InputError,
    MobilenasError,
    TargetError,
    VerificationError,
    shorten,
)
from mobilenas.settings import Settings, check, check_path


@dataclass(frozen=True, kw_only=True)
class Oven(Settings):
    name: str
    degrees: float = 180.0
    minutes: int = 30
    fan: bool = False
    mode: Literal["bake", "grill", 3] = "bake"
    racks: tuple[int, ...] = ()
    note: str | None = None
    door: bool | Literal["ajar"] = True

    def __post_init__(self):
        check(self.minutes > 0, "minutes", self.minutes, "a whole number above 0")


@dataclass(frozen=True, kw_only=True)
class Kitchen(Settings):
    oven: Oven
    shelves: tuple[tuple[Oven, ...], ...] = ()


FULL = {
    "name": "a",
    "degrees": 200.5,
    "minutes": 5,
    "fan": True,
    "mode": "grill",
    "racks": [1, 2],
    "note": "x",
    "door": "ajar",
}


def test_every_kind_of_field_is_read_and_written():
    oven = Oven.from_dict(FULL)
    assert oven == Oven(name="a", degrees=200.5, minutes=5, fan=True, mode="grill", racks=(1, 2), note="x", door="ajar")
    assert oven.to_dict() == FULL


def test_what_stands_at_its_default_is_left_out():
    assert Oven.from_dict({"name": "a", "minutes": 30, "racks": [], "note": None}).to_dict() == {"name": "a"}


def test_a_whole_number_is_a_number():
    degrees = Oven.from_dict({"name": "a", "degrees": 200}).degrees
    assert degrees == 200.0
    assert type(degrees) is float


@pytest.mark.parametrize(
    ("field", "value", "accepted"),
    [
        ("name", 5, "a text"),
        ("degrees", "180", "a number"),
        ("degrees", True, "a number"),
        ("degrees", float("nan"), "a number"),
        ("degrees", float("-inf"), "a number"),
        ("degrees", 10**400, "a number"),
        ("minutes", 30.0, "a whole number"),
        ("minutes", True, "a whole number"),
        ("minutes", None, "a whole number"),
        ("minutes", 0, "a whole number above 0"),
        ("fan", 1, "true or false"),
        ("fan", "true", "true or false"),
        ("mode", "fry", "'bake' or 'grill' or 3"),
        ("mode", 3.0, "'bake' or 'grill' or 3"),
        ("racks", 3, "a list, each a whole number"),
        ("racks", "12", "a list, each a whole number"),
        ("note", 3, "a text or null"),
        ("door", "open", "true or false or 'ajar'"),
        ("door", 1, "true or false or 'ajar'"),
    ],
)
@pytest.mark.parametrize("where", ["", "kitchen[2]"])
def test_an_error_has_the_field_the_value_and_what_is_accepted(field, value, accepted, where):
    with pytest.raises(FieldError) as caught:
        Oven.from_dict({"name": "a", field: value}, where=where)
    error = caught.value
    assert (error.field, error.accepted, error.where) == (field, accepted, where)
    assert str(error) == f"{where + '.' if where else ''}{field}: {shorten(value)} is not accepted; give {accepted}"


def test_an_element_of_a_list_is_named():
    with pytest.raises(FieldError, match=r"^oven\.racks\[1\]: '2' is not accepted; give a whole number$"):
        Oven.from_dict({"name": "a", "racks": [1, "2"]}, where="oven")


def test_unknown_and_missing_fields_and_what_is_no_object():
    with pytest.raises(InputError, match=r"^oven: unknown field 'heat'; accepted: name, degrees"):
        Oven.from_dict({"name": "a", "heat": 1}, where="oven")
    with pytest.raises(InputError, match=r"^the file: field 'name' is missing; add it$"):
        Oven.from_dict({})
    with pytest.raises(InputError, match=r"^oven: \[1\] is not accepted; give an object with fields$"):
        Oven.from_dict([1], where="oven")


def test_objects_are_taken_as_they_are():
    oven = Oven(name="a")
    kitchen = Kitchen.from_dict({"oven": oven, "shelves": [[oven], []]})
    assert kitchen == Kitchen(oven=oven, shelves=((oven,), ()))
    with pytest.raises(FieldError, match=r"^oven: \{'name': 'a'\} is not accepted"):
        Kitchen.from_dict({"oven": {"name": "a"}})
    with pytest.raises(FieldError, match=r"^shelves\[0\]\[1\]: 5 is not accepted"):
        Kitchen.from_dict({"oven": oven, "shelves": [[oven, 5]]})


@given(JSON_VALUES)
def test_nonsense_gives_an_input_error(data):
    with pytest.raises(InputError):
        Oven.from_dict(data)


@given(st.sampled_from(sorted(FULL)), JSON_VALUES)
def test_a_broken_field_gives_an_input_error_or_settings_that_round_trip(field, value):
    try:
        oven = Oven.from_dict({**FULL, field: value})
    except InputError:
        return
    assert Oven.from_dict(oven.to_dict()) == oven


def test_errors_are_seen_from_further_out():
    error = FieldError("stride", 3, "1 or 2")
    assert str(error) == "stride: 3 is not accepted; give 1 or 2"
    assert str(error.inside("stem")) == "stem.stride: 3 is not accepted; give 1 or 2"
    assert str(error.inside("[1]").inside("stages")) == "stages.[1].stride: 3 is not accepted; give 1 or 2"


@pytest.mark.parametrize(
    ("error", "code"),
    [(MobilenasError, 1), (InputError, 2), (FieldError, 2), (TargetError, 3), (DeviceError, 4), (VerificationError, 5)],
)
def test_exit_codes_are_those_of_the_contract(error, code):
    assert issubclass(error, MobilenasError)
    assert error.exit_code == code


def test_values_are_cut_to_fit_a_line():
    assert shorten("x" * 100) == "'" + "x" * 56 + "..."
    assert shorten([1, 2]) == "[1, 2]"
    assert shorten(10**5000) == "a value of type int, too large to print"


@pytest.mark.parametrize("path", ["", "absent/file", "~/file", "/"])
def test_a_path_may_lead_anywhere(path):
    check_path("file", path)


@pytest.mark.parametrize("path", ["a\0b", "~nobody-of-this-name/file", "x" * 5000])
def test_a_path_that_cannot_be_one_names_the_field(path):
    with pytest.raises(FieldError, match=r"file: .* is not accepted; give a (shorter )?path"):
        check_path("file", path)
