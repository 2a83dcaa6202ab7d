"""The sizes that an accelerator is built with, and whether a network fits them."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spikeline.errors import DeviceError, ModelError
from spikeline.files import read_json
from spikeline.model.network import MAX_LAYERS, Layer, Network

FOLDER = Path(__file__).parent / "geometries"
MAX_CONVOLUTIONS = 4  # that registers have room for
BANKS = 9  # of a convolution core, one for each place of a kernel
POSITION_BITS = 32  # of a position in the queue behind one, beside its maps
ROUNDS = 8  # that a convolution core can go through the spikes
CHANNELS = 511  # that can enter one
INPUT_CHANNELS = 8  # that can enter the first


@dataclass(frozen=True)
class LayerGeometry:
    """A layer core: room for `inputs` × `neurons` weights; `spikes_per_cycle` of them are added at once: 1, 2, 4 or 8.

    ultra_ram: 1 if the weights are in UltraRAM. It changes no result, and a device does not tell it.
    """

    inputs: int
    neurons: int
    spikes_per_cycle: int
    ultra_ram: int = field(default=0, compare=False)


@dataclass(frozen=True)
class ConvolutionGeometry:
    """A convolution core, which sums `maps` maps side by side. For a layer of more it goes through the spikes again and again.

    Its memory is in nine banks, (y mod 3, x mod 3) each, with a word for all maps that are summed at once.
    """

    maps: int
    rows: int  # weight words of a bank: channels · kernel² · ⌈maps of the layer / maps⌉
    words: int  # membrane words of a bank: ⌈height / 3⌉ · ⌈width / 3⌉ · ⌈maps of the layer / maps⌉, before pooling
    positions: int  # places in half of its queue: positions that are handed on · ⌈maps of the layer / maps⌉, and one
    distributed: int = field(default=0, compare=False)  # 1 if membranes are in LUTs, not in block RAM

    def rounds(self, layer: Layer) -> int:
        """How often it goes through the spikes."""
        return -(-layer.columns // self.maps)

    def misfit(self, layer: Layer) -> str | None:
        """Why `layer` does not fit, None if it does."""
        window, rounds = layer.window, self.rounds(layer)
        assert window is not None
        height, width = window.positions
        needs = {
            "rounds": (rounds, ROUNDS),
            "channels": (window.channels, CHANNELS),
            "words of weights": (window.fan_in * rounds, self.rows),
            "words of membranes": (-(-height // 3) * -(-width // 3) * rounds, self.words),
            "places to hand spikes on": (math.prod(window.pooled) * rounds + 1, self.positions),
        }
        short = [f"{need} {what} of {room}" for what, (need, room) in needs.items() if need > room]
        return f"would take {', '.join(short)}" if short else None


@dataclass(frozen=True)
class Geometry:
    """What the bitstream (or the simulator) was built with; networks up to these sizes run on it."""

    name: str
    layers: tuple[LayerGeometry, ...]
    weight_bits: int
    membrane_bits: int
    classes: int
    clock_mhz: float  # that it is built for
    continuous: bool = False  # can membranes last from step to step?
    max_leak: int = 0  # largest leak of such a membrane, a shift of 0 (no leak) to 15
    direct: bool = False  # can layer 0 take direct input, bit plane by bit plane?
    convolutions: tuple[ConvolutionGeometry, ...] = ()  # before the layers
    inputs: int = 0  # of the first layer, whatever its kind; 0: as many as layer 0 has room for
    group: int = 8  # neurons that are decided one after another where membranes last or the input is direct: 8, 16 or 32
    device: str = field(default="XC7Z020", compare=False)  # that its sizes are chosen for

    @property
    def lanes(self) -> int:
        """Weights in one 64-bit memory word, so neurons of one slice."""
        return 64 // self.weight_bits

    @property
    def input_room(self) -> int:
        """Inputs that the first layer of a network may have."""
        return self.inputs or self.layers[0].inputs

    def sum_bits(self, core: int) -> int:
        """Bits of the sum over the spikes of a position in a convolution core: of those of all maps of the core before."""
        together = self.convolutions[core - 1].maps if core else 1
        return min(self.weight_bits + (together - 1).bit_length(), self.membrane_bits)

    def cores(self, network: Network) -> list[int]:
        """Which core each layer of `network` takes; those of convolutions are counted first."""
        first = network.convolutions
        return [n if n < first else len(self.convolutions) + n - first for n in range(len(network.layers))]

    @staticmethod
    def load(name: str | Path) -> "Geometry":
        """Read a geometry by its name or from a JSON file. Raises DeviceError for one that is not there or not sound."""
        path = Path(name) if Path(name).suffix == ".json" else FOLDER / f"{name}.json"
        known = ", ".join(sorted(p.stem for p in FOLDER.glob("*.json")))
        try:
            data = read_json(path)
            geometry = Geometry(
                name=path.stem,
                layers=tuple(LayerGeometry(**{key: _whole(x) for key, x in layer.items()}) for layer in data["layers"]),
                weight_bits=_whole(data["weight_bits"]),
                membrane_bits=_whole(data["membrane_bits"]),
                classes=_whole(data["classes"]),
                clock_mhz=float(data["clock_mhz"]),
                continuous=bool(data.get("continuous", False)),
                max_leak=_whole(data.get("max_leak", 0)),
                direct=bool(data.get("direct", False)),
                convolutions=tuple(
                    ConvolutionGeometry(**{key: _whole(x) for key, x in unit.items()}) for unit in data.get("convolutions", ())
                ),
                inputs=_whole(data.get("inputs", 0)),
                group=_whole(data.get("group", 8)),
                device=str(data.get("device", "XC7Z020")),
            )
        except FileNotFoundError:
            raise DeviceError(f"no geometry {name}; there are {known}, or name a .json file") from None
        except OSError as error:
            raise DeviceError(f"cannot read the geometry {path}: {error.strerror}; there are {known}") from None
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise DeviceError(f"{path} is not a geometry ({error!r}); write it as {FOLDER / 'tiny.json'} is") from None
        geometry._check(path)
        return geometry

    @staticmethod
    def smallest(network: Network) -> "Geometry":
        """The shipped geometry with the fewest weights that `network` fits. Raises DeviceError if it fits none.

        Of two with as many, the one without direct input. One with convolutions is for a network that has some, if another fits.
        """

        def size(geometry: Geometry) -> tuple[bool, int, bool, str]:
            convolved = sum(9 * x.maps * (x.rows + 2 * x.words) for x in geometry.convolutions)
            weights = convolved + sum(x.inputs * x.neurons for x in geometry.layers)
            return convolved > 0 and not network.convolutions, weights, geometry.direct, geometry.name

        for geometry in sorted((Geometry.load(p.stem) for p in FOLDER.glob("*.json")), key=size):
            if not geometry.misfits(network):
                return geometry
        raise DeviceError(f"{'-'.join(map(str, network.sizes))} fits no shipped geometry; name one with --geometry")

    def _check(self, path: Path) -> None:
        sound = (
            1 <= len(self.layers) <= MAX_LAYERS - len(self.convolutions)
            and len(self.convolutions) <= MAX_CONVOLUTIONS
            and self.weight_bits in (2, 4, 8)
            and 4 <= self.membrane_bits <= 24
            and 2 <= self.classes <= self.lanes
            and self.classes % 2 == 0
            and 1 <= self.clock_mhz <= 1000
            and self.group in (8, 16, 32)
            and self.group <= self.lanes
            and 0 <= self.max_leak <= (15 if self.continuous else 0)
            and all(
                x.spikes_per_cycle in (1, 2, 4, 8)
                and 16 <= x.inputs < 1 << 16
                and 16 <= x.neurons < 1 << 16
                and x.ultra_ram in (0, 1)
                for x in self.layers
            )
            and all(a.neurons == b.inputs for a, b in zip(self.layers, self.layers[1:], strict=False))
            and all(x.neurons % self.lanes == 0 for x in self.layers)
            and 0 <= self.inputs < 1 << 16
            and all(
                x.maps in (8, 16, 32, 64)
                and x.maps % self.lanes == 0
                and 16 <= x.rows <= 4096
                and 16 <= x.words <= 512
                and 16 <= x.positions <= 4096
                and x.distributed in (0, 1)
                for x in self.convolutions
            )
        )
        if not sound:
            raise DeviceError(
                f"{path} is not sound; a geometry has 1 to 8 layers, each with as many inputs as the one before has neurons, "
                f"neurons in multiples of 64 / weight_bits, 1, 2, 4 or 8 spikes per cycle, weights of 2, 4 or 8 bits, membranes "
                f"of 4 to 24 bits, an even number of classes up to 64 / weight_bits, a clock of 1 to 1000 MHz, a leak up to 15 "
                "if continuous, groups of 8, 16 or 32 neurons, at most 64 / weight_bits, and up to 4 convolutions, counted as "
                "layers, of 8, 16, 32 or 64 maps, a multiple of 64 / weight_bits, 16 to 4096 rows and positions, 16 to 512 words"
            )

    @property
    def refuses_direct(self) -> str:
        """In words, that it has no direct input."""
        known = sorted(p.stem for p in FOLDER.glob("*.json") if Geometry.load(p.stem).direct)
        return f"the accelerator {self.name} takes no direct input; take a geometry that does, such as {', '.join(known)}"

    def require(self, network: Network) -> None:
        """Raise ModelError, which says why and what to do, if `network` does not fit."""
        if problems := self.misfits(network):
            raise ModelError(
                f"the network does not fit {self.name}: {'; '.join(problems)}; take a larger geometry or train a smaller network"
            )

    def misfits(self, network: Network) -> list[str]:
        """Say in words why `network` does not fit; an empty list if it does."""
        problems = []
        if network.weight_bits != self.weight_bits:
            problems.append(f"weights are packed for {network.weight_bits} bits, the accelerator has {self.weight_bits}")
        first = network.convolutions  # of the fully connected ones
        if first > len(self.convolutions):
            known = sorted(p.stem for p in FOLDER.glob("*.json") if len(Geometry.load(p.stem).convolutions) >= first)
            which = f" ({', '.join(known)} {'has' if len(known) == 1 else 'have'} as many)" if known else ""
            what = "convolution" if first == 1 else "convolutions"
            problems.append(f"{first} {what}, the accelerator has {len(self.convolutions)}{which}")
        if len(network.layers) - first > len(self.layers):
            problems.append(f"{len(network.layers) - first} layers, the accelerator has {len(self.layers)}")
        if (first or self.inputs) and network.sizes[0] > self.input_room:
            problems.append(f"{network.sizes[0]} inputs, the accelerator has {self.input_room}")
        window = network.layers[0].window
        if window and window.channels > INPUT_CHANNELS:
            problems.append(f"{window.channels} maps of inputs, the accelerator takes {INPUT_CHANNELS}")
        for n, (layer, unit) in enumerate(zip(network.layers[:first], self.convolutions, strict=False)):
            if misfit := unit.misfit(layer):
                problems.append(f"layer {n} {misfit}")
        for n, (layer, room) in enumerate(zip(network.layers[first:], self.layers, strict=False), first):
            if layer.inputs > room.inputs or layer.neurons > room.neurons:
                problems.append(
                    f"layer {n} is {layer.inputs}×{layer.neurons}, the accelerator has room for {room.inputs}×{room.neurons}"
                )
        if network.membrane_bits > self.membrane_bits:
            problems.append(f"membranes need {network.membrane_bits} bits, the accelerator has {self.membrane_bits}")
        if network.direct and not self.direct:
            problems.append(self.refuses_direct)
        for n, layer in enumerate(network.layers):
            if layer.continuous and not self.continuous:
                problems.append(f"layer {n} is continuous, the accelerator is discontinuous only")
            elif layer.continuous and layer.state_bits != self.membrane_bits - 1:
                problems.append(f"the state of layer {n} has {layer.state_bits} bits, the accelerator's {self.membrane_bits - 1}")
            if layer.leak > self.max_leak and self.continuous:
                problems.append(f"layer {n} leaks by a shift of {layer.leak}, the accelerator up to {self.max_leak}")
        if network.layers[-1].neurons > self.classes:
            problems.append(f"{network.layers[-1].neurons} classes, the accelerator tells {self.classes} apart")
        return problems


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise TypeError(f"{value!r} is no whole number")
    return value
