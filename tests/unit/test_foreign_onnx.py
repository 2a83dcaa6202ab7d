"""Networks that other tools wrote: a PyTorch network with Brevitas weights, exported as QCDQ, executed by onnxruntime."""

import brevitas.nn as qnn
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from brevitas.export import export_onnx_qcdq

from spikeline.model import golden, model_file
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify
from support.onnx_builders import geometry, spikes_for


class Fires(torch.nn.Module):
    """A neuron as one would write it in plain PyTorch."""

    def __init__(self, strict):
        super().__init__()
        self.strict = strict

    def forward(self, x):
        return (x > 0.25).float() if self.strict else (x >= 0.5).float()


@pytest.fixture(params=[False, True], ids=["torchscript", "dynamo"])
def exported(request, tmp_path):
    torch.manual_seed(0)
    model = torch.nn.Sequential(
        qnn.QuantLinear(30, 24, bias=True, weight_bit_width=4),
        Fires(strict=False),
        qnn.QuantLinear(24, 16, bias=True, weight_bit_width=3),
        Fires(strict=True),
        qnn.QuantLinear(16, 10, bias=False, weight_bit_width=4),
    ).eval()
    path = tmp_path / "model.onnx"
    export_onnx_qcdq(model, args=torch.zeros(1, 30), export_path=str(path), dynamo=request.param)
    return path


def test_qcdq_of_brevitas_in_onnxruntime_equals_the_golden_model(exported):
    spikes = spikes_for(30, batch=200, steps=2)
    network = compile_onnx(exported, geometry(weight_bits=4), 2, "bernoulli")
    trace = golden.run(network, spikes)
    model = onnx.load(exported)
    inside = [n.output[0] for n in model.graph.node if n.op_type == "Cast"]
    model.graph.output.extend(onnx.helper.make_empty_tensor_value_info(x) for x in inside)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    feed = session.get_inputs()[0].name
    for image_at, step in np.ndindex(spikes.shape[:2]):
        membrane, *seen = session.run(None, {feed: spikes[image_at, step][None].astype(np.float32)})
        for layer, values in enumerate(seen):
            np.testing.assert_array_equal(values[0], trace.spikes[layer][image_at, step])
        integers = trace.membranes[image_at, step]
        scale = membrane[0] @ integers / max(1, integers @ integers)  # that of the weights
        np.testing.assert_allclose(membrane[0], integers * scale, atol=0.01 * scale)  # float32 against half a unit
    assert all(0.05 < x.mean() < 0.95 for x in trace.spikes[:2]), "the test sees spikes and silence"
    assert verify(exported, model_file.build(network), spikes)["onnx_mismatches"] == 0
