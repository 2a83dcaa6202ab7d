"""pynq 3 gives its buffers an attribute `device`, which arrays of numpy 2 have already and do not let go."""

import numpy as np

from spikeline.errors import DeviceError


def check(buffer: type, array: type = np.ndarray) -> None:
    """Raises DeviceError if buffers of the class `buffer`, pynq's, cannot be made of this numpy's arrays."""
    if hasattr(array, "device") and getattr(buffer, "device", None) is array.device:
        raise DeviceError(f"pynq 3.x needs numpy < 2, here is {np.__version__}: pip install 'numpy<2'")
