/* SPDX-License-Identifier: Apache-2.0
 *
 * A platform on the Verilated accelerator and its memory.
 *
 * Processor and accelerator each see memory of their own. The processor's is a write-back cache: a line goes to memory when it is
 * flushed or, if it was written to, at the worst time: over what the accelerator has just received.
 * Time is simulated clock cycles. Some pass with every access, many while it is looked whether a transfer is done.
 */
#ifndef SIMULATED_H
#define SIMULATED_H

#include <stddef.h>
#include <stdint.h>

#include "spikeline.h"

#define SIMULATED_MEMORY_BASE 0x10000000U
#define SIMULATED_CYCLES_US 100U
#define SIMULATED_COMMANDS 8U /* of a queue of the accelerator */

/* Results that are due, or have come and were not read yet. */
struct simulated_receive {
    size_t at;
    uint32_t bytes;
    int fresh; /* received, and not invalidated since */
};

/* What may be changed at any time. Changes of results happen once. */
struct simulated_faults {
    uint32_t poll_cycles;     /* that pass when it is looked whether a transfer is done */
    uint32_t access_cycles;   /* that pass with any access */
    uint32_t pack_cycles;     /* that pass before a flush */
    uint32_t clock_start;     /* in microseconds */
    uint64_t physical_offset; /* added to every physical address */
    uint32_t no_flush, no_invalidate_before, no_invalidate_after; /* cache maintenance left out; before, after a transfer */
    uint32_t no_interrupt; /* the line is not connected */
    uint32_t refuse_send, refuse_receive; /* the memory of this next command refuses all accesses; 0: none does */
    uint32_t change_word, change_bits;    /* of the next results, a 32-bit word and its bits */
    uint32_t answer_address, answer_mask, answer_set; /* a register that is read as (value & ~mask) | set, */
    uint32_t answer_skip;                             /* after so many reads of it */
};

struct simulated {
    struct spk_platform platform;
    uint8_t *processor, *logic; /* the memory, as processor and accelerator see it */
    uint8_t *clean;             /* as the two last agreed on it */
    size_t bytes;
    uint64_t address; /* of the next command */
    struct simulated_receive receive[SIMULATED_COMMANDS];
    uint32_t begun, done; /* RECEIVEs since the last reset */
    uint32_t ahead;       /* most that were under way while something was packed */
    uint64_t reads, waits;
    void *sim;
    struct simulated_faults faults;
};

/* What the memory is like: struct Timing of rtl/sim/harness.cpp, its shares in 1/65536. pause: microseconds in which nothing
 * moves, from now on. */
struct simulated_timing {
    uint64_t seed;
    uint32_t latency_least, latency_most, stall_read, stall_write, pause;
};

/* Load the library that `spikeline sim` names and reserve `bytes` of memory, in the file `shared` unless that is NULL.
 * Whatever goes wrong in this model, from here on, ends the process with a message. */
void simulated_open(struct simulated *simulated, const char *library, size_t bytes, const char *shared);
void simulated_close(struct simulated *simulated);

void simulated_memory(struct simulated *simulated, const struct simulated_timing *timing);

/* Is a command queued, or anything under way? */
int simulated_busy(const struct simulated *simulated);

#endif
