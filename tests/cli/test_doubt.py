"""A table whose own calibration says that the device was disturbed is not used without a word."""

import pytest

SAID = (
    "the float32 table of fake has a held-out error of 18.7 %, usual is at most 5 %: the device was probably disturbed "
    "while it was profiled; once it is quiet, run: mobilenas profile --device fake --dtype float32 --fresh"
)
SEARCH = ["--data", "digits", "--resolution", "16", "--target-ms", "3", "--trials", "2"]
SEARCH += ["--trial-epochs", "1", "--final-epochs", "1"]


def change(table, old, new):
    text = table.read_text()
    assert old in text
    table.write_text(text.replace(old, new))


@pytest.fixture
def doubtful(table):
    change(table, "held_out_error 0.02, networks 1,", "held_out_error 0.187, networks 20,")
    return table


def lines(err):
    return [line for line in err.splitlines() if "held-out" in line]


@pytest.mark.parametrize("json", [[], ["--json"]])
def test_profile_and_predict_say_it_on_stderr(mobilenas, doubtful, tiny, json):
    for arguments in (
        ["profile", "--model", tiny],
        ["predict", tiny],
        ["predict", tiny, "--no-measure"],
    ):
        code, out, err = mobilenas(*arguments, "--device", "fake", *json)
        assert code == 0
        assert lines(err) == [SAID]
        assert SAID not in out


def test_a_search_says_it_even_where_no_terminal_is_and_when_it_goes_on(mobilenas, doubtful, tmp_path):
    run = tmp_path / "run"
    for arguments in (["--device", "fake", *SEARCH, "--out", run], ["--resume", run]):
        code, _, err = mobilenas("search", *arguments)
        assert code == 0
        assert SAID in err.splitlines()
    assert SAID in (run / "log.txt").read_text()


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("held_out_error 0.187", "held_out_error 0.05"),
        ("networks 20,", "networks 4,"),
        ("# method: measured", "# method: calibrated"),
    ],
)
def test_what_is_usual_few_networks_and_other_methods_say_nothing(mobilenas, doubtful, tiny, old, new):
    change(doubtful, old, new)
    code, _, err = mobilenas("predict", tiny, "--device", "fake", "--no-measure")
    assert code == 0
    assert lines(err) == []
