/* SPDX-License-Identifier: Apache-2.0
 *
 * Spikeline's embedded runtime: loads a network into the accelerator and classifies images with it, on a processor without
 * Python. C99, freestanding but for string.h; no heap, no floating point, no interrupt handler. One device, one thread.
 *
 * Order of calls: spk_open, spk_load, then spk_infer as often as wanted. After an error spk_reset and spk_load bring the device
 * back; nothing needs a new bitstream or a power cycle. Every wait ends at the device's deadline, and no call leaves a transfer
 * that runs: if one fails all are stopped, with the accelerator and its network.
 */
#ifndef SPIKELINE_H
#define SPIKELINE_H

#include <stddef.h>
#include <stdint.h>

#include "spikeline_spec.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a seed of the Bernoulli encoder grows by from one image to the next. */
#define SPK_SEED_STEP SPK_STREAM_SEED_STATE_RESET

/* What functions return. spk_strerror says what to do. */
enum spk_status {
    SPK_OK = 0,
    SPK_ERR_ARGUMENT,       /* a null pointer, a buffer that is not aligned or too small */
    SPK_ERR_IDENTITY,       /* no Spikeline accelerator at this address */
    SPK_ERR_VERSION,        /* its interface is another one than this runtime's, or a stream's, without memory */
    SPK_ERR_TRUNCATED,      /* the model is shorter or longer than its header says */
    SPK_ERR_MAGIC,          /* not a model */
    SPK_ERR_MODEL_VERSION,  /* a model of another version */
    SPK_ERR_CRC,            /* the model is damaged */
    SPK_ERR_PACKETS,        /* the packets of the model contradict each other or its header */
    SPK_ERR_GEOMETRY,       /* the network does not fit the accelerator */
    SPK_ERR_NOT_LOADED,     /* no network is loaded */
    SPK_ERR_MODEL,          /* the accelerator holds another network: somebody else has loaded one, or a bitstream, or reset it */
    SPK_ERR_ENCODER,        /* the network takes events, not pixels */
    SPK_ERR_TIMEOUT,        /* no progress until the deadline */
    SPK_ERR_REFUSED,        /* the accelerator refused a packet: see spk_device.error_code */
    SPK_ERR_MEMORY,         /* the memory refused an access: see spk_device.error_address */
    SPK_ERR_ADDRESS,        /* a buffer is not in memory that the accelerator reaches, or not of whole words: error_address */
    SPK_ERR_RESET,          /* a reset does not end: the memory owes an answer, and the last buffer may still be written to */
    SPK_ERR_RESULTS         /* results are lost, out of order or of a class that the network does not have */
};

/* What the runtime needs of its surroundings; `context` is passed through. All functions but `wait` must be there. */
struct spk_platform {
    void *context;
    uint32_t (*read32)(void *context, uint32_t address);                     /* a register, by its physical address */
    void (*write32)(void *context, uint32_t address, uint32_t value);
    void (*flush)(void *context, const void *memory, size_t bytes);          /* write the cache back to memory */
    void (*invalidate)(void *context, const void *memory, size_t bytes);     /* drop what the cache holds of it */
    uint64_t (*physical)(void *context, const void *memory);                 /* the address at which the accelerator finds it */
    uint32_t (*microseconds)(void *context);                                 /* a clock that runs on; it may wrap */
    void (*barrier)(void *context);                                          /* memory is written before what follows */
    void (*wait)(void *context, uint32_t microseconds); /* sleep until the accelerator's interrupt, or so long; NULL: poll */
};

/* The sizes of a layer. Of a convolution, the spikes that enter and leave it in a step; of a core for convolutions, the words of
 * weights in each bank and the maps that are summed side by side. */
struct spk_layer {
    uint16_t inputs;
    uint16_t neurons;
};

/* What an accelerator is built with, or a network needs. */
struct spk_geometry {
    uint8_t layers;
    uint8_t weight_bits;
    uint8_t membrane_bits;
    uint8_t classes;
    uint8_t convolutions; /* of the layers, the first ones */
    struct spk_layer layer[SPK_REG_LAYER_COUNT];
};

/* What else there is room for in a core for convolutions. */
struct spk_convolution {
    uint16_t words;     /* of membranes in each bank */
    uint16_t positions; /* that it can hand on in a step, once for each time that it goes through the spikes, and one */
};

/* A device. The fields below the line may be read; all are written by the functions. */
struct spk_device {
    const struct spk_platform *platform;
    uint32_t accelerator;  /* physical address of its registers */
    uint32_t timeout_us;
    /* ---- */
    struct spk_geometry built;
    uint8_t continuous;    /* layers may be continuous, with a leak up to max_leak */
    uint8_t max_leak;
    uint8_t direct;        /* layer 0 takes direct input */
    uint32_t input_room;   /* inputs that the first layer may have if it is a convolution */
    struct spk_convolution convolution[SPK_REG_CONVOLUTION_COUNT];
    uint8_t loaded;        /* a network is loaded: its sizes and time steps follow */
    uint8_t encoder;       /* enum spk_encoder */
    uint16_t inputs;       /* bytes of an image */
    uint16_t classes;
    uint16_t time_steps;
    uint32_t model;        /* identity of the network, as register MODEL holds it */
    uint8_t error_code;    /* after SPK_ERR_REFUSED: enum spk_error_code, packet type and layer of the refused packet */
    uint8_t error_packet;
    uint8_t error_layer;
    uint64_t error_address; /* after SPK_ERR_MEMORY, SPK_ERR_ADDRESS: of the burst or the buffer */
};

