"""metadata_checks: does a file say of its images and scores what is true of the data?"""

from collections.abc import Callable

from mobilenas.errors import InputError
from mobilenas.export import Metadata
from mobilenas.verification.report import Check

NEAR = 0.01
"""Of [0, 1] pixels, how far mean and std may be apart: they are those of the training images, which a seed draws."""


def metadata_checks(read: Callable[[], Metadata | None], wanted: Metadata | None) -> list[Check]:
    """The check of a file's labels and normalisation; none where it says nothing, or there is nothing to compare.

    Args:
        read: Gives what the file says, None for nothing, or raises `InputError`.
        wanted: What is true of the data; None where none are given.
    """
    try:
        found = read()
    except InputError as error:
        return [Check("metadata", False, str(error), "labels and normalisation that can be read")]
    if found is None or wanted is None:
        return []
    words = [_words(found), _words(wanted)]
    if len(found.labels) == len(wanted.labels) and found.labels != wanted.labels:
        i = next(i for i, (a, b) in enumerate(zip(found.labels, wanted.labels, strict=True)) if a != b)
        words = [f"{text}, class {i} is {m.labels[i][:40]!r}" for text, m in zip(words, (found, wanted), strict=True)]
    return [Check("metadata", found.labels == wanted.labels and _is_near(found, wanted), *words)]


def _is_near(found: Metadata, wanted: Metadata) -> bool:
    pairs = zip((*found.mean, *found.std), (*wanted.mean, *wanted.std), strict=True)
    return all(abs(a - b) <= NEAR for a, b in pairs)


def _words(metadata: Metadata) -> str:
    mean, std = (" ".join(f"{value:.3f}" for value in values) for values in (metadata.mean, metadata.std))
    return f"{len(metadata.labels)} labels, mean {mean}, std {std}"
