"""The page about your own network, as a reader would follow it; and the stacks that can be exported."""

import os
import re
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch

from spikeline import Accelerator
from spikeline.data import samples
from spikeline.errors import PresetError
from spikeline.measure import evaluate
from spikeline.model import model_file
from spikeline.model.geometry import Geometry
from spikeline.model.spec import Decode
from spikeline_compiler.lower import compile_onnx
from spikeline_compiler.verify import verify
from spikeline_training.export import export
from spikeline_training.layers import ContinuousDense, ContinuousReadout, DiscontinuousDense, DiscontinuousReadout, stack

PAGE = (Path(__file__).parents[2] / "docs/own-network.md").read_text()


def test_the_page_leads_from_an_empty_file_to_labels(tmp_path):
    blocks = dict(re.findall(r"```(python|sh)\n(.*?)```", PAGE, re.DOTALL))
    (tmp_path / "mine.py").write_text(blocks["python"])
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    script = ["bash", "-euc", blocks["sh"].replace("run mine.img", "run mine.img --images 1000")]
    ran = subprocess.run(script, cwd=tmp_path, env={**os.environ, "PATH": path}, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    trained = float(re.search(r"^([\d.]+)% of 10000 test images, \d+ spikes equal in ONNX$", ran.stdout, re.M)[1])
    classified = float(re.search(r"accuracy +([\d.]+)% of 1,000 test images", ran.stdout)[1])
    assert trained > 94
    assert abs(trained - classified) < 3  # the first thousand are harder


def discontinuous(sizes, spiking):
    last = DiscontinuousDense if spiking else DiscontinuousReadout
    layers = [*(DiscontinuousDense(*x) for x in pairwise(sizes[:-1])), last(*sizes[-2:])]
    for layer in layers:  # as after some training, so that many fire
        if layer.fires:
            layer.norm.running_var.fill_(0.02)
    return layers


def continuous(sizes, spiking, **how):
    last = ContinuousDense(*sizes[-2:], **how) if spiking else ContinuousReadout(*sizes[-2:])
    layers = [*(ContinuousDense(*x, **how) for x in pairwise(sizes[:-1])), last]
    for layer in layers[1:]:
        layer.linear.weight.data *= 4  # as after some training, so that some fire in the last layer too
    return layers


STACKS = {
    "one layer": lambda: discontinuous((784, 10), False),
    "one layer that fires": lambda: discontinuous((784, 10), True),
    "counted spikes": lambda: discontinuous((784, 40, 10), True),
    "continuous": lambda: continuous((784, 40, 10), False, leak=2, reset="zero"),
    "one continuous layer that fires": lambda: continuous((784, 10), True),
    "counted spikes over time": lambda: continuous((784, 40, 10), True, leak=1),
    "counted spikes, reset to zero": lambda: continuous((784, 40, 20, 10), True, reset="zero", bias=True),
}


@pytest.mark.parametrize("name", STACKS)
def test_any_stack_is_the_same_in_pytorch_onnx_golden_model_and_verilog(name, tmp_path):
    torch.manual_seed(1)
    layers = STACKS[name]()
    module = torch.nn.Sequential(torch.nn.Dropout(0.1), *layers).eval()
    encoder, steps = ("latency", 8) if isinstance(layers[0], ContinuousDense) else ("bernoulli", 3)
    proof = export(module, tmp_path / "m.onnx", encoder=encoder, time_steps=steps, images=60)
    assert proof["onnx_mismatches"] == 0
    network = compile_onnx(tmp_path / "m.onnx", Geometry.load("z020-256"))
    assert network.decode == (Decode.SPIKE_COUNT if layers[-1].fires else Decode.MEMBRANE)
    model = model_file.build(network, {"dataset": {"name": "mnist"}})
    given = samples.of(model).first(60)
    assert verify(tmp_path / "m.onnx", model, given.spikes())["onnx_mismatches"] == 0
    with Accelerator(model=model) as accelerator:
        figures = evaluate.measure(accelerator, given)
        compared, trace = evaluate.compare(accelerator, figures, given, traced=60)
    mismatches = {compared[key] for key in compared if key.endswith("_mismatches")}
    assert mismatches == {0}
    if layers[-1].fires:
        assert 0 < trace.spikes[-1].mean() < 1, "the test sees spikes and silence"
    if encoder == "latency":  # exact in float32, so the module itself agrees too
        with torch.no_grad():
            seen = module(torch.from_numpy(given.spikes()).float().transpose(0, 1)).numpy()
        values = seen.cumsum(0) if layers[-1].fires else seen / float(layers[-1].linear.quant_weight().scale)
        np.testing.assert_array_equal(values.transpose(1, 0, 2), trace.running[0])


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (torch.nn.Sequential(torch.nn.Linear(4, 4)), "Linear is no layer that can be exported; stack those of"),
        (torch.nn.Sequential(torch.nn.Identity()), "Sequential holds no layer"),
        (torch.nn.Sequential(DiscontinuousReadout(4, 4), DiscontinuousDense(4, 4)), "layer 0 is a readout"),
        (torch.nn.Sequential(DiscontinuousDense(4, 4), ContinuousReadout(4, 4)), "take layers of one integration"),
    ],
)
def test_what_is_no_stack_is_refused_in_words(module, message, tmp_path):
    with pytest.raises(PresetError, match=message):
        stack(module)
    with pytest.raises(PresetError, match=message):
        export(module, tmp_path / "m.onnx")
    assert not list(tmp_path.iterdir())
