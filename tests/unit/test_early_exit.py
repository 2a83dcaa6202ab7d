"""Early exit: the vectorised rule against a scalar one, its limits, and margins that keep their promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from spikeline.errors import DataError
from spikeline.model.early_exit import decide, pick_margin

HUGE = 2**31 - 1
BATCHES = hnp.arrays(np.int32, st.tuples(st.integers(1, 6), st.integers(1, 5), st.integers(2, 4)), elements=st.integers(-5, 5))


def scalar(membranes, margin):
    """One image, step by step, as the text of the module says it."""
    values = [0] * membranes.shape[1]
    for step, membrane in enumerate(membranes.tolist(), 1):
        values = [a + b for a, b in zip(values, membrane, strict=True)]
        second, first = sorted(values)[-2:]
        if first - second >= margin or step == len(membranes):
            return values.index(first), step


@given(BATCHES, st.integers(0, 30))
def test_decisions_are_those_of_the_scalar_rule(membranes, margin):
    labels, steps = decide(membranes, margin)
    assert list(zip(labels.tolist(), steps.tolist(), strict=True)) == [scalar(image, margin) for image in membranes]


@given(BATCHES)
def test_margin_0_stops_at_the_first_step_and_a_huge_one_never_early(membranes):
    labels, steps = decide(membranes, 0)
    assert (steps == 1).all()
    assert (labels == membranes[:, 0].argmax(-1)).all()
    labels, steps = decide(membranes, HUGE)
    assert (steps == membranes.shape[1]).all()
    assert (labels == membranes.sum(1).argmax(-1)).all()


@given(BATCHES)
def test_a_larger_margin_never_stops_sooner(membranes):
    used = np.stack([decide(membranes, margin)[1] for margin in range(30)])
    assert (np.diff(used, axis=0) >= 0).all()


def test_the_lowest_of_equal_classes_wins_and_has_no_lead():
    membranes = np.array([[[1, 7, 7], [0, 0, 3]]], np.int32)
    assert [x.tolist() for x in decide(membranes, 1)] == [[2], [2]]
    assert [x.tolist() for x in decide(membranes, 0)] == [[1], [1]]
    assert decide(membranes, 0)[0].dtype == np.uint16


@given(BATCHES, st.data(), st.sampled_from([0.0, 0.2, 0.5]))
def test_the_picked_margin_keeps_the_accuracy_and_none_smaller_does(membranes, data, loss):
    truth = np.array(data.draw(st.lists(st.integers(0, 3), min_size=len(membranes), max_size=len(membranes))))

    def lost(margin):
        return sum(decide(membranes, HUGE)[0] == truth) - sum(decide(membranes, margin)[0] == truth)

    margin = pick_margin(membranes, truth, loss)
    assert lost(margin) <= loss * len(truth)
    assert all(lost(smaller) > loss * len(truth) for smaller in range(margin))


@pytest.mark.parametrize("shape", [(4, 3), (4, 0, 3), (4, 3, 1)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(DataError, match="membranes have shape"):
        decide(np.zeros(shape, np.int32), 0)


@pytest.mark.parametrize(("images", "labels"), [(4, 3), (0, 0)])
def test_labels_that_do_not_fit_are_refused(images, labels):
    with pytest.raises(DataError, match="expected one for each"):
        pick_margin(np.zeros((images, 2, 3), np.int32), np.zeros(labels, int))
