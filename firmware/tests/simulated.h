/* SPDX-License-Identifier: Apache-2.0
 *
 * A platform on the Verilated accelerator and a model of AMD's AXI DMA in simple mode (PG021), as far as its registers show; and
 * its receiver takes up to four words before a transfer is started, as soon as it runs.
 *
 * Processor and DMA each see memory of their own. The processor's is a write-back cache: a line goes to memory when it is flushed
 * or, if it was written to, at the worst time: over what the DMA has just received.
 * Time is simulated clock cycles. Some pass with every access, many while the status of a busy channel is read.
 */
#ifndef SIMULATED_H
#define SIMULATED_H

#include <stddef.h>
#include <stdint.h>

#include "spikeline.h"

#define SIMULATED_MEMORY_BASE 0x10000000U
#define SIMULATED_CYCLES_US 100U
#define SIMULATED_EARLY 4U

enum simulated_channel_name { SIMULATED_SEND, SIMULATED_RECEIVE, SIMULATED_CHANNELS };

struct simulated_channel {
    int run, busy, done;
    uint32_t address, address_msb, length;
    uint32_t early; /* words of the transfer that had come before */
    uint32_t error; /* bits of the status register; it takes a reset to run again */
    int starting;   /* reads of the status until it is seen to run */
};

/* What may be changed at any time. Planted errors and changes happen once. */
struct simulated_faults {
    uint32_t poll_cycles;     /* between two looks at a busy channel */
    uint32_t clock_start;     /* in microseconds */
    uint32_t lag;             /* reads of a DMA register until a reset or a start of a channel shows */
    uint32_t stuck;           /* the DMA does not come out of reset */
    uint32_t physical_offset; /* added to every physical address */
    uint32_t no_flush, no_invalidate_before, no_invalidate_after; /* cache maintenance left out; before, after a transfer */
    uint32_t fail_after; /* reads of a busy channel's status until it meets an error; 0: never */
    uint32_t fail_channel, fail_error; /* bits of the status register; 0: it only halts */
    uint32_t lose_bytes;               /* at the end of the next results */
    uint32_t change_word, change_bits; /* of them, a 32-bit word and its bits */
    uint32_t answer_address, answer_mask, answer_set; /* a register that is read as (value & ~mask) | set */
};

struct simulated {
    struct spk_platform platform;
    uint8_t *processor, *dma; /* the memory, as either sees it */
    uint8_t *clean;           /* as the two last agreed on it */
    size_t bytes;
    struct simulated_channel channel[SIMULATED_CHANNELS];
    uint64_t early[SIMULATED_EARLY];
    size_t early_words;
    int early_end; /* the last of them ended its packet */
    int resetting; /* reads of a control register until that is done */
    int fresh;     /* something was received and not invalidated since */
    uint64_t reads;
    uint64_t writes;
    void *sim;
    struct simulated_faults faults;
};

/* Load the library that spikeline.sim.build made and reserve `bytes` of memory, in the file `shared` unless that is NULL.
 * Whatever goes wrong in this model, from here on, ends the process with a message. */
void simulated_open(struct simulated *simulated, const char *library, size_t bytes, const char *shared);
void simulated_close(struct simulated *simulated);

/* Stall either stream at random in this share of the cycles, in 1/65536. */
void simulated_stall(struct simulated *simulated, uint64_t seed, uint32_t send, uint32_t receive);

#endif
