/* SPDX-License-Identifier: Apache-2.0
 *
 * A library for tests/system/test_c_convolution.py: what the runtime says of a model on an accelerator that is no more than its
 * registers. They never change, so a model that fits is sent and then waited for in vain.
 */
#include "spikeline.h"

enum { DEADLINE = 10 }; /* microseconds */

extern enum spk_status fits_load(const uint32_t *registers, const void *model, size_t bytes, struct spk_geometry *built);

struct context {
    const uint32_t *registers;
    uint32_t now;
};

static uint32_t read32(void *context, uint32_t address)
{
    return ((const struct context *)context)->registers[(address - SPK_BASE_ACCELERATOR) / 4U];
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    (void)address;
    (void)value;
}

static void keep(void *context, const void *memory, size_t bytes)
{
    (void)context;
    (void)memory;
    (void)bytes;
}

static uint64_t physical(void *context, const void *memory)
{
    (void)context;
    return (uintptr_t)memory;
}

static uint32_t microseconds(void *context)
{
    return ((struct context *)context)->now++;
}

static void barrier(void *context)
{
    (void)context;
}

/* The status of spk_open, or of spk_load behind it. built: what spk_open has read. */
enum spk_status fits_load(const uint32_t *registers, const void *model, size_t bytes, struct spk_geometry *built)
{
    struct context context;
    struct spk_platform platform = {NULL, read32, write32, keep, keep, physical, microseconds, barrier, NULL};
    struct spk_device device;
    enum spk_status status;
    context.registers = registers;
    context.now = 0U;
    platform.context = &context;
    status = spk_open(&device, &platform, SPK_BASE_ACCELERATOR, DEADLINE);
    *built = device.built;
    return status == SPK_OK ? spk_load(&device, model, bytes) : status;
}
