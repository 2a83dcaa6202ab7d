"""Networks of other frameworks, built as their tutorials do, run by their own forward pass, written by their own exporters.

Each peer has `run`, spikes float32 (T, B, inputs) to the spikes of every layer that fires, [(T, B, neurons)], and class values
(B, classes), and `export`, which writes a NIR file. `widths` are inputs, hidden neurons, classes. `spiking`: the last layer has
neurons. Weights are PyTorch's, in `linear`.
"""

import warnings
from contextlib import contextmanager
from itertools import pairwise

import nir
import torch
from torch import nn

with warnings.catch_warnings():  # of pynvml, of old names in torch, of escapes in docstrings
    warnings.simplefilter("ignore")
    import norse.torch as norse
    import snntorch
    from norse.torch.functional.reset import reset_subtract, reset_value
    from norse.torch.utils.export_nir import to_nir
    from snntorch.export_nir import export_to_nir
    from spikingjelly.activation_based import functional, layer, neuron, nir_exchange, surrogate


@contextmanager
def _quietly():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


class Peer(nn.Module):
    """A chain of Linear and neurons; what a framework does differently is in the methods that follow."""

    def __init__(self, widths, keep=1.0, reset="zero", spiking=False, bias=True):
        super().__init__()
        self.keep, self.reset = keep, reset
        pairs = list(pairwise(widths))
        self.linear = nn.ModuleList(nn.Linear(i, o, bias) for i, o in pairs)
        self.neurons = nn.ModuleList(self.neuron(o) for _, o in (pairs if spiking else pairs[:-1]))

    def run(self, spikes):
        states, fired, values = self.start(), [[] for _ in self.neurons], 0
        for x in spikes:
            for n, linear in enumerate(self.linear):
                x = linear(x)
                if n < len(self.neurons):
                    x, states[n] = self.fire(n, x, states[n])
                    fired[n].append(x)
            values = values + x
        return [torch.stack(x) for x in fired], values

    def start(self):
        return [None] * len(self.neurons)

    def fire(self, n, current, state):
        return self.neurons[n](current, state)

    def chain(self):
        """Linear and neurons in turn."""
        return [x for n, linear in enumerate(self.linear) for x in (linear, *self.neurons[n : n + 1])]


class SnnTorch(Peer):
    """`Leaky` with its defaults: fires above the threshold, and resets one step late."""

    name = "snntorch"

    def neuron(self, size):
        beta = torch.full((size,), self.keep)
        return snntorch.Leaky(beta=beta, threshold=torch.ones(size), reset_mechanism=self.reset, init_hidden=False)

    def start(self):
        return [x.reset_mem() for x in self.neurons]

    def export(self, path):
        chain = self.chain()
        for x in self.neurons:
            x.init_hidden = True
        with _quietly():
            graph = export_to_nir(
                nn.Sequential(nn.Flatten(), *chain), torch.zeros(1, self.linear[0].in_features), ignore_dims=[0]
            )
        for x in self.neurons:
            x.init_hidden = False
        nir.write(path, graph)


class SpikingJelly(Peer):
    """`IFNode`, or `LIFNode` whose input decays (`decay_input`) as by default.

    Its exporter takes no soft reset, because NIR cannot say it; a network with one is written as one with a hard one.
    """

    name, decays = "spikingjelly", True

    def neuron(self, size):
        options = {"v_reset": 0.0 if self.reset == "zero" else None, "surrogate_function": surrogate.ATan()}
        if self.keep == 1:
            return neuron.IFNode(**options)
        return neuron.LIFNode(tau=1 / (1 - self.keep), decay_input=self.decays, **options)

    def start(self):
        functional.reset_net(self)
        return super().start()

    def fire(self, n, current, state):
        return self.neurons[n](current), None

    def export(self, path):
        functional.reset_net(self)
        for x in self.neurons:
            x.v_reset = 0.0
        with _quietly():
            net = nn.Sequential(layer.Flatten(), *self.chain())
            nir_exchange.export_to_nir(net, torch.zeros(1, self.linear[0].in_features), save_path=path)
        for x in self.neurons:
            x.v_reset = 0.0 if self.reset == "zero" else None


class SpikingJellyKeepsInput(SpikingJelly):
    """`LIFNode` with decay_input=False."""

    decays = False


class Norse(Peer):
    """`IAFCell`, or `LIFBoxCell`, whose input decays; fires above the threshold."""

    name = "norse"

    def neuron(self, size):
        one, none = torch.ones(size), torch.zeros(size)
        if self.keep == 1:
            return norse.IAFCell(norse.IAFParameters(v_th=one, v_reset=none))
        method = reset_value if self.reset == "zero" else reset_subtract
        decay = torch.full((size,), (1 - self.keep) / 1e-3)
        return norse.LIFBoxCell(norse.LIFBoxParameters(decay, none, one, none, reset_method=method))

    def export(self, path):
        with _quietly():
            graph = to_nir(norse.SequentialState(*self.chain()), torch.zeros(self.linear[0].in_features))
        nir.write(path, graph)


PEERS = {x.__name__: x for x in (SnnTorch, SpikingJelly, SpikingJellyKeepsInput, Norse)}


def put_on_grid(peer, digits, largest=3, seed=0):
    """Random weights of at most `largest` times 2^-digits, so that float32 is exact; biases likewise."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for linear in peer.linear:
            for x in (linear.weight, linear.bias):
                if x is not None:
                    x.copy_(torch.randint(-largest, largest + 1, x.shape, generator=generator) / 2**digits)
    return peer


def train(peer, pixels, labels, steps, epochs, seed=0, rate=1e-3):
    """Train with the surrogate gradient of the framework: Adam, cross-entropy of the class values, Bernoulli spikes."""
    from spikeline_training.training_data import sample_steps

    torch.manual_seed(seed)
    optimiser = torch.optim.Adam(peer.parameters(), rate)
    for _ in range(epochs):
        for chosen in torch.randperm(len(pixels)).split(100):
            _, values = peer.run(sample_steps(pixels[chosen], "bernoulli", steps))
            loss = nn.functional.cross_entropy(values, labels[chosen])
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return peer
