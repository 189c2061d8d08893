# SPDX-License-Identifier: Apache-2.0
"""The page of findings has a section for each code, and the codes are in order."""

from octavia_ovn.core.diagnosis import codes
from octavia_ovn.core.diagnosis.findings import Code, Severity
from tests.project.findings import PAGE, page


def test_the_page_is_written_from_the_table():
    assert PAGE.read_text(encoding="utf-8") == page()


def test_no_number_is_used_twice():
    entries = [each for each in vars(codes).values() if isinstance(each, Code)]
    numbers = [each.number for each in entries]

    assert numbers == sorted(set(numbers))
    assert len(codes.CODES) == len(entries)
    assert codes.RETIRED.isdisjoint(numbers)
    assert {each // 100 for each in numbers} == set(codes.AREAS)


def test_each_entry_is_complete():
    for each in codes.CODES.values():
        assert each.severity is not Severity.OK
        assert each.title
        assert not each.title.endswith(".")
        assert each.meaning.endswith(".")
        assert each.remedy