/* What an image was classified as. */
struct spk_result {
    uint16_t label;  /* class with the largest value, the lowest of equals */
    uint16_t steps;  /* time steps used */
};

/* What the accelerator counted since spk_clear_counters; row reads and all else in docs/registers.md. */
struct spk_counters {
    uint64_t cycles;
    uint64_t images;
    uint64_t steps;
    uint64_t stall_input;
    uint64_t stall_output;
    uint64_t row_reads[SPK_REG_LAYER_COUNT];
};

/* Find the accelerator, check that it is one, of this interface, read its geometry, and reset it.
 * accelerator: physical address of its registers, SPK_BASE_ACCELERATOR of the board design.
 * timeout_us: longest time without any progress, 1 to 2^31 - 1. */
enum spk_status spk_open(struct spk_device *device, const struct spk_platform *platform, uint32_t accelerator,
                         uint32_t timeout_us);

/* Instead of spk_open and spk_load: take on an accelerator that holds the network of this model and is idle, as another program
 * has left it. SPK_ERR_MODEL if it does not or is not. Nothing is written. model: wherever the processor reads. */
enum spk_status spk_attach(struct spk_device *device, const struct spk_platform *platform, uint32_t accelerator,
                           uint32_t timeout_us, const void *model, size_t bytes);

/* Check a model in memory and send its network. model: 8-byte aligned, where the accelerator reaches it, unchanged until this
 * returns. Nothing is sent of a model that is damaged or does not fit; a network that is loaded stays then. */
enum spk_status spk_load(struct spk_device *device, const void *model, size_t bytes);

/* Check a model without a device: magic, version, length, CRC-32, bounds of all packets. needs: what it needs, or NULL. */
enum spk_status spk_check(const void *model, size_t bytes, struct spk_geometry *needs);

/* Classify `images` images of device->inputs bytes, which are sent as they lie, one after another.
 * SPK_ERR_MODEL, with nothing sent, if the accelerator no longer holds the network of spk_load.
 * pixels: where the accelerator reaches them, unchanged until this returns; an image begins every spk_image_bytes(device), which
 * is a multiple of 8, and so does the first. What lies between an image's last pixel and the next image does not matter.
 * seed: of the Bernoulli encoder; image n of the call gets the same spikes as image n of a data set in Python. Of a call that
 * begins with image m of it, seed + m * SPK_SEED_STEP.
 * results: one an image. values: NULL, or room for images · device->classes values by which the class was chosen.
 * buffer: memory that the accelerator reaches, aligned to 64 bytes, `bytes` long, on cache lines of its own. It is used in three
 * parts, and as many images as a third has room for go in one transfer: spk_buffer_bytes(device, n, values != NULL) for n. */
enum spk_status spk_infer(struct spk_device *device, const uint8_t *pixels, uint32_t images, uint64_t seed,
                          struct spk_result *results, int32_t *values, void *buffer, size_t bytes);

/* Classify images that somebody else has packed: a whole SPIKES, EVENTS or PIXELS packet, header first, 8-byte aligned where the
 * accelerator reaches it. buffer: room for its results alone, spk_result_bytes(device, images, values != NULL), 8-byte aligned.
 * Else as spk_infer. */
enum spk_status spk_infer_packet(struct spk_device *device, const void *packet, size_t packet_bytes, uint32_t images,
                                 struct spk_result *results, int32_t *values, void *buffer, size_t bytes);

/* Bytes from one image to the next in memory: device->inputs, rounded up to whole words. */
uint32_t spk_image_bytes(const struct spk_device *device);

/* Bytes of the results of n images of the loaded network, with or without values. */
size_t spk_result_bytes(const struct spk_device *device, uint32_t n, int values);

/* Bytes of buffer for transfers of n images of the loaded network, with or without values; 0 if it were 4 GiB. */
size_t spk_buffer_bytes(const struct spk_device *device, uint32_t n, int values);

/* Read or clear the accelerator's counters. */
void spk_read_counters(const struct spk_device *device, struct spk_counters *counters);
void spk_clear_counters(const struct spk_device *device);

/* Stop all work; forget network and error. The bitstream stays. */
enum spk_status spk_reset(struct spk_device *device);

/* What a status means and how to mend it, in one line. */
const char *spk_strerror(enum spk_status status);

#ifdef __cplusplus
}
#endif

#endif
