/* SPDX-License-Identifier: Apache-2.0
 *
 * Spikeline's embedded runtime: see spikeline.h. Words in memory are little-endian, as the processor is.
 */
#include "spikeline.h"

#include <string.h>

#define FIELD(word, name) ((uint32_t)(((word) & name##_MASK) >> name##_LSB))
#define PUT(value, name) (((uint64_t)(value) << name##_LSB) & name##_MASK)

enum {
    WORD_BYTES = 8,
    LINE_BYTES = 64, /* no cache line is longer */
    HEADER_BYTES = SPK_MODEL_LAYER + SPK_MODEL_LAYER_COUNT * SPK_MODEL_LAYER_STRIDE,
    MAX_LAYERS = SPK_MODEL_LAYER_COUNT,
    LARGEST_NOTE = 1 << 16,
    LARGEST_SEND = 1 << 30, /* bytes */
    PIXEL_BITS = 8,
    LARGEST_SIDE = 64, /* of a map */
    PARTS = 3 /* of the buffer: two transfers are under way while the results of another are read */
};

#define OLDEST_VERSION \
    (PUT(SPK_REG_VERSION_MAJOR_RESET, SPK_REG_VERSION_MAJOR) | PUT(SPK_REG_VERSION_MINOR_RESET, SPK_REG_VERSION_MINOR))

/* What a layer keeps: rows of weights, a threshold and a bias for each of its columns, which are neurons or maps of them. */
struct columns {
    uint32_t rows;
    uint32_t columns;
    uint32_t height, width;  /* of a map that a convolution makes, before pooling; 0 of a fully connected layer */
    uint32_t pooled_height, pooled_width;
};

/* A network, as the packets of a model describe it. */
struct network {
    struct spk_geometry needs;
    struct columns kept[MAX_LAYERS];
    size_t packets; /* bytes of all, up to the note, which is for other software */
    uint32_t identity; /* what register MODEL holds once all are loaded */
    uint8_t state_bits[MAX_LAYERS]; /* 0 of a layer that is not continuous */
    uint8_t max_leak;
    uint8_t encoder;
    uint16_t time_steps;
};

/* ---- words ---- */

