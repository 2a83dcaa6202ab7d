/* SPDX-License-Identifier: Apache-2.0
 *
 * A platform whose registers are in another process: `server` holds the simulated accelerator, and answers here.
 *
 * Wire: a stream socket at PATH in the file system. The client sends requests; the server answers each but a write, in order.
 * The accelerator's memory is the file PATH.memory, from physical address REMOTE_MEMORY_BASE on; its length is the memory's.
 * The server is there once PATH is: wait for it. It serves one client and ends with it.
 */
#ifndef REMOTE_H
#define REMOTE_H

#include <stddef.h>
#include <stdint.h>

#include "spikeline.h"

#define REMOTE_MEMORY_BASE 0x10000000U
#define REMOTE_MEMORY_SUFFIX ".memory"

enum {
    REMOTE_READ = 1,  /* a register; answered by its value */
    REMOTE_WRITE = 2, /* a register; not answered */
    REMOTE_CLOCK = 3, /* answered by the simulated time in microseconds */
    REMOTE_WAIT = 4   /* answered when the interrupt has come, or so many microseconds have passed */
};

/* Both little-endian, as either side is. */
struct remote_request {
    uint32_t operation;
    uint32_t address;
    uint32_t value;
};
struct remote_answer {
    uint32_t value;
};

/* Connect to the server at `path` and fill `platform`. memory, bytes: what the accelerator reaches, page-aligned and zero; the
 * processor's view of it, so that a flush or an invalidation that is missing shows. One connection a process.
 * Returns 0, or -1 with errno set. Should the server go away later, the process says so and exits with status 3. */
int remote_open(struct spk_platform *platform, const char *path, void **memory, size_t *bytes);

#endif
