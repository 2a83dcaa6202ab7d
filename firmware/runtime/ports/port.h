/* SPDX-License-Identifier: Apache-2.0
 *
 * What the example asks of a port: registers, memory and a place to print. The runtime itself needs no more than the platform.
 */
#ifndef PORT_H
#define PORT_H

#include <stddef.h>

#include "spikeline.h"

/* Fill `platform`. memory, bytes: what the accelerator reaches, aligned to a page. Returns 0, or prints what is missing and returns 1. */
int port_open(struct spk_platform *platform, void **memory, size_t *bytes);

void port_print(const char *text);

#endif
