"""Networks that begin with convolutions on the simulated accelerator: corners, and what is refused."""

from dataclasses import replace

import numpy as np
import pytest

from spikeline import Accelerator, Events, Pixels, Spikes
from spikeline.device.packets import packed
from spikeline.device.transfers import Transfers
from spikeline.errors import ModelError
from spikeline.model import golden, model_file
from spikeline.model.geometry import Geometry
from spikeline.model.network import Layer, Network, Window
from spikeline.model.spec import CONFIG, CONFIG_LAYER, CONTROL, ERROR, STATUS, Encoder, ErrorCode, Register
from spikeline.simulation.recorded import inside
from spikeline.simulation.verilated import SimDevice, Timing
from support import networks
from support.memory import change, send, start
from support.packets import configuration
from support.recipes import GEOMETRIES
from support.runner import Runner
from support.traces import same_inside

ROOM = Geometry.load("tiny-conv")
FOUR = GEOMETRIES[1]  # has three convolutions, and large queues


@pytest.fixture(scope="module")
def built():
    device = SimDevice(ROOM)
    yield device
    device.close()


@pytest.fixture
def driver(built):
    built.restart()
    built.timing(Timing())
    return Runner(built, ROOM.name, ROOM.clock_mhz, timeout=20)


def layer(rng: np.random.Generator, columns: int, window: Window | None = None, inputs: int = 0, lasts: bool = False) -> Layer:
    """Of weights that no membrane has to overflow for."""
    rows = window.fan_in if window else inputs
    limit = max(1, min(8, 600 // rows))
    weights = rng.integers(-limit, limit, (rows, columns)).astype(np.int8)
    weights[rng.random(rows) > 600 / rows] = 0
    return replace(networks.lasting(rng, weights) if lasts else networks.fresh(rng, weights), window=window)


def network(rng: np.random.Generator, *convolutions: tuple[int, Window], steps: int = 3, lasts: bool = False) -> Network:
    """These convolutions, (maps, window) each, then a layer of ten classes."""
    layers = [layer(rng, maps, window, lasts=lasts) for maps, window in convolutions]
    return Network((*layers, layer(rng, 10, inputs=layers[-1].outputs)), 4, steps, Encoder.EVENTS)


def same(driver: Runner, net: Network, spikes: np.ndarray) -> None:
    """Run spike trains and compare everything with the golden model."""
    reference = golden.run(net, spikes, states=True)
    driver.clear_counters()
    driver.device.record(True)
    labels, _, values = driver.run(spikes, scores=True)
    np.testing.assert_array_equal(labels, reference.labels)
    np.testing.assert_array_equal(values, reference.values)
    same_inside(inside(driver.device, net), net, reference)
    driver.device.record(False)
    assert driver.counters().row_reads == tuple(reference.row_reads.sum((0, 1)))
    assert STATUS.unpack(driver.device.read(Register.STATUS))["idle"]


def borders(window: Window, steps: int) -> np.ndarray:
    """Spike trains of one position each, (B, T, inputs): the corners, the middle of each side, the middle; then all ones."""
    places = {(y, x) for y in (0, window.height // 2, window.height - 1) for x in (0, window.width // 2, window.width - 1)}
    spikes = np.zeros((len(places) + 1, steps, window.channels, window.height, window.width), np.uint8)
    for image, (y, x) in zip(spikes, sorted(places), strict=False):
        image[..., y, x] = 1
    spikes[-1] = 1
    return spikes.reshape(len(spikes), steps, -1)


SIZES = [(1, 1), (1, 64), (64, 1), (2, 63), (63, 2), (2, 64), (3, 3), (5, 5), (6, 6), (7, 8), (8, 7), (11, 13)]


@pytest.mark.parametrize("lasts", [False, True])
@pytest.mark.parametrize("kernel", [1, 3])
def test_every_border(driver, kernel, lasts):
    """Maps of one position and of 64 rows or columns, strides of both kinds over odd and even sizes, with and without padding."""
    rng = np.random.default_rng(kernel)
    tried = 0
    for height, width in SIZES:
        for stride in (1, 2):
            for padding in {0, kernel // 2}:
                for pool in (False, True):
                    window = Window(1 + (height * width <= 100), height, width, kernel, stride, padding, pool)
                    if window.fault():
                        continue
                    most = min(40, ROOM.layers[0].inputs // np.prod(window.pooled))
                    made = layer(rng, int(rng.integers(1, most + 1)), window)
                    while ROOM.convolutions[0].misfit(made) and made.columns > 1:
                        made = layer(rng, made.columns // 2, window)
                    if ROOM.convolutions[0].misfit(made):
                        continue
                    net = network(rng, (made.columns, window), steps=2, lasts=lasts)
                    driver.load(model_file.build(net))
                    same(driver, net, borders(window, 2))
                    tried += 1
    assert tried > 30


def slow(rng: np.random.Generator, steps: int) -> Network:
    """Two convolutions whose neurons all fire, and a fully connected layer that has hundreds of spikes a step."""
    first, second = Window(1, 7, 9, 1), Window(16, 7, 9, 1)
    eager = [replace(x, thresholds=np.full_like(x.thresholds, -2000)) for x in (layer(rng, 16, first), layer(rng, 8, second))]
    return Network((*eager, layer(rng, 10, inputs=504)), 4, steps, Encoder.EVENTS)


@pytest.mark.parametrize("stall", [0, 0.9, 0.99])
def test_queues_that_are_nearly_full(driver, stall):
    """Nothing comes in, and every step hands on all that a queue has room for, to a layer that is slower than both."""
    net = slow(np.random.default_rng(0), 20)
    driver.load(model_file.build(net))
    driver.device.timing(Timing(stall_write=stall))
    same(driver, net, np.zeros((4, 20, 63), np.uint8))


def test_early_exit_with_hundreds_of_images_under_way():
    """Silent steps take one place of a queue each, so more images wait there than 8 bits tell apart."""
    room = Geometry.load(FOUR)
    device = SimDevice(room)
    device.timing(Timing(stall_write=0.98))
    rng = np.random.default_rng(0)
    relay = Layer(np.full((1, 1), 5, np.int8), np.array([3], np.int32), window=Window(1, 1, 2, 1))
    last = Layer(rng.integers(-8, 8, (2, 4)).astype(np.int8), np.arange(4, dtype=np.int32))
    net = Network((relay, relay, relay, last), 8, 2, Encoder.EVENTS, exit_margin=0)
    spikes = (rng.random((700, 2, 2)) < 0.05).astype(np.uint8)
    driver = Runner(device, room.name, room.clock_mhz, timeout=20)
    driver.load(model_file.build(net))
    np.testing.assert_array_equal(driver.run(spikes, scores=True)[2], golden.run(net, spikes).values)
    device.close()


@pytest.mark.parametrize("seed", range(4))
def test_networks_of_every_kind_one_after_the_other(driver, seed):
    """Fully connected after convolutions and back, more and fewer of them, in one accelerator that is not switched off."""
    rng = np.random.default_rng(seed)
    wide = Window(2, 11, 11, 3, 1, 1, True)
    connected = Network((layer(rng, 48, inputs=256), layer(rng, 10, inputs=48)), 4, 3, Encoder.EVENTS)
    nets = [
        network(rng, (16, wide), lasts=bool(seed % 2)),
        connected,
        network(rng, (20, replace(wide, height=5)), (40, Window(20, 2, 5, 1))),  # rounds behind rounds
        network(rng, (5, Window(1, 4, 4, 3, 1, 0, False)), lasts=True),
        connected,
    ]
    for n in rng.permutation(len(nets)):
        driver.load(model_file.build(nets[n]))
        change(driver.device, rng)
        same(driver, nets[n], networks.trains(rng, nets[n], 5))


@pytest.fixture(params=["spikes", "direct"])
def loaded(driver, request):
    """A driver with a network, images that it classifies, their packet, and a check that it still does."""
    rng = np.random.default_rng(3)
    net = network(rng, (20, Window(3, 9, 9, 3, 1, 1, True)), (16, Window(20, 4, 4, 3, 1, 1, False)))
    if request.param == "direct":
        first = replace(net.layers[0], weights=(net.layers[0].weights // 4).clip(-1, 1))
        net = replace(net, layers=(first, *net.layers[1:]), encoder=Encoder.DIRECT, time_steps=4)
        images = Pixels(rng.integers(0, 256, (5, 243)).astype(np.uint8))
    else:
        images = Spikes(networks.trains(rng, net, 5))
    trains = images.trains(net)
    driver.load(model_file.build(net))
    driver._holds = lambda model: STATUS.unpack(driver.device.read(Register.STATUS))["loaded"]

    def works():
        same(driver, net, trains)

    works()
    return driver, net, images, works


@pytest.mark.parametrize("words_left", [1, 7, 12, 13, 30, 60])
def test_an_image_cut_short_leaves_nothing(loaded, words_left):
    """Be it steps or planes: the images of the next packet are classified as if it had not been there."""
    driver, net, images, works = loaded
    device, packet = driver.device, packed(images)
    whole = len(images) - -(-words_left // (len(packet) // len(images)))
    expected = golden.run(net, images.trains(net)).labels
    driver.ask(scores=False)
    transfers = Transfers(device)
    received = device.buffer("received", whole + len(images))
    for name, words, receive in (("cut", packet[:-words_left], received), ("good", packet, None)):
        memory = device.buffer(name, len(words))
        memory[:] = words
        transfers.start(memory, receive)
    while transfers.poll():
        assert device.read(Register.MEMORY_ERROR) == 0
    np.testing.assert_array_equal(received & np.uint64(0xFFFF), [*expected[:whole], *expected])
    assert ERROR.unpack(device.read(Register.ERROR))["code"] == ErrorCode.SHORT
    device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
    works()


@pytest.mark.parametrize("seed", range(10))
def test_reset_in_the_middle_of_a_step(loaded, seed):
    driver, net, images, works = loaded
    rng = np.random.default_rng(seed)
    change(driver.device, rng)
    start(driver.device, packed(images), len(images))
    driver.device.idle(int(rng.integers(1, 3000)))
    driver.reset()
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 1, "loaded": 0}
    driver.load(model_file.build(net))
    works()


def conv(channels=3, maps=20, kernel=3, height=9, width=9, **more) -> dict[str, int]:
    return {"inputs": channels, "neurons": maps, "kernel": kernel, "height": height, "width": width, **more}


def dense(inputs, neurons=10, **more) -> dict[str, int]:
    return {"inputs": inputs, "neurons": neurons, **more}


SOUND = conv(padded=1, pool=1)  # 20 maps of 4×4
REFUSED = {
    "more words of weights than there are": [conv(channels=8, maps=20, height=5, width=5), dense(180)],
    "more words of membranes": [conv(channels=1, maps=17, height=13, width=14, padded=1, stride=1), dense(17 * 7 * 7)],
    "more positions": [conv(channels=1, maps=1, height=10, width=9, kernel=1), dense(90)],
    "positions in all rounds": [conv(channels=1, maps=33, height=5, width=5, kernel=1), dense(825)],
    "more inputs": [conv(channels=3, maps=1, height=10, width=9, padded=1, pool=1), dense(20)],
    "more inputs of a fully connected layer": [dense(257)],
    "nine channels": [conv(channels=9, maps=1, height=2, width=2, kernel=1), dense(4)],
    "no channels": [conv(channels=0), dense(0)],
    "no maps": [conv(maps=0), dense(0)],
    "nine rounds": [conv(channels=1, maps=129, height=1, width=1, kernel=1), dense(129)],
    "a kernel of 2": [conv(kernel=2), dense(20 * 8 * 8)],
    "a padded kernel of 1": [conv(kernel=1, padded=1, pool=1), dense(20 * 16)],
    "no rows": [conv(height=0), dense(1)],
    "fewer rows than the kernel": [conv(height=2), dense(20 * 7)],
    "fewer columns than the kernel": [conv(width=2), dense(20 * 7)],
    "65 columns": [conv(channels=1, maps=1, height=3, width=65), dense(63)],
    "nothing left by pooling": [conv(height=3, pool=1), dense(0)],
    "as many inputs as before pooling": [SOUND, dense(20 * 9 * 9)],
    "other inputs than it has outputs": [SOUND, dense(321)],
    "other channels than there are maps": [SOUND, conv(19, 16, 3, 4, 4, padded=1), dense(256)],
    "other rows than are made": [SOUND, conv(20, 16, 3, 5, 4, padded=1), dense(320)],
    "other columns than are made": [SOUND, conv(20, 16, 3, 4, 3, padded=1), dense(192)],
    "behind a fully connected layer": [dense(100, 48), conv(48, 4, 1, 1, 1), dense(4)],
    "the last": [SOUND],
    "between fully connected ones": [SOUND, dense(320, 16), conv(16, 4, 1, 1, 1), dense(4)],
    "one more than there are cores": [SOUND, conv(20, 4, 1, 4, 4), conv(4, 4, 1, 4, 4), dense(64)],
    "a state of other bits": [SOUND | {"continuous": 1, "state_bits": 12}, dense(320)],
    "more leak": [SOUND | {"continuous": 1, "state_bits": 11, "leak": 5}, dense(320)],
    "too many classes": [SOUND, dense(320, 11)],
}


@pytest.mark.parametrize("name", REFUSED)
def test_configurations_that_are_refused(loaded, name):
    """The network that is loaded stays."""
    driver, _, _, works = loaded
    sizes = REFUSED[name]
    words = [CONFIG.pack(layers=len(sizes), time_steps=2), *(CONFIG_LAYER.pack(**x) for x in sizes)]
    send(driver.device, configuration(words))
    assert ERROR.unpack(driver.device.read(Register.ERROR))["code"] == ErrorCode.CONFIG
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 1, "loaded": 1}
    driver.device.write(Register.CONTROL, CONTROL.pack(clear_error=1))
    works()


def test_what_is_refused_is_refused_for_that_alone(driver):
    """The sizes around which the others are wrong are taken."""
    for sizes in (
        [SOUND, dense(320)],
        [dense(256)],
        [SOUND, conv(20, 16, 3, 4, 4, padded=1), dense(256)],
        [conv(channels=8, maps=16, height=5, width=5, kernel=3), dense(144)],
        [conv(channels=1, maps=128, height=1, width=1, kernel=1), dense(128)],
        [conv(channels=1, maps=1, height=7, width=9, kernel=1), dense(63)],
        [conv(channels=1, maps=1, height=2, width=64, stride=1, kernel=1), dense(32)],
    ):
        words = [CONFIG.pack(layers=len(sizes), time_steps=2), *(CONFIG_LAYER.pack(**x) for x in sizes)]
        send(driver.device, configuration(words))
        assert ERROR.unpack(driver.device.read(Register.ERROR))["code"] == ErrorCode.NONE, sizes


@pytest.mark.parametrize("window", [Window(9, 2, 2, 1), Window(1, 16, 17, 3, 2), Window(1, 10, 9, 1)])
def test_software_refuses_what_the_accelerator_would(driver, window):
    net = network(np.random.default_rng(0), (1, window))
    with pytest.raises(ModelError, match="does not fit"):
        driver.load(model_file.build(net))


def test_traces_agree_across_backends():
    """Also of odd last rows and columns, which pooling drops: their membranes are 0 in both."""
    rng = np.random.default_rng(1)
    net = network(rng, (20, Window(2, 9, 11, 3, 1, 1, True)), lasts=True)
    model = model_file.build(net)
    spikes = networks.trains(rng, net, 6)
    with (
        Accelerator(model=model, backend="golden", geometry="tiny-conv") as a,
        Accelerator(model=model, geometry="tiny-conv") as b,
    ):
        traces = []
        for accelerator in (a, b):
            fired, membranes, states = accelerator.trace(Spikes(spikes))
            traces.append([*fired, membranes, states[0]])
            assert states[0].shape == (6, 3, 20 * 9 * 11)
            assert not states[0].reshape(6, 3, 20, 9, 11)[..., 8, :].any()
        for x, y in zip(*traces, strict=True):
            np.testing.assert_array_equal(x, y)
        for given in (Spikes(spikes), Events(spikes)):
            np.testing.assert_array_equal(a.infer(given).labels, b.infer(given).labels)
            np.testing.assert_array_equal(a.running(given)[0], b.running(given)[0])
