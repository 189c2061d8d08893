# SPDX-License-Identifier: Apache-2.0
"""Which load balancers depend on what."""

from hypothesis import given
from hypothesis import strategies as st

from octavia_ovn.controller.dependencies import Index


def test_returns_the_load_balancers_that_depend_on_a_resource():
    index = Index()
    index.set("lb1", ["switch", "router"])
    index.set("lb2", ["switch"])

    assert index.of("switch") == {"lb1", "lb2"}
    assert index.of("router") == {"lb1"}
    assert index.of("port") == frozenset()


def test_returns_what_is_not_needed_any_more():
    index = Index()
    index.set("lb1", ["switch", "router"])
    index.set("lb2", ["switch"])

    assert index.set("lb1", ["port"]) == {"router"}
    assert index.of("switch") == {"lb2"}
    assert index.set("lb2", []) == {"switch"}
    assert index.set("lb2", []) == frozenset()


@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.frozensets(st.sampled_from("abcd"))), max_size=20)
)
def test_is_the_inverse_of_what_was_set(history):
    index, known = Index(), {}
    for lb_id, things in history:
        before = frozenset().union(*known.values())
        known[lb_id] = things
        after = frozenset().union(*known.values())

        assert index.set(lb_id, things) == before - after
        for thing in "abcd":
            assert index.of(thing) == {each for each, has in known.items() if thing in has}
