"""Pack and unpack the bit fields of a register, stream word or file word."""

import numpy as np


class BitFields:
    """A word of `bits` bits with named fields, each given as (lowest bit, bits)."""

    def __init__(self, bits: int, **fields: tuple[int, int]):
        self.bits = bits
        self.fields = fields

    def pack(self, **values: int) -> int:
        """Return the word with these field values, all others 0. Raises ValueError for a value that does not fit."""
        word = 0
        for name, value in values.items():
            lsb, width = self.fields[name]
            if not 0 <= value < 1 << width:
                raise ValueError(f"{name} = {value} does not fit its {width} bits")
            word |= int(value) << lsb
        return word

    def unpack_array(self, words: np.ndarray) -> dict[str, np.ndarray]:
        """Return every field of an array of unsigned words, as arrays of its shape and dtype."""
        return {
            name: (words >> words.dtype.type(lsb)) & words.dtype.type((1 << width) - 1)
            for name, (lsb, width) in self.fields.items()
        }

    def unpack(self, word: int) -> dict[str, int]:
        """Return the value of every field of `word`, unsigned."""
        return {name: (int(word) >> lsb) & ((1 << width) - 1) for name, (lsb, width) in self.fields.items()}
