"""Float networks of snnTorch, SpikingJelly and Norse, trained on MNIST, keep their accuracy through NIR and quantisation."""

import numpy as np
import pytest
import torch

from campaigns.nir_peers import TRAINED, imports, trained
from spikeline.data import mnist
from spikeline.model.encode import encode
from spikeline_training.nir import reference
from spikeline_training.nir.convert import float_layers, import_nir
from spikeline_training.nir.read import read
from support.peers import PEERS, train


@pytest.mark.parametrize(("kind", "keep", "reset"), [(kind, keep, reset) for kind, keep, reset, _ in TRAINED])
def test_a_brief_training_keeps_its_accuracy_in_8_bits(tmp_path, kind, keep, reset):
    """2,000 images, T = 4; scored on 2,000 test images by the framework's own forward pass, which the float network equals."""
    pixels, labels = (torch.from_numpy(x[:2000].copy()) for x in mnist.load("train"))
    peer = train(PEERS[kind]((784, 32, 10), keep, reset), pixels, labels.long(), 4, 3, rate=3e-3)
    peer.export(tmp_path / "net.nir")
    layers = float_layers(read(tmp_path / "net.nir"), peer.name, reset)
    images, truth = (x[:2000] for x in mnist.load("test"))
    spikes = encode(images, "bernoulli", 4)
    with torch.no_grad():
        (theirs,), values = peer.run(torch.from_numpy(spikes).float().transpose(0, 1))
    (ours,), _ = reference.run(layers, spikes)
    assert (ours != theirs.transpose(0, 1).numpy()).mean() < 1e-4  # of float rounding, in another order of the sums
    own = float((values.argmax(1).numpy() == truth).mean())
    assert own > 0.75
    proof = import_nir(tmp_path / "net.nir", tmp_path / "net.onnx", "mnist", reset, peer.name, bits=8, time_steps=4, images=200)
    assert abs(proof["float_accuracy"] - own) < 0.05  # that on all test images
    assert proof["accuracy"] > proof["float_accuracy"] - 0.01
    assert proof["onnx_mismatches"] == 0
    assert np.isfinite([x["spikes_differing"] for x in proof["layers"][:1]]).all()


@pytest.mark.long
@pytest.mark.parametrize("case", TRAINED, ids=[x[0] for x in TRAINED])
def test_8_bits_after_training_and_4_bits_fine_tuned_keep_the_frameworks_accuracy(tmp_path, case):
    kind, keep, reset, spiking = case
    path, own = trained(kind, keep, reset, spiking, 60000, 3, tmp_path)
    quantised, _, tuned = imports(path, kind, reset, own, tmp_path)
    assert quantised["accuracy"] > own - 0.003
    assert tuned["accuracy"] > own - 0.005
