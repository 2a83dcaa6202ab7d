/* SPDX-License-Identifier: Apache-2.0
 *
 * The port without a board: registers are in the process that holds the simulated accelerator, at the socket SPIKELINE_SOCKET.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "port.h"
#include "remote.h"

int port_open(struct spk_platform *platform, void **memory, size_t *bytes)
{
    const char *path = getenv("SPIKELINE_SOCKET");
    if (path != NULL && remote_open(platform, path, memory, bytes) == 0) return 0;
    (void)fprintf(stderr, "SPIKELINE_SOCKET: %s; name the socket of a simulated accelerator\n",
                  path != NULL ? strerror(errno) : "not set");
    return 1;
}

void port_print(const char *text)
{
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}
