/* SPDX-License-Identifier: Apache-2.0
 *
 * What embed.py wrote, as constants.
 */
    .section .rodata
    .global network, network_bytes, digits, digits_bytes, digits_count, truth

    .balign 64
network:
    .incbin "network.bin"
network_end:
digits:
    .incbin "digits.bin"
digits_end:
truth:
    .incbin "truth.bin"
truth_end:

    .balign 4
network_bytes:
    .4byte network_end - network
digits_count:
    .4byte truth_end - truth
digits_bytes:
    .4byte (digits_end - digits) / (truth_end - truth)

    .section .note.GNU-stack, "", %progbits
