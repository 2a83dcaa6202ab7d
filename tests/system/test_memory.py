"""The accelerator's own way to memory: commands, interrupts, memories of every kind, and what goes wrong there."""

import numpy as np
import pytest

from spikeline.device.packets import Spikes, packed
from spikeline.device.transfers import QUEUE, Transfers
from spikeline.model import golden, model_file
from spikeline.model.spec import COMMANDS, INTERRUPT, MEMORY_ERROR, RECEIVE, SEND, STATUS, MemoryFault, Register
from spikeline.simulation.verilated import BOARD_LIKE, MEMORY_BASE, MEMORY_BYTES, Timing
from support.memory import start

FIRST = MEMORY_BASE + 0x4000


@pytest.fixture
def loaded(driver, random_network):
    """A driver with a network of one layer, a packet of 20 images and their labels."""
    network = random_network(np.random.default_rng(1), 1, time_steps=2, continuous=0)
    driver.load(model_file.build(network))
    spikes = (np.random.default_rng(2).random((20, 2, network.sizes[0])) < 0.3).astype(np.uint8)
    return driver, packed(Spikes(spikes)), golden.run(network, spikes).labels


def command(device, register, address, value, strobe=0xF):
    device.write(Register.ADDRESS_LO, address & 0xFFFFFFFF)
    device.write(Register.ADDRESS_HI, address >> 32)
    device.write(register, value, strobe)


def fault(device):
    """What MEMORY_ERROR and the address beside it say."""
    found = MEMORY_ERROR.unpack(device.read(Register.MEMORY_ERROR))
    return MemoryFault(found["code"]), found["receive"], device.read(Register.ERROR_ADDRESS_LO)


@pytest.mark.parametrize(
    ("register", "address", "value"),
    [
        (Register.SEND, FIRST, 0),
        (Register.SEND, FIRST, SEND.pack(last=1)),
        (Register.SEND, FIRST, SEND.pack(words=4, last=1) | 2),
        (Register.SEND, FIRST, SEND.pack(words=4, last=1) | 4),
        (Register.SEND, FIRST + 4, SEND.pack(words=4, last=1)),
        (Register.RECEIVE, FIRST, 0),
        (Register.RECEIVE, FIRST, RECEIVE.pack(words=4) | 1),
        (Register.RECEIVE, FIRST + 1, RECEIVE.pack(words=4)),
        (Register.SEND, FIRST | 1 << 32, SEND.pack(words=4, last=1)),  # beyond the addresses that are built
        (Register.RECEIVE, FIRST | 1 << 39, RECEIVE.pack(words=4)),
    ],
)
def test_commands_that_are_not_of_whole_words(device, register, address, value):
    command(device, register, address, value)
    assert fault(device)[:2] == (MemoryFault.COMMAND, register == Register.RECEIVE)
    assert COMMANDS.unpack(device.read(Register.COMMANDS)) == {"sends": 0, "receives": 0}


def test_a_command_is_written_whole_or_not_at_all(device):
    for strobe in range(15):
        command(device, Register.SEND, FIRST, SEND.pack(words=4), strobe)
        command(device, Register.RECEIVE, FIRST, RECEIVE.pack(words=4), strobe)
    assert COMMANDS.unpack(device.read(Register.COMMANDS)) == {"sends": 0, "receives": 0}
    assert fault(device)[0] == MemoryFault.NONE


@pytest.mark.parametrize("register", [Register.SEND, Register.RECEIVE])
def test_one_command_too_many(device, register):
    """The first QUEUE are taken whatever is under way; how many more depends on how far the first are."""
    device.timing(Timing(latency=(10**6, 10**6)))
    for n in range(QUEUE):
        command(device, register, FIRST + 4096 * n, SEND.pack(words=400))
        assert fault(device)[0] == MemoryFault.NONE
    commands = COMMANDS.unpack(device.read(Register.COMMANDS))
    assert max(commands["sends"], commands["receives"]) == QUEUE
    for n in range(QUEUE, 2 * QUEUE):
        command(device, register, FIRST + 4096 * n, SEND.pack(words=400))
        if fault(device)[0] != MemoryFault.NONE:
            break
    assert fault(device)[:2] == (MemoryFault.FULL, register == Register.RECEIVE)


