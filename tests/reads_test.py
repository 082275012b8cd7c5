"""Identifiers of what is read: in order, in words, in letters."""

import pytest

from causal_iqa import _reads


def test_identifiers_are_ordered_and_said_once():
    some = ("other_performance", "clean_image", "other_performance")
    assert _reads.ordered(some) == ("clean_image", "other_performance")
    assert _reads.in_words(some) == f"{_reads.READS['clean_image']}; {_reads.READS['other_performance']}"
    assert _reads.in_letters(some) == "rm"
    assert _reads.legend(some).splitlines() == [
        f"r: {_reads.READS['clean_image']}",
        f"m: {_reads.READS['other_performance']}",
    ]


def test_nothing_is_said_to_be_nothing_and_the_unknown_is_refused():
    assert (_reads.in_words(()), _reads.in_letters(()), _reads.legend(())) == ("nothing more", "-", "")
    with pytest.raises(ValueError, match="got clean_imge"):
        _reads.ordered(("clean_imge",))


def test_every_letter_stands_for_one_thing_and_families_read_what_there_is():
    letters = _reads.in_letters(_reads.READS)
    assert len(set(letters)) == len(letters) == len(_reads.READS)
    assert {one for reads in _reads.OF_FAMILY.values() for one in reads} | set(_reads.OF_ANCHORS.values()) <= set(
        _reads.READS
    )
