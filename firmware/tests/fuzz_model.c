/* SPDX-License-Identifier: Apache-2.0
 *
 * libFuzzer: models as they come, then with length and CRC-32 put right, so that the packets are read. What passes is loaded into
 * an accelerator that takes everything: all that is sent must lie within the model, packet after packet, and its checksums make
 * the identity that is expected.
 */
#include <stdlib.h>
#include <string.h>

#include "spikeline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define MEMORY_BASE 0x10000000U
#define HEADER_BYTES (SPK_MODEL_LAYER + SPK_MODEL_LAYER_COUNT * SPK_MODEL_LAYER_STRIDE)

/* The model that is loaded, and how far it has been sent. */
static struct {
    const uint8_t *model;
    size_t bytes, sent, address;
    uint32_t sends; /* register SENT */
    uint32_t held;  /* register MODEL: of what has been sent */
} taken;

static void require(int condition)
{
    if (!condition) abort();
}

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

/* ---- an accelerator with the largest geometry, whose transfers are always done ---- */

static uint32_t read32(void *context, uint32_t address)
{
    (void)context;
    switch (address) {
    case SPK_BASE_ACCELERATOR + SPK_REG_ID: return SPK_REG_ID_VALUE_RESET;
    case SPK_BASE_ACCELERATOR + SPK_REG_VERSION:
        return SPK_REG_VERSION_MAJOR_RESET << SPK_REG_VERSION_MAJOR_LSB | SPK_REG_VERSION_MINOR_RESET;
    case SPK_BASE_ACCELERATOR + SPK_REG_STATUS: return SPK_REG_STATUS_IDLE_MASK | SPK_REG_STATUS_LOADED_MASK;
    case SPK_BASE_ACCELERATOR + SPK_REG_ERROR: return 0;
    case SPK_BASE_ACCELERATOR + SPK_REG_FEATURES: return SPK_REG_FEATURES_COMMANDS_MASK;
    case SPK_BASE_ACCELERATOR + SPK_REG_MODEL: return taken.held;
    case SPK_BASE_ACCELERATOR + SPK_REG_SENT: return taken.sends;
    default: return 0;
    }
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    require(address != SPK_BASE_ACCELERATOR + SPK_REG_RECEIVE);
    if (address == SPK_BASE_ACCELERATOR + SPK_REG_ADDRESS_LO) taken.address = value - MEMORY_BASE;
    if (address == SPK_BASE_ACCELERATOR + SPK_REG_ADDRESS_HI) require(value == 0U);
    if (address == SPK_BASE_ACCELERATOR + SPK_REG_SEND) {
        const uint32_t bytes = value & SPK_REG_SEND_WORDS_MASK;
        require(value == (bytes | SPK_REG_SEND_LAST_MASK) && bytes != 0U);
        require(taken.address == taken.sent && bytes <= taken.bytes - taken.sent);
        taken.sent += bytes;
        taken.held = (taken.held << 1 | taken.held >> 31) ^ get32(taken.model + taken.sent - 8);
        ++taken.sends;
    }
}

static void maintain(void *context, const void *memory, size_t bytes)
{
    const size_t at = (size_t)((uintptr_t)memory - (uintptr_t)taken.model);
    (void)context;
    require(at <= taken.bytes && bytes <= taken.bytes - at);
}

static uint64_t physical(void *context, const void *memory)
{
    (void)context;
    return MEMORY_BASE + ((uintptr_t)memory - (uintptr_t)taken.model);
}

static uint32_t microseconds(void *context)
{
    static uint32_t now;
    (void)context;
    return now++;
}

static void barrier(void *context)
{
    (void)context;
}

static const struct spk_platform platform = {NULL, read32, write32, maintain, maintain, physical, microseconds, barrier, NULL};

static void load(const uint8_t *model, size_t bytes, const struct spk_geometry *needs)
{
    struct spk_device device;
    require(spk_open(&device, &platform, SPK_BASE_ACCELERATOR, 1000) == SPK_OK);
    device.continuous = 1;
    device.max_leak = 15;
    device.direct = 1;
    device.built = *needs;
    taken.model = model;
    taken.bytes = bytes;
    taken.sent = HEADER_BYTES;
    taken.held = 0;
    switch (spk_load(&device, model, bytes)) {
    case SPK_OK:
        require(taken.sent == bytes - get32(model + SPK_MODEL_NOTE_BYTES) && device.loaded && device.time_steps != 0U);
        require(device.inputs == needs->layer[0].inputs && device.classes == needs->classes);
        break;
    case SPK_ERR_GEOMETRY: /* a state of other bits than the membrane */
        require(!device.loaded && taken.sent == HEADER_BYTES);
        break;
    default: abort();
    }
}

/* ---- the input ---- */

static uint32_t crc32(const uint8_t *data, size_t bytes)
{
    static uint32_t table[256];
    uint32_t crc = 0xFFFFFFFFU;
    uint32_t n, k;
    for (n = 0; table[255] == 0U && n < 256U; ++n)
        for (table[n] = n, k = 0; k < 8U; ++k) table[n] = table[n] >> 1 ^ ((table[n] & 1U) != 0U ? 0xEDB88320U : 0U);
    while (bytes-- != 0U) crc = crc >> 8 ^ table[(crc ^ *data++) & 255U];
    return ~crc;
}

static void put32(uint8_t *at, uint32_t value)
{
    size_t n;
    for (n = 0; n < 4U; ++n) at[n] = (uint8_t)(value >> 8U * n);
}

static enum spk_status try_model(const uint8_t *model, size_t size)
{
    struct spk_geometry needs;
    const enum spk_status status = spk_check(model, size, &needs);
    if (status == SPK_OK) {
        require(needs.layers >= 1U && needs.layers <= SPK_REG_LAYER_COUNT);
        require(needs.weight_bits == 2U || needs.weight_bits == 4U || needs.weight_bits == 8U);
        require(needs.layer[needs.layers - 1U].neurons == needs.classes);
        load(model, size, &needs);
    }
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *model;
    enum spk_status status;
    (void)try_model(data, size);
    if (size < HEADER_BYTES) return 0;
    model = malloc(size);
    if (model == NULL) abort();
    memcpy(model, data, size);
    put32(model + SPK_MODEL_MAGIC, SPK_MODEL_MAGIC_VALUE_RESET);
    put32(model + SPK_MODEL_VERSION, SPK_MODEL_VERSION_VALUE_RESET);
    put32(model + SPK_MODEL_BODY_BYTES, (uint32_t)(size - HEADER_BYTES));
    put32(model + SPK_MODEL_CRC, 0);
    put32(model + SPK_MODEL_CRC, crc32(model, size));
    status = try_model(model, size);
    require(status == SPK_OK || status == SPK_ERR_PACKETS);
    free(model);
    return 0;
}
