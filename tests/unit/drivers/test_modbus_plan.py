"""The fewest reads, and never a hole."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers._modbus_plan import Block, Limits, Span, plan


def h(start: int, end: int | None = None, table: str = "holding") -> Span:
    return Span(table, start, start + 1 if end is None else end)


def spans_of(blocks: list[Block]) -> list[tuple[str, int, int]]:
    return [(b.span.table, b.span.start, b.span.end) for b in blocks]


def test_registers_in_a_row_are_one_read():
    blocks = plan([h(n) for n in range(100)], Limits())
    assert spans_of(blocks) == [("holding", 0, 100)]
    assert len(blocks[0].wanted) == 100


def test_a_thousand_registers_are_eight_reads():
    assert len(plan([h(n) for n in range(1000)], Limits())) == 8


def test_gaps_are_bridged_up_to_the_limit():
    assert spans_of(plan([h(0), h(17)], Limits(max_gap=16))) == [("holding", 0, 18)]
    assert len(plan([h(0), h(18)], Limits(max_gap=16))) == 2
    assert len(plan([h(0), h(2)], Limits(max_gap=0))) == 2


def test_tables_are_read_apart():
    assert len(plan([h(0), h(1, table="input"), h(0, table="coil")], Limits())) == 3


def test_bits_have_a_limit_of_their_own():
    coils = [h(n, table="coil") for n in range(2001)]
    assert spans_of(plan(coils, Limits())) == [("coil", 0, 2000), ("coil", 2000, 2001)]
    assert len(plan([h(0, table="coil"), h(257, table="coil")], Limits())) == 1


def test_values_are_not_split():
    assert spans_of(plan([h(0, 4), h(124, 126)], Limits(max_gap=124))) == [
        ("holding", 0, 4),
        ("holding", 124, 126),
    ]


def test_duplicates_and_overlaps_are_read_once():
    blocks = plan([h(0, 4), h(0, 4), h(2, 6), h(1)], Limits())
    assert spans_of(blocks) == [("holding", 0, 6)]
    assert blocks[0].wanted == (h(0, 4), h(1), h(2, 6))


def test_holes_are_not_bridged():
    limits = Limits(holes={"holding": ((5, 6),)})
    assert spans_of(plan([h(4), h(7)], limits)) == [("holding", 4, 5), ("holding", 7, 8)]
    assert len(plan([h(4, table="input"), h(7, table="input")], limits)) == 1


def test_a_block_that_is_refused_falls_into_runs_and_then_into_values():
    (block,) = plan([h(0), h(1), h(5, 7)], Limits())
    runs = block.pieces()
    assert spans_of(list(runs)) == [("holding", 0, 2), ("holding", 5, 7)]
    assert spans_of(list(runs[0].pieces())) == [("holding", 0, 1), ("holding", 1, 2)]
    assert runs[1].pieces() == ()


ADDRESSES = st.integers(0, 40)
SPANS = st.lists(
    st.builds(lambda start, width: h(start, start + width), ADDRESSES, st.integers(1, 5)),
    min_size=1,
    max_size=7,
)
HOLES = st.lists(
    st.builds(lambda low, width: (low, low + width), ADDRESSES, st.integers(0, 3)), max_size=2
)


def allowed(block: range, wanted: list[Span], limits: Limits) -> bool:
    """Whether one read may cover *block*, told address by address."""
    if len(block) > limits.max_registers:
        return False
    gap = 0
    for address in block:
        if any(low <= address <= high for low, high in limits.holes["holding"]):
            return False
        gap = 0 if any(s.start <= address < s.end for s in wanted) else gap + 1
        if gap > limits.max_gap:
            return False
    return True


def fewest(left: list[Span], wanted: list[Span], limits: Limits) -> int:
    """Try every end that a read of the first value that is left can have: that of a value."""
    if not left:
        return 0
    first = min(left)
    best = len(left)
    for end in sorted({s.end for s in left if s.end >= first.end}):
        if allowed(range(first.start, end), wanted, limits):
            rest = [s for s in left if not (first.start <= s.start and s.end <= end)]
            best = min(best, 1 + fewest(rest, wanted, limits))
    return best


@settings(max_examples=150, deadline=None)
@given(SPANS, HOLES, st.integers(5, 20), st.integers(0, 6))
def test_there_is_no_plan_with_fewer_reads_and_none_touches_a_hole(spans, holes, most, gap):
    limits = Limits(max_registers=most, max_gap=gap, holes={"holding": tuple(holes)})
    wanted = [s for s in spans if not limits.hits_hole("holding", s.start, s.end)]
    blocks = plan(wanted, limits)
    assert sorted(s for b in blocks for s in b.wanted) == sorted(set(wanted))
    for block in blocks:
        assert all(block.span.start <= s.start and s.end <= block.span.end for s in block.wanted)
        assert allowed(range(block.span.start, block.span.end), wanted, limits)
    assert len(blocks) == fewest(sorted(set(wanted)), wanted, limits)