@pytest.mark.parametrize("due", [1, 3, 19, 21, 40])
def test_results_must_be_as_many_as_were_due(loaded, due):
    driver, packet, labels = loaded
    driver.device.memory[:] = 0x55
    _, results = start(driver.device, packet, due)
    driver.device.idle(3000)
    code = MemoryFault.LONG if due < len(labels) else MemoryFault.SHORT
    assert fault(driver.device)[:2] == (code, 1)
    beyond = driver.device.memory[driver.device.address(results) + results.nbytes - MEMORY_BASE :]
    assert (beyond == 0x55).all(), "nothing is written beyond"
    assert (results[16 * (due // 16) :] == 0x5555555555555555).all(), "nor of a burst that would not be whole"


@pytest.mark.parametrize("of", ["packet", "results"])
@pytest.mark.parametrize("where", ["refused", "below", "above"])
def test_memory_that_is_not_there(loaded, of, where):
    driver, packet, labels = loaded
    device = driver.device
    sent, results = device.buffer("packet", len(packet)), device.buffer("results", len(labels))
    sent[:] = packet
    places = {"packet": device.address(sent), "results": device.address(results)}
    if where == "refused":
        device.fail(places[of] + 8, 8)
        at = places[of]
    else:
        places[of] = at = {"below": MEMORY_BASE - 0x1000, "above": MEMORY_BASE + MEMORY_BYTES}[where]
    command(device, Register.RECEIVE, places["results"], RECEIVE.pack(words=len(labels)))
    command(device, Register.SEND, places["packet"], SEND.pack(words=len(packet), last=1))
    device.idle(3000)
    code = MemoryFault.REFUSED if where == "refused" else MemoryFault.NOWHERE
    assert fault(device) == (code, of == "results", at)
    device.fail(0, 0)
    driver.reset()
    assert fault(device)[0] == MemoryFault.NONE
    assert STATUS.unpack(device.read(Register.STATUS)) == {"idle": 1, "loaded": 0}


def test_interrupts(loaded):
    """What has happened stays until it is cleared, and pulls the line if it is enabled."""
    driver, packet, labels = loaded
    device = driver.device
    device.write(Register.INTERRUPT, 7)
    assert device.read(Register.INTERRUPT) == 0
    for enabled in (0, INTERRUPT.pack(received=1)):
        device.write(Register.INTERRUPT_ENABLE, enabled)
        start(device, packet, len(labels))
        device.idle(3000)
        assert INTERRUPT.unpack(device.read(Register.INTERRUPT)) == {"sent": 1, "received": 1, "failed": 0}
        assert device.interrupt == bool(enabled)
        device.write(Register.INTERRUPT, INTERRUPT.pack(sent=1))
        assert INTERRUPT.unpack(device.read(Register.INTERRUPT)) == {"sent": 0, "received": 1, "failed": 0}
        device.write(Register.INTERRUPT, INTERRUPT.pack(received=1))
        device.idle(2)
        assert not device.interrupt
    device.write(Register.INTERRUPT_ENABLE, INTERRUPT.pack(failed=1))
    start(device, [0, 1, 2])
    device.idle(300)
    assert INTERRUPT.unpack(device.read(Register.INTERRUPT))["failed"]
    assert device.interrupt
    device.write(Register.INTERRUPT, 7)
    device.idle(2)
    assert not device.interrupt, "an error that stays is told once"


def test_the_line_rises_with_what_is_enabled(loaded):
    driver, packet, labels = loaded
    device = driver.device
    device.write(Register.INTERRUPT, 7)
    device.write(Register.INTERRUPT_ENABLE, INTERRUPT.pack(received=1))
    transfers, _ = start(device, packet, len(labels))
    device.run(1_000_000)  # until the packet is read
    assert not device.interrupt
    device.run(1_000_000)  # until its results are written
    assert device.interrupt
    assert transfers.poll() == 0


@pytest.mark.parametrize("timing", [Timing(latency=(300, 300)), Timing(stall_write=1)])
def test_it_is_idle_when_the_last_word_is_in_memory(loaded, timing):
    """Neither before the first word of a packet has come nor while a result is still on its way."""
    driver, packet, labels = loaded
    driver.device.timing(timing)
    start(driver.device, packet, len(labels))
    cycles = 30 if timing.latency[0] else 5000
    driver.device.idle(cycles)
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 0, "loaded": 1}
    driver.device.timing(Timing())
    driver.device.idle(5000)
    assert STATUS.unpack(driver.device.read(Register.STATUS)) == {"idle": 1, "loaded": 1}


@pytest.mark.parametrize("words", [1, 2, 15, 16, 17, 33, 511, 512, 513])
@pytest.mark.parametrize("offset", [0, 1, 15, 16, 500, 511])
def test_any_length_from_any_word(device, words, offset):
    """A packet of no meaning is read to its end, and the next one after it."""
    memory = device.buffer("packet", words + offset)
    transfers = Transfers(device)
    for _ in range(2):
        transfers.start(memory[offset:])
    while transfers.poll():
        pass
    assert device.read(Register.SENT) == 2
    assert fault(device)[0] == MemoryFault.NONE


def test_cycles_of_a_board_like_memory(loaded):
    """Latency, stalls and refresh change when, not what; and the accelerator waits for its input then."""
    driver, packet, labels = loaded
    cycles = []
    for timing in (Timing(), BOARD_LIKE):
        driver.device.timing(timing)
        driver.clear_counters()
        transfers, results = start(driver.device, packet, len(labels))
        while transfers.poll():
            pass
        np.testing.assert_array_equal(results & np.uint64(0xFFFF), labels)
        cycles.append(driver.counters())
    assert cycles[0].stall_input == 0, "an ideal memory is never waited for"
    assert cycles[1].cycles >= cycles[0].cycles
