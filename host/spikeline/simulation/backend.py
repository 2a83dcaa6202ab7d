"""The simulated board as a backend: the driver of a board, over a simulator that it owns and can look into."""

from typing import Any

from spikeline.device.backend import Inside
from spikeline.device.board import Board, BoardDriver
from spikeline.device.packets import Batch
from spikeline.model.geometry import Geometry
from spikeline.simulation.board import SimulatedBoard
from spikeline.simulation.recorded import inside


class SimulatedDriver(BoardDriver):
    """The driver of a simulated board of its own. Raises DeviceError if the simulator cannot be built."""

    can_trace = True

    def __init__(self, geometry: Geometry, timeout: float = 30.0):
        self._simulated = SimulatedBoard(geometry)
        self.simulator = self._simulated.simulator
        try:
            super().__init__(Board(self._simulated.bitstream, self._simulated), geometry.name, timeout)
        except BaseException:
            self._simulated.close()
            raise

    def trace(self, batch: Batch) -> Inside:
        network = self.require_model().network
        self.simulator.record(True)
        try:
            self.classify([batch] if len(batch) else [])
            return inside(self.simulator, network)
        finally:
            self.simulator.record(False)

    def sleep(self, seconds: float) -> None:
        """Not at all: the clock of the simulated hardware runs while it is looked at."""

    def wait(self, *given: Any, **options: Any) -> bool:
        begin = self._simulated.seconds
        done = super().wait(*given, **options)
        self._waited -= self._simulated.seconds - begin  # told apart below
        return done

    @property
    def waiting(self) -> float:
        return self._waited + self._simulated.seconds

    def close(self) -> None:
        try:
            super().close()
        finally:
            self._simulated.close()
