"""The exceptions a user can meet. Every message says what is wrong, where, and how to mend it."""


class SpikelineError(Exception):
    """Base of all errors that Spikeline raises on purpose."""


class DataError(SpikelineError):
    """A data set is missing, damaged or of the wrong layout."""


class PresetError(SpikelineError):
    """A training preset or checkpoint cannot be used."""


class CompileError(SpikelineError):
    """An ONNX network cannot be mapped to the accelerator."""


class ImageError(SpikelineError):
    """A memory image is damaged or does not fit the accelerator."""


class DeviceError(SpikelineError):
    """The accelerator, simulated or real, is missing, refuses a packet or does not answer in time."""
