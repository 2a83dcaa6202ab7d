"""A session of the runtime over whatever `pynq` is installed, on a simulated board that starts from a .hwh as Vivado writes it.

python -m support.pynq_session PROCESSOR

A program of its own, to be run in environments that have pynq, numpy and Verilator, but neither pytest nor torch. Prints JSON.
"""

import base64
import hashlib
import importlib.metadata
import json
import os
import sys
from dataclasses import replace
from pathlib import Path

FOLDER = Path(__file__).parent / "hand_off"
MACHINES = {"zynq7000": "armv7l", "zynq_ultrascale": "aarch64"}


def told(machine: str) -> None:
    """pynq 3.0.1 asks the computer, not the device, for the processor: let it say what a board's would."""
    name = os.uname()
    os.uname = lambda: os.uname_result((*name[:4], machine))


def unmodified() -> int:
    """How many files of the installed pynq are as its wheel recorded them. Raises AssertionError for one that is not."""
    files = [f for f in importlib.metadata.files("pynq") or [] if f.suffix == ".py" and f.hash]
    for file in files:
        digest = hashlib.new(file.hash.mode, file.read_binary()).digest()
        assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == file.hash.value, file
    return len(files)


def refused(what: str, call, *arguments, **named) -> None:
    """The call raises a DeviceError that says `what`."""
    from spikeline.errors import DeviceError

    try:
        call(*arguments, **named)
    except DeviceError as error:
        said = str(error)
    else:
        said = "nothing"
    assert what in said, f"{said} instead of {what}"


def session(kind: str) -> dict[str, object]:
    """Load, classify, read back, take over, fail and close; returns what it ran on."""
    import numpy as np
    import pynq

    from spikeline import Accelerator, Events, Spikes
    from spikeline.device.board import Registers
    from spikeline.device.hand_off import PROCESSORS
    from spikeline.model import golden, model_file
    from spikeline.model.encode import encode
    from spikeline.model.geometry import Geometry
    from spikeline.model.spec import ID, Encoder
    from spikeline.simulation.board import SimulatedBoard
    from support import networks

    processor, tiny, rng = PROCESSORS[kind], Geometry.load("tiny"), np.random.default_rng(3)
    network = replace(networks.network(rng, 3, 3, 0.3, Encoder.BERNOULLI), exit_margin=None)
    pixels = rng.integers(0, 256, (40, network.sizes[0])).astype(np.uint8)
    spikes = encode(pixels, "bernoulli", network.time_steps)
    expected = golden.run(network, spikes)
    board = SimulatedBoard(tiny, processor, (FOLDER / f"{kind}.hwh").read_text(encoding="utf-8-sig"))
    pynq.Device.active_device = board  # whose clocks pynq 3.0.1 reads, whatever device an overlay is on

    with Accelerator(board.bitstream, model_file.build(network), device=board, timeout=2) as accelerator:
        assert type(accelerator.overlay) is pynq.Overlay
        ip = accelerator.overlay.spikeline_0
        assert type(ip) is Registers
        assert ip.mmio.base_addr == processor.registers
        assert (ip.register_map.ID.value, ip.register_map.LAYER_1.neurons) == (ID, tiny.layers[1].neurons)
        assert abs(accelerator.geometry.clock_mhz - tiny.clock_mhz) < 0.01
        for given in (pixels, Spikes(spikes), Events(spikes)):
            for batch in (1000, 7):  # at once, and six transfers in flight one after another
                result = accelerator.infer(given, scores=True, batch=batch)
                assert (result.labels == expected.labels).all()
                assert (result.values == expected.values).all()
        assert accelerator.counters().images == 6 * len(pixels)

        board.simulator.fail(board.base, 1 << 27)
        refused("the memory refused an access", accelerator.infer, pixels)
        refused("load one first", accelerator.infer, pixels)
        board.simulator.fail(0, 0)
        accelerator.load(model_file.build(network))
        assert (accelerator.infer(pixels).labels == expected.labels).all()

        with Accelerator(board.bitstream, model_file.build(network), device=board, download=False) as later:
            refused("another handle has taken this accelerator over", accelerator.infer, pixels)
            assert (later.infer(pixels).labels == expected.labels).all()
    refused("closed; open a new one", accelerator.infer, pixels)
    assert board.downloads == 1
    del later, accelerator, ip
    assert board.memory.taken == board.memory.mapped == {}

    hand_off = board.bitstream.with_suffix(".hwh")
    whole = hand_off.read_text()
    for right, wrong, said in (
        ('NAME="BUILD" VALUE="0x', 'NAME="BUILD" VALUE="0xF00', "copy .bit and .hwh of one build"),
        ("spikeline_ip", "another_ip", "the overlay has 0 of"),
        ("</MODULES>", "", "is its .hwh whole"),
    ):
        assert right in whole
        hand_off.write_text(whole.replace(right, wrong))
        refused(said, Accelerator, board.bitstream, device=board)
    hand_off.unlink()
    refused("is missing; copy .bit and .hwh of one build side by side", Accelerator, board.bitstream, device=board)
    board.close()
    return {"pynq": pynq.__version__, "numpy": np.__version__, "files": unmodified(), "images": 14 * len(pixels)}


if __name__ == "__main__":
    told(MACHINES[sys.argv[1]])
    print(json.dumps(session(sys.argv[1])))