static uint32_t get32(const uint8_t *at)
{
    return (uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
}

static uint64_t get64(const uint8_t *at)
{
    return (uint64_t)get32(at) | (uint64_t)get32(at + 4) << 32;
}

static uint32_t divide_up(uint32_t value, uint32_t by)
{
    return (value + by - 1U) / by;
}

static size_t round_down(size_t bytes)
{
    return bytes / LINE_BYTES * LINE_BYTES;
}

static size_t round_up(size_t bytes)
{
    return round_down(bytes + LINE_BYTES - 1U);
}

static int aligned(const void *memory)
{
    return (uintptr_t)memory % WORD_BYTES == 0U;
}

/* ---- registers ---- */

static uint32_t get(const struct spk_device *device, uint32_t offset)
{
    return device->platform->read32(device->platform->context, device->accelerator + offset);
}

static void put(const struct spk_device *device, uint32_t offset, uint32_t value)
{
    device->platform->write32(device->platform->context, device->accelerator + offset, value);
}

static uint32_t now(const struct spk_device *device)
{
    return device->platform->microseconds(device->platform->context);
}

static uint64_t get_wide(const struct spk_device *device, uint32_t low)
{
    const uint64_t value = get(device, low); /* captures the high word */
    return (uint64_t)get(device, low + 4U) << 32 | value;
}

static int idle(const struct spk_device *device)
{
    return (get(device, SPK_REG_STATUS) & SPK_REG_STATUS_IDLE_MASK) != 0U;
}

/* ---- transfers ---- */

/* Give up all work. The accelerator ends the bursts that it has begun; until it is idle it may still write to a buffer. */
static enum spk_status stop(struct spk_device *device)
{
    const uint32_t since = now(device);
    device->loaded = 0U;
    put(device, SPK_REG_CONTROL, SPK_REG_CONTROL_RESET_MASK | SPK_REG_CONTROL_CLEAR_ERROR_MASK);
    while (!idle(device))
        if (now(device) - since > device->timeout_us) return SPK_ERR_RESET;
    return SPK_OK;
}

/* What has gone wrong, if anything: its first error is kept in the device. */
static enum spk_status failed(struct spk_device *device)
{
    const uint32_t refused = get(device, SPK_REG_ERROR), fault = get(device, SPK_REG_MEMORY_ERROR);
    if (FIELD(refused, SPK_REG_ERROR_CODE) != 0U) {
        device->error_code = (uint8_t)FIELD(refused, SPK_REG_ERROR_CODE);
        device->error_packet = (uint8_t)FIELD(refused, SPK_REG_ERROR_PACKET);
        device->error_layer = (uint8_t)FIELD(refused, SPK_REG_ERROR_LAYER);
        return SPK_ERR_REFUSED;
    }
    if (FIELD(fault, SPK_REG_MEMORY_ERROR_CODE) == SPK_MEMORY_FAULT_NONE) return SPK_OK;
    device->error_address = get_wide(device, SPK_REG_ERROR_ADDRESS_LO);
    switch (FIELD(fault, SPK_REG_MEMORY_ERROR_CODE)) {
    case SPK_MEMORY_FAULT_REFUSED: return SPK_ERR_MEMORY;
    case SPK_MEMORY_FAULT_NOWHERE:
    case SPK_MEMORY_FAULT_COMMAND: return SPK_ERR_ADDRESS; /* one that is not of whole words either */
    case SPK_MEMORY_FAULT_FULL: return SPK_ERR_MODEL;      /* of somebody else's commands */
    default: return SPK_ERR_RESULTS;                       /* fewer or more than are due */
    }
}

static void command(const struct spk_device *device, uint32_t kind, const void *memory, uint32_t value)
{
    const uint64_t address = device->platform->physical(device->platform->context, memory);
    put(device, SPK_REG_ADDRESS_LO, (uint32_t)address);
    put(device, SPK_REG_ADDRESS_HI, (uint32_t)(address >> 32));
    put(device, kind, value);
}

/* Queue the receiving of results, of whole words and below 4 GiB; before the packet that they come of is sent. */
static void receive(const struct spk_device *device, void *memory, size_t bytes)
{
    device->platform->invalidate(device->platform->context, memory, bytes); /* no line goes over results */
    command(device, SPK_REG_RECEIVE, memory, (uint32_t)bytes);
}

/* Queue the sending of a packet, or of a part of one. flags: SPK_REG_SEND_LAST_MASK with the last part, else 0. */
static void send(const struct spk_device *device, const void *memory, size_t bytes, uint32_t flags)
{
    device->platform->flush(device->platform->context, memory, bytes);
    device->platform->barrier(device->platform->context);
    command(device, SPK_REG_SEND, memory, (uint32_t)bytes | flags);
}

/* Sleep until one of these interrupts, or so long; the line is pulled meanwhile only. */
static void await_interrupt(const struct spk_device *device, uint32_t interrupts, uint32_t microseconds)
{
    put(device, SPK_REG_INTERRUPT_ENABLE, interrupts);
    device->platform->wait(device->platform->context, microseconds);
    put(device, SPK_REG_INTERRUPT_ENABLE, 0U);
}

/* Wait until a counter, SPK_REG_SENT or SPK_REG_RECEIVED, has come to `target`, and for the last transfer until all is idle. */
static enum spk_status await(struct spk_device *device, uint32_t counter, uint32_t target, int last)
{
    const int sleeps = device->platform->wait != NULL;
    const uint32_t interrupts = SPK_REG_INTERRUPT_FAILED_MASK |
                                (counter == SPK_REG_SENT ? SPK_REG_INTERRUPT_SENT_MASK : SPK_REG_INTERRUPT_RECEIVED_MASK);
    uint32_t since = now(device), images = get(device, SPK_REG_IMAGES_LO);
    for (;;) {
        uint32_t count, passed;
        enum spk_status status;
        int reached, done;
        if (sleeps) put(device, SPK_REG_INTERRUPT, interrupts); /* before the look: what comes after it ends the sleep */
        reached = get(device, counter) - target <= INT32_MAX;   /* the counter wraps */
        done = reached && (!last || idle(device));
        status = failed(device); /* after the look at idle: of what is done all errors are known */
        if (status != SPK_OK || done) return status;
        count = get(device, SPK_REG_IMAGES_LO);
        passed = now(device) - since;
        if (count != images) {
            images = count;
            since += passed;
            passed = 0U;
        }
        if (passed > device->timeout_us) return SPK_ERR_TIMEOUT;
        if (sleeps && !reached) await_interrupt(device, interrupts, device->timeout_us - passed + 1U);
    }
}

/* The status of a call that has begun transfers. If it has failed all are stopped, and the buffers are the caller's again. */
static enum spk_status settle(struct spk_device *device, enum spk_status status)
{
    return status != SPK_OK && stop(device) != SPK_OK ? SPK_ERR_RESET : status;
}

/* ---- model ---- */

/* CRC-32 (IEEE 802.3, reflected), four bits at a time. */
static uint32_t crc32(uint32_t crc, const uint8_t *data, size_t bytes)
{
    static const uint32_t table[16] = {0x00000000U, 0x1DB71064U, 0x3B6E20C8U, 0x26D930ACU, 0x76DC4190U, 0x6B6B51F4U,
                                       0x4DB26158U, 0x5005713CU, 0xEDB88320U, 0xF00F9344U, 0xD6D6A3E8U, 0xCB61B38CU,
                                       0x9B64C2B0U, 0x86D3D2D4U, 0xA00AE278U, 0xBDBDF21CU};
    crc = ~crc;
    while (bytes-- != 0U) {
        crc ^= *data++;
        crc = crc >> 4 ^ table[crc & 15U];
        crc = crc >> 4 ^ table[crc & 15U];
    }
    return ~crc;
}

static enum spk_status check_header(const uint8_t *model, size_t bytes, struct spk_geometry *needs)
{
    static const uint8_t zero[4] = {0U};
    uint32_t crc, word;
    size_t n;
    if (bytes < HEADER_BYTES) return SPK_ERR_TRUNCATED;
    if (get32(model + SPK_MODEL_MAGIC) != SPK_MODEL_MAGIC_VALUE_RESET) return SPK_ERR_MAGIC;
    if (get32(model + SPK_MODEL_VERSION) != SPK_MODEL_VERSION_VALUE_RESET) return SPK_ERR_MODEL_VERSION;
    if (get32(model + SPK_MODEL_BODY_BYTES) != bytes - HEADER_BYTES) return SPK_ERR_TRUNCATED;
    crc = crc32(0U, model, SPK_MODEL_CRC);
    crc = crc32(crc, zero, sizeof zero);
    crc = crc32(crc, model + SPK_MODEL_CRC + sizeof zero, bytes - SPK_MODEL_CRC - sizeof zero);
    if (crc != get32(model + SPK_MODEL_CRC)) return SPK_ERR_CRC;

    word = get32(model + SPK_MODEL_GEOMETRY);
    needs->layers = (uint8_t)FIELD(word, SPK_MODEL_GEOMETRY_LAYERS);
    needs->weight_bits = (uint8_t)FIELD(word, SPK_MODEL_GEOMETRY_WEIGHT_BITS);
    needs->membrane_bits = (uint8_t)FIELD(word, SPK_MODEL_GEOMETRY_MEMBRANE_BITS);
    needs->classes = (uint8_t)FIELD(word, SPK_MODEL_GEOMETRY_CLASSES);
    for (n = 0; n < MAX_LAYERS; ++n) {
        word = get32(model + SPK_MODEL_LAYER + n * SPK_MODEL_LAYER_STRIDE);
        needs->layer[n].inputs = (uint16_t)FIELD(word, SPK_MODEL_LAYER_INPUTS);
        needs->layer[n].neurons = (uint16_t)FIELD(word, SPK_MODEL_LAYER_NEURONS);
    }
    return SPK_OK;
}

/* Positions of a kernel along a side of a map; 0 if it has no room. */
static uint32_t positions(uint32_t side, uint32_t kernel, uint32_t stride, uint32_t padding)
{
    const uint32_t padded = side + 2U * padding;
    return side < 1U || side > LARGEST_SIDE || padded < kernel ? 0U : (padded - kernel) / stride + 1U;
}

/* Does a CONFIG_LAYER describe a convolution of this layer's sizes, behind `before`, if there is a layer? kept: what it keeps. */
static int convolves(uint64_t word, const struct spk_layer *layer, const struct columns *before, struct columns *kept)
{
    const uint32_t kernel = FIELD(word, SPK_STREAM_CONFIG_LAYER_KERNEL), padded = FIELD(word, SPK_STREAM_CONFIG_LAYER_PADDED);
    const uint32_t stride = FIELD(word, SPK_STREAM_CONFIG_LAYER_STRIDE) + 1U, padding = padded != 0U ? kernel / 2U : 0U;
    const uint32_t height = FIELD(word, SPK_STREAM_CONFIG_LAYER_HEIGHT), width = FIELD(word, SPK_STREAM_CONFIG_LAYER_WIDTH);
    const uint32_t shrink = FIELD(word, SPK_STREAM_CONFIG_LAYER_POOL) + 1U;
    const uint32_t channels = FIELD(word, SPK_STREAM_CONFIG_LAYER_INPUTS);
    if ((kernel != 1U && kernel != 3U) || (padded != 0U && padding == 0U)) return 0;
    kept->rows = channels * kernel * kernel;
    kept->columns = FIELD(word, SPK_STREAM_CONFIG_LAYER_NEURONS);
    kept->height = positions(height, kernel, stride, padding);
    kept->width = positions(width, kernel, stride, padding);
    kept->pooled_height = kept->height / shrink;
    kept->pooled_width = kept->width / shrink;
    if (kept->rows > UINT16_MAX || kept->pooled_height == 0U || kept->pooled_width == 0U) return 0;
    if (before != NULL && (before->height == 0U || before->columns != channels)) return 0; /* behind a fully connected layer */
    if (before != NULL && (before->pooled_height != height || before->pooled_width != width)) return 0;
    return channels * height * width == layer->inputs &&
           (uint64_t)kept->columns * kept->pooled_height * kept->pooled_width == layer->neurons;
}

/* Does a CONFIG_LAYER describe layer n, which follows from the one before it? */
static int describes(struct network *network, size_t n, uint64_t word)
{
    const struct spk_layer *layer = &network->needs.layer[n];
    struct columns *kept = &network->kept[n];
    if (layer->inputs == 0U || layer->neurons == 0U) return 0;
    if (n > 0U && layer->inputs != layer[-1].neurons) return 0;
    if (network->encoder == SPK_ENCODER_DIRECT && FIELD(word, SPK_STREAM_CONFIG_LAYER_CONTINUOUS) != 0U) return 0;
    if (FIELD(word, SPK_STREAM_CONFIG_LAYER_KERNEL) != 0U) {
        ++network->needs.convolutions;
        return convolves(word, layer, n > 0U ? kept - 1 : NULL, kept);
    }
    kept->rows = FIELD(word, SPK_STREAM_CONFIG_LAYER_INPUTS);
    kept->columns = FIELD(word, SPK_STREAM_CONFIG_LAYER_NEURONS);
    return word >> SPK_STREAM_CONFIG_LAYER_KERNEL_LSB == 0U && kept->rows == layer->inputs && kept->columns == layer->neurons;
}

/* Do header and CONFIG describe one network, whose layers follow from each other? */
static int consistent(struct network *network, const uint8_t *config)
{
    struct spk_geometry *needs = &network->needs;
    size_t n;
    if (needs->layers < 1U || needs->layers > MAX_LAYERS) return 0;
    if (needs->weight_bits != 2U && needs->weight_bits != 4U && needs->weight_bits != 8U) return 0;
    if (FIELD(get64(config), SPK_STREAM_CONFIG_LAYERS) != needs->layers) return 0;
    if (network->time_steps < 1U || network->encoder > SPK_ENCODER_DIRECT) return 0;
    if (network->encoder == SPK_ENCODER_DIRECT && network->time_steps > PIXEL_BITS) return 0;
    for (n = 0; n < needs->layers; ++n)
        if (!describes(network, n, get64(config + WORD_BYTES * (n + 1U)))) return 0;
    return needs->convolutions < needs->layers && needs->layer[needs->layers - 1U].neurons == needs->classes;
}

/* The packet at `at`, if it is of this kind and holds so many words and a checksum within `bytes`; its size in bytes, or 0. */
static size_t packet(struct network *network, const uint8_t *at, size_t bytes, uint32_t kind, uint32_t layer, uint32_t words)
{
    uint64_t header;
    if (bytes < WORD_BYTES) return 0U;
    ++words;
    header = get64(at);
    if (FIELD(header, SPK_STREAM_HEADER_MAGIC) != SPK_STREAM_HEADER_MAGIC_RESET) return 0U;
    if (FIELD(header, SPK_STREAM_HEADER_KIND) != kind || FIELD(header, SPK_STREAM_HEADER_LAYER) != layer) return 0U;
    if (FIELD(header, SPK_STREAM_HEADER_LENGTH) != words || words > bytes / WORD_BYTES - 1U) return 0U;
    network->identity = (network->identity << 1 | network->identity >> 31) ^ get32(at + (size_t)words * WORD_BYTES);
    return ((size_t)words + 1U) * WORD_BYTES;
}

static enum spk_status check(const uint8_t *model, size_t bytes, struct network *network)
{
    const uint8_t *at = model + HEADER_BYTES;
    struct spk_geometry *needs = &network->needs;
    uint64_t config;
    size_t left, size, n;
    enum spk_status status;
    memset(network, 0, sizeof *network);
    status = check_header(model, bytes, needs);
    if (status != SPK_OK) return status;

    left = get32(model + SPK_MODEL_NOTE_BYTES);
    if (left > LARGEST_NOTE || left % WORD_BYTES != 0U || left > bytes - HEADER_BYTES) return SPK_ERR_PACKETS;
    left = network->packets = bytes - HEADER_BYTES - left;
    size = packet(network, at, left, SPK_PACKET_TYPE_CONFIG, 0U, 1U + needs->layers);
    if (size == 0U) return SPK_ERR_PACKETS;
    config = get64(at + WORD_BYTES);
    network->time_steps = (uint16_t)FIELD(config, SPK_STREAM_CONFIG_TIME_STEPS);
    network->encoder = (uint8_t)FIELD(config, SPK_STREAM_CONFIG_ENCODER);
    if (!consistent(network, at + WORD_BYTES)) return SPK_ERR_PACKETS;
    for (n = 0; n < needs->layers; ++n) {
        const uint64_t word = get64(at + WORD_BYTES * (n + 2U));
        if (FIELD(word, SPK_STREAM_CONFIG_LAYER_CONTINUOUS) == 0U) continue;
        network->state_bits[n] = (uint8_t)FIELD(word, SPK_STREAM_CONFIG_LAYER_STATE_BITS);
        if (network->state_bits[n] == 0U) return SPK_ERR_PACKETS;
        if (FIELD(word, SPK_STREAM_CONFIG_LAYER_LEAK) > network->max_leak)
            network->max_leak = (uint8_t)FIELD(word, SPK_STREAM_CONFIG_LAYER_LEAK);
    }
    at += size;
    left -= size;

    for (n = 0; n < needs->layers; ++n) {
        const uint32_t rows = network->kept[n].rows, columns = network->kept[n].columns;
        const uint32_t pairs = divide_up(columns, 2U), slices = divide_up(columns, 64U / needs->weight_bits);
        const uint32_t kinds[3] = {SPK_PACKET_TYPE_THRESHOLDS, SPK_PACKET_TYPE_BIASES, SPK_PACKET_TYPE_WEIGHTS};
        const uint32_t words[3] = {pairs, pairs, rows * slices};
        size_t k;
        for (k = 0; k < 3U; ++k) {
            if (kinds[k] == SPK_PACKET_TYPE_BIASES && network->state_bits[n] == 0U) continue;
            size = packet(network, at, left, kinds[k], (uint32_t)n, words[k]);
            if (size == 0U) return SPK_ERR_PACKETS;
            at += size;
            left -= size;
        }
    }
    return left == 0U ? SPK_OK : SPK_ERR_PACKETS;
}

/* Has core n, one for convolutions, room for the layer? For more maps than it sums at once it goes through the spikes again. */
static int convolution_fits(const struct spk_device *device, const struct columns *kept, size_t n)
{
    const struct spk_layer *core = &device->built.layer[n];
    const struct spk_convolution *room = &device->convolution[n];
    const uint32_t rounds = core->neurons != 0U ? divide_up(kept->columns, core->neurons) : UINT16_MAX;
    return (uint64_t)kept->rows * rounds <= core->inputs &&
           (uint64_t)divide_up(kept->height, 3U) * divide_up(kept->width, 3U) * rounds <= room->words &&
           (uint64_t)kept->pooled_height * kept->pooled_width * rounds + 1U <= room->positions;
}

static int fits(const struct spk_device *device, const struct network *network)
{
    const struct spk_geometry *needs = &network->needs, *built = &device->built;
    size_t n;
    if (needs->weight_bits != built->weight_bits || needs->convolutions > built->convolutions) return 0;
    if (needs->layers - needs->convolutions > built->layers - built->convolutions) return 0;
    if (needs->membrane_bits > built->membrane_bits || needs->classes > built->classes) return 0;
    if (needs->convolutions != 0U && needs->layer[0].inputs > device->input_room) return 0;
    for (n = 0; n < needs->layers; ++n) {
        if (n < needs->convolutions) {
            if (!convolution_fits(device, &network->kept[n], n)) return 0;
        } else {
            const struct spk_layer *room = &built->layer[n - needs->convolutions + built->convolutions];
            if (needs->layer[n].inputs > room->inputs || needs->layer[n].neurons > room->neurons) return 0;
        }
        if (network->state_bits[n] != 0U && (!device->continuous || network->state_bits[n] != built->membrane_bits - 1))
            return 0;
    }
    if (network->encoder == SPK_ENCODER_DIRECT && !device->direct) return 0;
    return network->max_leak <= device->max_leak;
}

enum spk_status spk_check(const void *model, size_t bytes, struct spk_geometry *needs)
{
    struct network network;
    enum spk_status status;
    if (model == NULL) return SPK_ERR_ARGUMENT;
    status = check(model, bytes, &network);
    if (status == SPK_OK && needs != NULL) *needs = network.needs;
    return status;
}

/* ---- device ---- */

/* Find the accelerator and read what it is built with; nothing is written. */
static enum spk_status identify(struct spk_device *device, const struct spk_platform *platform, uint32_t accelerator,
                                uint32_t timeout_us)
{
    uint32_t word;
    size_t n;
    if (device == NULL || platform == NULL || timeout_us == 0U || timeout_us > INT32_MAX) return SPK_ERR_ARGUMENT;
    memset(device, 0, sizeof *device);
    device->platform = platform;
    device->accelerator = accelerator;
    device->timeout_us = timeout_us;
    if (get(device, SPK_REG_ID) != SPK_REG_ID_VALUE_RESET) return SPK_ERR_IDENTITY;
    word = get(device, SPK_REG_VERSION);
    if (FIELD(word, SPK_REG_VERSION_MAJOR) != SPK_REG_VERSION_MAJOR_RESET || word < OLDEST_VERSION) return SPK_ERR_VERSION;

    word = get(device, SPK_REG_GEOMETRY);
    device->built.layers = (uint8_t)FIELD(word, SPK_REG_GEOMETRY_LAYERS);
    device->built.weight_bits = (uint8_t)FIELD(word, SPK_REG_GEOMETRY_WEIGHT_BITS);
    device->built.membrane_bits = (uint8_t)FIELD(word, SPK_REG_GEOMETRY_MEMBRANE_BITS);
    device->built.classes = (uint8_t)FIELD(word, SPK_REG_GEOMETRY_CLASSES);
    for (n = 0; n < SPK_REG_LAYER_COUNT; ++n) {
        word = get(device, (uint32_t)(SPK_REG_LAYER + n * SPK_REG_LAYER_STRIDE));
        device->built.layer[n].inputs = (uint16_t)FIELD(word, SPK_REG_LAYER_INPUTS);
        device->built.layer[n].neurons = (uint16_t)FIELD(word, SPK_REG_LAYER_NEURONS);
    }
    word = get(device, SPK_REG_FEATURES);
    device->continuous = (uint8_t)FIELD(word, SPK_REG_FEATURES_CONTINUOUS);
    device->max_leak = (uint8_t)FIELD(word, SPK_REG_FEATURES_MAX_LEAK);
    device->direct = (uint8_t)FIELD(word, SPK_REG_FEATURES_DIRECT);
    device->built.convolutions = (uint8_t)FIELD(word, SPK_REG_FEATURES_CONVOLUTIONS);
    if (device->built.layers > MAX_LAYERS || device->built.convolutions > SPK_REG_CONVOLUTION_COUNT ||
        device->built.convolutions > device->built.layers)
        return SPK_ERR_VERSION; /* of an accelerator that is not known yet */
    if (device->built.convolutions != 0U) device->input_room = get(device, SPK_REG_INPUTS);
    for (n = 0; n < device->built.convolutions; ++n) {
        const uint32_t room = get(device, (uint32_t)(SPK_REG_CONVOLUTION + n * SPK_REG_CONVOLUTION_STRIDE));
        device->convolution[n].words = (uint16_t)FIELD(room, SPK_REG_CONVOLUTION_WORDS);
        device->convolution[n].positions = (uint16_t)FIELD(room, SPK_REG_CONVOLUTION_POSITIONS);
    }
    return FIELD(word, SPK_REG_FEATURES_COMMANDS) != 0U ? SPK_OK : SPK_ERR_VERSION;
}

/* From now on the device is that of a model whose network is loaded. */
static void adopt(struct spk_device *device, const struct network *network)
{
    device->inputs = network->needs.layer[0].inputs;
    device->classes = network->needs.classes;
    device->time_steps = network->time_steps;
    device->encoder = network->encoder;
    device->model = network->identity;
    device->loaded = 1U;
}

enum spk_status spk_open(struct spk_device *device, const struct spk_platform *platform, uint32_t accelerator,
                         uint32_t timeout_us)
{
    const enum spk_status status = identify(device, platform, accelerator, timeout_us);
    return status == SPK_OK ? stop(device) : status;
}

enum spk_status spk_attach(struct spk_device *device, const struct spk_platform *platform, uint32_t accelerator,
                           uint32_t timeout_us, const void *model, size_t bytes)
{
    struct network network;
    enum spk_status status = model != NULL ? identify(device, platform, accelerator, timeout_us) : SPK_ERR_ARGUMENT;
    if (status == SPK_OK) status = check(model, bytes, &network);
    if (status != SPK_OK) return status;
    if (get(device, SPK_REG_MODEL) != network.identity) return SPK_ERR_MODEL;
    if (get(device, SPK_REG_STATUS) != (SPK_REG_STATUS_IDLE_MASK | SPK_REG_STATUS_LOADED_MASK)) return SPK_ERR_MODEL;
    if (get(device, SPK_REG_COMMANDS) != 0U) return SPK_ERR_MODEL; /* a buffer of somebody else's waits for results */
    adopt(device, &network);
    return SPK_OK;
}

enum spk_status spk_reset(struct spk_device *device)
{
    if (device == NULL) return SPK_ERR_ARGUMENT;
    device->error_code = device->error_packet = device->error_layer = 0U;
    device->error_address = 0U;
    return stop(device);
}

enum spk_status spk_load(struct spk_device *device, const void *model, size_t bytes)
{
    const uint8_t *at = model;
    struct network network;
    enum spk_status status;
    uint32_t sent, done;
    size_t left;
    if (device == NULL || model == NULL || !aligned(model)) return SPK_ERR_ARGUMENT;
    status = check(model, bytes, &network);
    if (status != SPK_OK) return status;
    if (!fits(device, &network)) return SPK_ERR_GEOMETRY;

    device->loaded = 0U;
    sent = done = get(device, SPK_REG_SENT);
    at += HEADER_BYTES;
    left = network.packets;
    while (status == SPK_OK && (left != 0U || done != sent)) {
        if (left != 0U && sent - done < SPK_REG_FEATURES_COMMANDS_RESET) {
            const size_t size = ((size_t)FIELD(get64(at), SPK_STREAM_HEADER_LENGTH) + 1U) * WORD_BYTES;
            send(device, at, size, SPK_REG_SEND_LAST_MASK);
            ++sent;
            at += size;
            left -= size;
        } else {
            ++done;
            status = await(device, SPK_REG_SENT, done, left == 0U && done == sent);
        }
    }
    status = settle(device, status);
    if (status != SPK_OK) return status;
    if ((get(device, SPK_REG_STATUS) & SPK_REG_STATUS_LOADED_MASK) == 0U) return SPK_ERR_NOT_LOADED;
    if (get(device, SPK_REG_MODEL) != network.identity) return SPK_ERR_MODEL; /* somebody has just loaded another */
    adopt(device, &network);
    return SPK_OK;
}

/* ---- images ---- */

/* Words of a result record. */
static uint32_t record_words(const struct spk_device *device, int values)
{
    return values ? 1U + divide_up(device->classes, 2U) : 1U;
}

uint32_t spk_image_bytes(const struct spk_device *device)
{
    return divide_up(device->inputs, WORD_BYTES) * WORD_BYTES;
}

size_t spk_result_bytes(const struct spk_device *device, uint32_t n, int values)
{
    return (size_t)n * record_words(device, values) * WORD_BYTES;
}

/* A part of the buffer holds results and, in a line before them, the first words of a packet: its header and SEED. */
size_t spk_buffer_bytes(const struct spk_device *device, uint32_t n, int values)
{
    const uint32_t each = record_words(device, values) * WORD_BYTES;
    return n > (UINT32_MAX / PARTS - 2U * LINE_BYTES) / each ? 0U : PARTS * round_up((size_t)n * each + LINE_BYTES);
}

/* Queue a batch: what comes of it, the first words of its packet, and the images as they lie. */
static void classify(const struct spk_device *device, const uint8_t *pixels, uint32_t n, uint64_t seed, int values,
                     uint64_t *part)
{
    const size_t bytes = (size_t)n * spk_image_bytes(device);
    part[0] = PUT(SPK_PACKET_TYPE_PIXELS, SPK_STREAM_HEADER_KIND) |
              PUT(SPK_STREAM_HEADER_MAGIC_RESET, SPK_STREAM_HEADER_MAGIC) |
              PUT(bytes / WORD_BYTES + 1U, SPK_STREAM_HEADER_LENGTH);
    part[1] = seed + SPK_SEED_STEP;
    receive(device, part + LINE_BYTES / WORD_BYTES, spk_result_bytes(device, n, values));
    send(device, part, (size_t)2U * WORD_BYTES, 0U);
    send(device, pixels, bytes, SPK_REG_SEND_LAST_MASK);
}

static enum spk_status unpack(const struct spk_device *device, const uint64_t *received, uint32_t n, struct spk_result *results,
                              int32_t *values)
{
    const uint32_t words = record_words(device, values != NULL);
    uint32_t i;
    for (i = 0; i < n; ++i) {
        const uint64_t record = received[0];
        results[i].label = (uint16_t)FIELD(record, SPK_STREAM_RESULT_LABEL);
        results[i].steps = (uint16_t)FIELD(record, SPK_STREAM_RESULT_STEPS);
        if (FIELD(record, SPK_STREAM_RESULT_IMAGE) != i || results[i].label >= device->classes) return SPK_ERR_RESULTS;
        if (values != NULL) {
            memcpy(values, received + 1, device->classes * sizeof *values);
            values += device->classes;
        }
        received += words;
    }
    return SPK_OK;
}

/* Before the transfers of a call. received: the counter from which theirs go on. */
static enum spk_status begin(const struct spk_device *device, int values, uint32_t *received)
{
    if (get(device, SPK_REG_MODEL) != device->model) return SPK_ERR_MODEL; /* and what somebody else does goes on */
    put(device, SPK_REG_CONTROL, values ? SPK_REG_CONTROL_SCORES_MASK : 0U);
    *received = get(device, SPK_REG_RECEIVED);
    return SPK_OK;
}

/* Wait for the oldest transfer and read its results. target: of the counter of those that are done. */
static enum spk_status finish(struct spk_device *device, uint32_t target, int last, void *receive, uint32_t n,
                              struct spk_result *results, int32_t *values)
{
    const struct spk_platform *platform = device->platform;
    const enum spk_status status = await(device, SPK_REG_RECEIVED, target, last);
    if (status != SPK_OK) return status;
    platform->barrier(platform->context);
    platform->invalidate(platform->context, receive, spk_result_bytes(device, n, values != NULL));
    if (get(device, SPK_REG_MODEL) != device->model) return SPK_ERR_MODEL;
    return unpack(device, receive, n, results, values);
}

enum spk_status spk_infer(struct spk_device *device, const uint8_t *pixels, uint32_t images, uint64_t seed,
                          struct spk_result *results, int32_t *values, void *buffer, size_t bytes)
{
    const size_t part = round_down((bytes < UINT32_MAX ? bytes : UINT32_MAX) / PARTS);
    uint32_t most = 0U, begun = 0U, done = 0U, received;
    enum spk_status status;
    if (device == NULL || pixels == NULL || results == NULL || buffer == NULL) return SPK_ERR_ARGUMENT;
    if (!device->loaded) return SPK_ERR_NOT_LOADED;
    if (device->encoder == SPK_ENCODER_EVENTS) return SPK_ERR_ENCODER;
    if (part > LINE_BYTES) most = (uint32_t)((part - LINE_BYTES) / spk_result_bytes(device, 1U, values != NULL));
    if (most > LARGEST_SEND / spk_image_bytes(device)) most = LARGEST_SEND / spk_image_bytes(device);
    if (!aligned(pixels) || (uintptr_t)buffer % LINE_BYTES != 0U || (most == 0U && images != 0U)) return SPK_ERR_ARGUMENT;

    status = begin(device, values != NULL, &received);
    if (status != SPK_OK) return status;
    while (status == SPK_OK && done < images) {
        const int queues = begun < images && begun / most - done / most < PARTS;
        const uint32_t first = queues ? begun : done, n = images - first < most ? images - first : most;
        uint8_t *const place = (uint8_t *)buffer + first / most % PARTS * part;
        if (queues) {
            classify(device, pixels + (size_t)first * spk_image_bytes(device), n, seed + first * SPK_SEED_STEP, values != NULL,
                     (uint64_t *)(void *)place);
            begun += n;
        } else {
            done += n;
            status = finish(device, ++received, done == images, place + LINE_BYTES, n, results + first,
                            values != NULL ? values + (size_t)first * device->classes : NULL);
        }
    }
    return settle(device, status);
}

enum spk_status spk_infer_packet(struct spk_device *device, const void *packet, size_t packet_bytes, uint32_t images,
                                 struct spk_result *results, int32_t *values, void *buffer, size_t bytes)
{
    uint32_t received;
    enum spk_status status;
    if (device == NULL || packet == NULL || results == NULL || buffer == NULL) return SPK_ERR_ARGUMENT;
    if (!device->loaded) return SPK_ERR_NOT_LOADED;
    if (!aligned(packet) || !aligned(buffer) || images == 0U || packet_bytes < WORD_BYTES || packet_bytes % WORD_BYTES != 0U)
        return SPK_ERR_ARGUMENT;
    if (packet_bytes > UINT32_MAX || images > UINT32_MAX / WORD_BYTES / record_words(device, values != NULL))
        return SPK_ERR_ARGUMENT;
    if (spk_result_bytes(device, images, values != NULL) > bytes) return SPK_ERR_ARGUMENT;

    status = begin(device, values != NULL, &received);
    if (status != SPK_OK) return status;
    receive(device, buffer, spk_result_bytes(device, images, values != NULL));
    send(device, packet, packet_bytes, SPK_REG_SEND_LAST_MASK);
    return settle(device, finish(device, received + 1U, 1, buffer, images, results, values));
}

/* ---- counters, messages ---- */

void spk_read_counters(const struct spk_device *device, struct spk_counters *counters)
{
    size_t n;
    counters->cycles = get_wide(device, SPK_REG_CYCLES_LO);
    counters->images = get_wide(device, SPK_REG_IMAGES_LO);
    counters->steps = get_wide(device, SPK_REG_STEPS_LO);
    counters->stall_input = get_wide(device, SPK_REG_STALL_INPUT_LO);
    counters->stall_output = get_wide(device, SPK_REG_STALL_OUTPUT_LO);
    for (n = 0; n < SPK_REG_LAYER_COUNT; ++n)
        counters->row_reads[n] = get_wide(device, (uint32_t)(SPK_REG_ROW_READS_LO + n * SPK_REG_ROW_READS_LO_STRIDE));
}

void spk_clear_counters(const struct spk_device *device)
{
    put(device, SPK_REG_CONTROL, SPK_REG_CONTROL_CLEAR_COUNTERS_MASK);
}

const char *spk_strerror(enum spk_status status)
{
    switch (status) {
    case SPK_OK: return "done";
    case SPK_ERR_ARGUMENT: return "null, unaligned or too small an argument; see spikeline.h";
    case SPK_ERR_IDENTITY: return "no Spikeline accelerator here; load its bitstream and check the address";
    case SPK_ERR_VERSION: return "the accelerator has another interface, or no memory port; use bitstream and runtime of one release";
    case SPK_ERR_TRUNCATED: return "the model is cut short or grown; copy it again";
    case SPK_ERR_MAGIC: return "not a Spikeline model; make one with `spikeline compile`";
    case SPK_ERR_MODEL_VERSION: return "a model of another version; compile the network again";
    case SPK_ERR_CRC: return "the model is damaged; copy it again";
    case SPK_ERR_PACKETS: return "the packets of the model contradict each other; compile the network again";
    case SPK_ERR_GEOMETRY: return "the network does not fit the accelerator; compile it for this geometry";
    case SPK_ERR_NOT_LOADED: return "no network is loaded; call spk_load";
    case SPK_ERR_MODEL: return "the accelerator holds another network, or is at work; call spk_reset and spk_load";
    case SPK_ERR_ENCODER: return "the network takes events; pack them and call spk_infer_packet";
    case SPK_ERR_TIMEOUT: return "no progress until the deadline; call spk_reset and spk_load";
    case SPK_ERR_REFUSED: return "the accelerator refused a packet, see error_code; call spk_reset and spk_load";
    case SPK_ERR_MEMORY: return "the memory refused the accelerator, see error_address; call spk_reset and spk_load";
    case SPK_ERR_ADDRESS: return "a buffer is not where the accelerator reaches it, see error_address; check physical()";
    case SPK_ERR_RESET: return "the memory does not end the last burst; let the buffer be, load the bitstream again";
    case SPK_ERR_RESULTS: return "results are lost or out of order; call spk_reset and spk_load";
    }
    return "unknown status";
}
