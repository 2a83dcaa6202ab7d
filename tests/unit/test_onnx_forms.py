"""One network, written in the forms in which tools write weights, biases, spikes and inputs: the same integers, and what
onnxruntime computes of the very file.

All scales are powers of two, so that float32 is exact and a sum may lie on its threshold.
"""

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikeline.model import golden, model_file
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify
from support.onnx_builders import geometry, spikes_for
from support.onnx_forms import BIAS, BIASES, CLASSES, INPUT_FORMS, INPUTS, LEVEL, QONNX, SCALE, SPIKES, W0, W1, WEIGHTS, network


def assert_exact(folder, b, model, shape=None, per_neuron=True):
    """The integers are those that were written, and the file computes them."""
    path = folder / "model.onnx"
    onnx.save(model, path)
    compiled = compile_onnx(path, geometry())
    first, last = compiled.layers
    np.testing.assert_array_equal(first.weights, W0)
    np.testing.assert_array_equal(last.weights, W1)
    spikes = spikes_for(INPUTS, batch=24)
    fired = ((spikes.astype(int) @ W0 + BIAS) >= (LEVEL if per_neuron else LEVEL[0])).astype(int)
    trace = golden.run(compiled, spikes)
    np.testing.assert_array_equal(trace.spikes[0], fired)
    assert 0.1 < fired.mean() < 0.9
    assert verify(path, model_file.build(compiled), spikes)["onnx_mismatches"] == 0
    if b.standard:
        session = onnxruntime.InferenceSession(path)
        shape = [x if isinstance(x, int) else 1 for x in session.get_inputs()[0].shape]
        for row, expected in zip(spikes.reshape(-1, INPUTS), (fired @ W1).reshape(-1, CLASSES), strict=True):
            (found,) = session.run(None, {"spikes": row.astype(np.float32).reshape(shape)})
            np.testing.assert_array_equal(found[0], expected * SCALE)


@pytest.mark.parametrize("form", WEIGHTS)
def test_weights(tmp_path, form):
    assert_exact(tmp_path, *network(weights=form, last=form))


@pytest.mark.parametrize("form", BIASES)
def test_biases(tmp_path, form):
    assert_exact(tmp_path, *network(bias=form))


@pytest.mark.parametrize("form", SPIKES)
def test_spikes(tmp_path, form):
    assert_exact(tmp_path, *network(spike=form))


@pytest.mark.parametrize("form", INPUT_FORMS)
def test_inputs(tmp_path, form):
    assert_exact(tmp_path, *network(inputs=form))


@settings(max_examples=40, deadline=None)
@given(st.data())
def test_forms_together(tmp_path_factory, data):
    """Any composition of them, at any opset that has them all."""
    names = (
        ("weights", WEIGHTS), ("bias", BIASES), ("spike", SPIKES), ("inputs", INPUT_FORMS), ("last", WEIGHTS),
    )  # fmt: skip
    chosen = {key: data.draw(st.sampled_from(sorted(forms))) for key, forms in names}
    per_neuron = data.draw(st.booleans())
    domain = data.draw(st.sampled_from([QONNX, "onnx.brevitas", "finn.custom_op.general", "finn"]))
    b, model = network(**chosen, per_neuron=per_neuron, domain=domain, imports=data.draw(st.booleans()))
    assert_exact(tmp_path_factory.mktemp("forms"), b, model, per_neuron=per_neuron)
