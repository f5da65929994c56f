import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tunesmith.errors import UserError
from tunesmith.plan.batch import (
    TOKENS_PER_PASS,
    Division,
    assign_micro_batches,
    divide,
    micro_batches_without,
)

worlds = st.integers(1, 8)


@given(share=st.integers(1, 64), processes=worlds, tokens=st.floats(0.5, 9000))
def test_the_parts_always_make_the_whole(share, processes, tokens):
    division = divide(share * processes, "auto", processes, typical_tokens=tokens)
    assert division.micro * division.accumulation * division.processes == division.size == share * processes
    assert division.micro == 1 or division.micro * tokens <= TOKENS_PER_PASS


@given(share=st.integers(1, 64), processes=worlds, micro=st.integers(1, 80))
def test_a_given_micro_batch_is_taken_or_refused_with_the_nearest(share, processes, micro):
    if share % micro == 0:
        assert divide(share * processes, micro, processes, typical_tokens=10).micro == micro
        return
    with pytest.raises(UserError) as error:
        divide(share * processes, micro, processes, typical_tokens=10)
    assert f"`batch.micro: {micro}`" in error.value.what
    named = [int(word.strip(",`")) for word in error.value.hint.split() if word.strip(",`").isdigit()]
    assert named
    for one in named:
        assert divide(share * processes, one, processes, typical_tokens=10).micro == one
    best = min(abs(one - micro) for one in range(1, share + 1) if share % one == 0)
    assert min(abs(one - micro) for one in named) == best


@given(size=st.integers(1, 200), processes=st.integers(2, 12))
def test_a_batch_that_cannot_be_shared_names_the_nearest_that_can(size, processes):
    assume(size % processes)
    with pytest.raises(UserError) as error:
        divide(size, "auto", processes, typical_tokens=10)
    assert f"`batch.size: {size}`" in error.value.what
    named = [
        int(word.strip(",")) for word in error.value.hint.partition(", or start")[0].split() if word.isdigit()
    ]
    below, above = size // processes * processes, size // processes * processes + processes
    assert named == [number for number in (below, above) if number]


@given(data=st.data(), share=st.integers(1, 12), processes=worlds)
def test_every_sample_is_dealt_to_exactly_one_process(data, share, processes):
    size = share * processes
    lengths = data.draw(st.lists(st.integers(1, 500), min_size=size, max_size=2 * size))
    samples = data.draw(st.permutations(range(len(lengths))))[:size]
    division = divide(size, "auto", processes, typical_tokens=100)
    hands = [assign_micro_batches(samples, lengths, division, rank) for rank in range(processes)]
    assert sorted(index for hand in hands for micro in hand for index in micro) == sorted(samples)
    for hand in hands:
        assert [len(micro) for micro in hand] == [division.micro] * division.accumulation


@given(share=st.integers(1, 20).map(lambda n: 2 * n), data=st.data())
def test_processes_get_about_equal_work(share, data):
    lengths = data.draw(st.lists(st.integers(1, 500), min_size=2 * share, max_size=2 * share))
    division = divide(2 * share, "auto", 2, typical_tokens=100)
    work = [
        sum(
            lengths[i]
            for micro in assign_micro_batches(range(2 * share), lengths, division, r)
            for i in micro
        )
        for r in (0, 1)
    ]
    assert abs(work[0] - work[1]) <= max(lengths)


def test_one_process_keeps_the_order():
    division = divide(6, 3, 1, typical_tokens=1)
    assert assign_micro_batches([5, 0, 4, 1, 3, 2], [1, 2, 3, 4, 5, 6], division, 0) == [[5, 0, 4], [1, 3, 2]]


@given(st.data(), st.sampled_from([1, 2, 4]), st.sampled_from([1, 2]), st.sampled_from([1, 2, 3]))
def test_samples_that_are_left_out_leave_the_others_where_they_are(data, processes, micro, accumulation):
    division = Division(
        size=processes * micro * accumulation, micro=micro, accumulation=accumulation, processes=processes
    )
    lengths = data.draw(st.lists(st.integers(1, 9), min_size=division.size, max_size=division.size))
    excluded = data.draw(st.frozensets(st.integers(0, division.size - 1)))
    samples = range(division.size)
    whole = [assign_micro_batches(samples, lengths, division, rank) for rank in range(processes)]
    found = [micro_batches_without(samples, lengths, division, rank, excluded) for rank in range(processes)]
    passes = [n for n in range(accumulation) if any(set(one[n]) - excluded for one in whole)]
    for rank in range(processes):
        assert len(found[rank]) == len(passes), "every process makes the same passes"
        for number, taken in zip(passes, found[rank], strict=True):
            left = [index for index in whole[rank][number] if index not in excluded]
            assert taken.learns == bool(left)
            assert taken.thinned == (len(left) == 1 < micro)
            if left:
                assert taken.samples == left
            else:
                assert len(taken.samples) == 1
                assert taken.samples[0] not in excluded
