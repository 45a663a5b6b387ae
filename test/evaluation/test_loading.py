"""Samples that cannot be read are counted and left out; when none can, it is an error."""

from __future__ import annotations

import pytest

from s4token_model.evaluation.loading import SampleLoader, skipped_lines


def halves(number):
    if number % 2:
        raise ValueError(f"{number} is\n odd")
    return number // 2


def test_the_good_ones_come_and_the_bad_ones_are_counted(capsys):
    found = SampleLoader(range(5), halves)
    assert list(found) == [0, 1, 2] == list(found)
    assert found.skipped == [{"name": "1", "reason": "1 is odd"}, {"name": "3", "reason": "3 is odd"}]
    assert (
        skipped_lines(found.skipped) == ["left out, not in these figures: 2, e.g. 1 is odd"] and skipped_lines([]) == []
    )
    printed = capsys.readouterr()
    assert printed.out == "" and "2 of 5 samples failed:\n  1  1 is odd" in printed.err  # stdout may hold a JSON object


def test_a_fault_of_the_program_is_not_taken_for_a_bad_sample():
    def broken(number):
        return {}["no such key"] if number else number

    with pytest.raises(KeyError, match="no such key"):
        list(SampleLoader([0, 1, 2], broken))


def test_none_is_an_error():
    with pytest.raises(ValueError, match="none of the rooms could be read; the first: 1 is odd"):
        list(SampleLoader([1, 3], halves, "rooms"))
