"""Lists of whole-network latencies: what is read, and every kind of damage named by line."""

import pytest
from damage import assert_damage_is_named

from mobilenas import models
from mobilenas.errors import InputError
from mobilenas.latency import read_network_list

GOOD = """# a comment
network,resolution,latency_ms,era,source

mobilenet_v2,192,55.1,TFLite 2018,"somewhere, table 1"
mobilenet_v2,,73.8,TFLite 2018,
 nets/mine.json , 96 , 7.5 ,,
"""


@pytest.fixture
def path(tmp_path):
    (tmp_path / "nets").mkdir()
    models.get("mnasnet_b1").resized(num_classes=10).save(tmp_path / "nets" / "mine.json")
    file = tmp_path / "list.csv"
    file.write_text(GOOD)
    return file


def test_names_files_resolutions_and_eras(path):
    first, second, third = read_network_list(path)
    assert (first.name, first.latency_ms, first.era) == ("mobilenet_v2@192", 55.1, "TFLite 2018")
    assert first.source == "somewhere, table 1"
    assert (second.name, second.source) == ("mobilenet_v2@224", "")
    assert (third.network, third.name, third.era) == ("nets/mine.json", "mnasnet_b1@96", "other")
    assert third.arch.num_classes == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("mobilenet_v2,192", "mobilnet_v2,192", r"line 4: unknown model 'mobilnet_v2'; did you mean"),
        ("nets/mine.json", "nets/his.json", r"line 6: cannot read"),
        ("55.1", "nan", r"line 4: latency_ms 'nan'"),
        ("55.1", "-1", r"line 4: latency_ms '-1'"),
        ("55.1", "0", r"line 4: latency_ms 0"),
        ("55.1", "1e-300", r"line 4: latency_ms 1e-300 is not accepted"),
        ("55.1", "", r"line 4: latency_ms ''"),
        ("2,192", "2,many", r"line 4: resolution 'many' is not accepted"),
        ("2,192", "2,\uff11\uff19\uff12", r"line 4: resolution '\uff11\uff19\uff12' is not accepted"),
        ("2,192", "2,0", r"line 4: resolution: 0"),
        ("2,192", "2,", r"line 5: mobilenet_v2@224 stands in the list twice"),
        ('"somewhere, table 1"', "somewhere, table 1", r"line 4: 6 values, not 5"),
        ('table 1"', "table 1", r"line 4: a quote in .* is out of place"),
        ("TFLite 2018,\n", "TFLite | 2018,\n", r"line 5: era"),
        ("latency_ms,", "latency_us,", r"line 2: column 'latency_us'"),
        ("latency_ms,era,", "era,source,", r"line 2: column"),
        ("era,source", "era,era", r"line 2: column twice the same"),
    ],
)
def test_damage_is_named_with_its_line(path, old, new, message):
    assert_damage_is_named(read_network_list, path, old, new, message)


@pytest.mark.parametrize("text", ["", "# only a comment\n\n"])
def test_an_empty_list_is_refused(path, text):
    path.write_text(text)
    with pytest.raises(InputError, match="is empty"):
        read_network_list(path)


def test_a_list_that_is_absent_is_refused(tmp_path):
    with pytest.raises(InputError, match="cannot read list of latencies"):
        read_network_list(tmp_path / "nowhere.csv")


def test_a_list_as_a_spreadsheet_writes_it(path):
    path.write_bytes(
        b'\xef\xbb\xbf"network","resolution","latency_ms","era","source"\r\n'
        b'"mobilenet_v2","192","55.1","TFLite\n2018","somewhere,\r\n# table 1"\r\n'
        b'"mobilenet_v2","224","73.8","TFLite 2018",""\r\n'
        b'"mobilenet_v1","224","nan","",""\r\n'
    )
    with pytest.raises(InputError, match="line 6: latency_ms 'nan'"):
        read_network_list(path)
    path.write_bytes(path.read_bytes().replace(b"nan", b"113"))
    first, second, _ = read_network_list(path)
    assert (first.name, first.latency_ms, first.era) == ("mobilenet_v2@192", 55.1, "TFLite 2018")
    assert first.source == "somewhere, # table 1"
    assert second.era == first.era
