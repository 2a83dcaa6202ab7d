"""The exceptions a user can meet. Every message says what is wrong, where, and how to mend it."""

LONGEST = 2000  # characters of a message


class SpikelineError(Exception):
    """Base of all errors that Spikeline raises on purpose. Its text is one printable line, whatever it quotes of a bad file."""

    def __str__(self) -> str:
        text = " ".join(super().__str__().split())
        text = "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)
        return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


class DataError(SpikelineError):
    """A data set is missing, damaged or of the wrong layout."""


class PresetError(SpikelineError):
    """A training preset or checkpoint cannot be used."""


class CompileError(SpikelineError):
    """An ONNX network cannot be mapped to the accelerator."""


class ModelError(SpikelineError):
    """A model file is damaged or does not fit the accelerator."""


class DeviceError(SpikelineError):
    """The accelerator, simulated or real, is missing, refuses a packet or does not answer in time."""
