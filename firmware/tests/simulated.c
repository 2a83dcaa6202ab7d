/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "simulated.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define REGISTERS 0x10000U  /* bytes of address space of either device */
#define LINE 32U            /* of the cache of a Cortex-A9 */
#define ACCESS_CYCLES 10U
#define EARLY_CYCLES 100U
#define CHANNEL_BYTES SPK_DMA_S2MM_CR

/* The C interface of rtl/sim/harness.cpp. */
static struct {
    void *(*make)(void);
    void (*destroy)(void *);
    uint64_t (*cycles)(const void *);
    int (*read)(void *, uint32_t, uint32_t *);
    int (*write)(void *, uint32_t, uint32_t, uint32_t);
    void (*send)(void *, const uint64_t *, size_t, int);
    void (*receive)(void *, uint64_t *, size_t);
    void (*halt)(void *);
    size_t (*sending)(const void *);
    size_t (*received)(const void *);
    int (*receive_state)(const void *);
    void (*run)(void *, uint64_t);
    void (*idle)(void *, uint64_t);
    void (*stall)(void *, uint64_t, uint32_t, uint32_t);
} lib;

/* Present if the program is built with AddressSanitizer. */
extern void *__asan_region_is_poisoned(void *begin, size_t bytes) __attribute__((weak));

__attribute__((noreturn)) static void die(const char *message, uint32_t value)
{
    (void)fprintf(stderr, "simulated: %s (0x%08x)\n", message, (unsigned)value);
    abort();
}

static void check_region(const struct simulated *s, size_t at, size_t bytes)
{
    if (__asan_region_is_poisoned != NULL && __asan_region_is_poisoned(s->processor + at, bytes) != NULL)
        die("beyond a buffer", (uint32_t)at);
}

/* ---- cache: whole lines, though the ends of the first and the last may be beyond a buffer ---- */

__attribute__((no_sanitize("address"))) static int lines_differ(const uint8_t *a, const uint8_t *b)
{
    const volatile uint64_t *const x = (const volatile uint64_t *)(const void *)a;
    const volatile uint64_t *const y = (const volatile uint64_t *)(const void *)b;
    int differ = 0;
    size_t n;
    for (n = 0; n < LINE / 8U; ++n) differ |= x[n] != y[n];
    return differ;
}

__attribute__((no_sanitize("address"))) static void copy_line(uint8_t *to, const uint8_t *from)
{
    volatile uint64_t *const x = (volatile uint64_t *)(void *)to;
    const volatile uint64_t *const y = (const volatile uint64_t *)(const void *)from;
    size_t n;
    for (n = 0; n < LINE / 8U; ++n) x[n] = y[n];
}

static void write_back(struct simulated *s, size_t at, size_t bytes)
{
    size_t line;
    for (line = at / LINE * LINE; line < at + bytes; line += LINE) {
        if (!lines_differ(s->processor + line, s->clean + line)) continue;
        copy_line(s->dma + line, s->processor + line);
        copy_line(s->clean + line, s->processor + line);
    }
}

static void drop(struct simulated *s, size_t at, size_t bytes)
{
    size_t line;
    for (line = at / LINE * LINE; line < at + bytes; line += LINE) {
        copy_line(s->processor + line, s->dma + line);
        copy_line(s->clean + line, s->dma + line);
    }
}

/* ---- DMA ---- */

static void halt(struct simulated_channel *channel, uint32_t error)
{
    const struct simulated_channel halted = {.error = error};
    *channel = halted;
}

/* Before it is told where to, the receiving channel takes what is offered, as far as it has room. */
static void take_early(struct simulated *s)
{
    uint64_t cycles;
    if (s->channel[SIMULATED_SEND].busy) die("the runtime starts the sender first", 0);
    lib.receive(s->sim, s->early, SIMULATED_EARLY);
    for (cycles = 0; cycles < EARLY_CYCLES && lib.received(s->sim) < SIMULATED_EARLY && lib.receive_state(s->sim) == 0; ++cycles)
        lib.idle(s->sim, 1);
    s->early_words = lib.received(s->sim);
    s->early_end = lib.receive_state(s->sim) > 0;
    lib.halt(s->sim);
}

/* What was taken early heads the packet. */
static void start_receiving(struct simulated *s, struct simulated_channel *channel, uint64_t *words, size_t room)
{
    const size_t early = s->early_words;
    s->early_words = 0;
    channel->early = (uint32_t)early;
    if (early > room) {
        halt(channel, SPK_DMA_S2MM_SR_INTERNAL_ERROR_MASK);
    } else {
        memcpy(words, s->early, early * sizeof *words);
        if (s->early_end) lib.halt(s->sim); /* and with it a packet that is complete */
        else lib.receive(s->sim, words + early, room - early);
    }
}

static void start(struct simulated *s, struct simulated_channel *channel, uint32_t bytes)
{
    const uint64_t address = (uint64_t)channel->address_msb << 32 | channel->address;
    const uint64_t at = address - SIMULATED_MEMORY_BASE;
    if (bytes == 0U) {
        halt(channel, SPK_DMA_MM2S_SR_INTERNAL_ERROR_MASK);
    } else if (at > s->bytes || bytes > s->bytes - at) {
        halt(channel, SPK_DMA_MM2S_SR_DECODE_ERROR_MASK);
    } else if (at % 8U != 0U || bytes % 8U != 0U) {
        die("unaligned transfer; undefined on hardware", (uint32_t)address);
    } else {
        uint64_t *const words = (uint64_t *)(void *)(s->dma + at);
        check_region(s, (size_t)at, bytes);
        channel->length = bytes;
        channel->busy = 1;
        channel->done = 0;
        if (channel == &s->channel[SIMULATED_SEND]) lib.send(s->sim, words, bytes / 8U, 1);
        else start_receiving(s, channel, words, bytes / 8U);
    }
}

/* The results have come: dirty lines of the cache go over them, and what was planted happens to them. */
static void received(struct simulated *s, struct simulated_channel *channel)
{
    const size_t at = channel->address - SIMULATED_MEMORY_BASE;
    const uint32_t bytes = (s->early_end ? channel->early : channel->early + (uint32_t)lib.received(s->sim)) * 8U;
    s->early_end = 0;
    channel->length = bytes;
    if (s->faults.change_bits != 0U && s->faults.change_word < bytes / 4U) {
        ((uint32_t *)(void *)(s->dma + at))[s->faults.change_word] ^= s->faults.change_bits;
        s->faults.change_bits = 0U;
    }
    if (s->faults.lose_bytes != 0U) {
        channel->length -= s->faults.lose_bytes;
        s->faults.lose_bytes = 0U;
    }
    write_back(s, at, bytes);
    s->fresh = 1;
}

static void update(struct simulated *s)
{
    struct simulated_channel *const send = &s->channel[SIMULATED_SEND], *const receive = &s->channel[SIMULATED_RECEIVE];
    const int state = lib.receive_state(s->sim);
    if (send->busy && lib.sending(s->sim) == 0U) {
        send->busy = 0;
        send->done = 1;
    }
    if (receive->busy && state < 0) {
        halt(receive, SPK_DMA_S2MM_SR_INTERNAL_ERROR_MASK);
    } else if (receive->busy && state > 0) {
        receive->busy = 0;
        receive->done = 1;
        received(s, receive);
    }
}

static uint32_t read_status(struct simulated *s, struct simulated_channel *channel)
{
    uint32_t value = channel->error;
    if (channel->busy) {
        lib.run(s->sim, s->faults.poll_cycles);
        update(s);
        if (s->faults.fail_after != 0U && channel == &s->channel[s->faults.fail_channel]) {
            --s->faults.fail_after;
            if (s->faults.fail_after == 0U) halt(channel, s->faults.fail_error);
        }
        value = channel->error;
    }
    if (!channel->run || channel->starting > 0) value |= SPK_DMA_MM2S_SR_HALTED_MASK;
    if (channel->starting > 0) --channel->starting;
    if (channel->run && channel->done && !channel->busy) value |= SPK_DMA_MM2S_SR_IDLE_MASK;
    return value;
}

static struct simulated_channel *channel_at(struct simulated *s, uint32_t offset)
{
    if (offset / CHANNEL_BYTES >= SIMULATED_CHANNELS) die("no such register of the DMA", offset);
    return &s->channel[offset / CHANNEL_BYTES];
}

static uint32_t read_dma(struct simulated *s, uint32_t offset)
{
    struct simulated_channel *const channel = channel_at(s, offset);
    uint32_t value = 0;
    switch (offset % CHANNEL_BYTES) {
    case SPK_DMA_MM2S_CR:
        if (channel->run) value |= SPK_DMA_MM2S_CR_RUN_MASK;
        if (s->faults.stuck || s->resetting > 0) value |= SPK_DMA_MM2S_CR_RESET_MASK;
        if (s->resetting > 0) --s->resetting;
        return value;
    case SPK_DMA_MM2S_SR: return read_status(s, channel);
    case SPK_DMA_MM2S_ADDRESS: return channel->address;
    case SPK_DMA_MM2S_ADDRESS_MSB: return channel->address_msb;
    case SPK_DMA_MM2S_LENGTH: return channel->length;
    default: die("no such register of the DMA", offset);
    }
}

static void write_dma(struct simulated *s, uint32_t offset, uint32_t value)
{
    struct simulated_channel *const channel = channel_at(s, offset);
    if (s->faults.stuck || s->resetting > 0) return;
    switch (offset % CHANNEL_BYTES) {
    case SPK_DMA_MM2S_CR:
        if ((value & SPK_DMA_MM2S_CR_RESET_MASK) != 0U) {
            lib.halt(s->sim);
            halt(&s->channel[SIMULATED_SEND], 0);
            halt(&s->channel[SIMULATED_RECEIVE], 0);
            s->early_words = 0;
            s->early_end = 0;
            s->resetting = (int)s->faults.lag;
        } else {
            const int run = (value & SPK_DMA_MM2S_CR_RUN_MASK) != 0U && channel->error == 0U;
            if (run && !channel->run) channel->starting = (int)s->faults.lag;
            if (run && !channel->run && channel == &s->channel[SIMULATED_RECEIVE]) take_early(s);
            channel->run = run;
        }
        break;
    case SPK_DMA_MM2S_SR: break;
    case SPK_DMA_MM2S_ADDRESS: channel->address = value; break;
    case SPK_DMA_MM2S_ADDRESS_MSB: channel->address_msb = value; break;
    case SPK_DMA_MM2S_LENGTH:
        if (channel->run && channel->starting == 0 && !channel->busy) start(s, channel, value & SPK_DMA_MM2S_LENGTH_BYTES_MASK);
        break;
    default: die("no such register of the DMA", offset);
    }
}

/* ---- platform ---- */

static uint32_t read32(void *context, uint32_t address)
{
    struct simulated *const s = context;
    uint32_t value = 0;
    ++s->reads;
    lib.idle(s->sim, ACCESS_CYCLES);
    if (address - SPK_BASE_DMA < REGISTERS) {
        value = read_dma(s, address - SPK_BASE_DMA);
    } else if (address - SPK_BASE_ACCELERATOR < REGISTERS) {
        if (lib.read(s->sim, address - SPK_BASE_ACCELERATOR, &value) != 0) die("no answer to a read", address);
    } else {
        die("bus error: nothing there to read", address);
    }
    if (address == s->faults.answer_address) value = (value & ~s->faults.answer_mask) | s->faults.answer_set;
    return value;
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    struct simulated *const s = context;
    ++s->writes;
    lib.idle(s->sim, ACCESS_CYCLES);
    if (address - SPK_BASE_DMA < REGISTERS) {
        write_dma(s, address - SPK_BASE_DMA, value);
    } else if (address - SPK_BASE_ACCELERATOR < REGISTERS) {
        if (lib.write(s->sim, address - SPK_BASE_ACCELERATOR, value, 15) != 0) die("no answer to a write", address);
    } else {
        die("bus error: nothing there to write", address);
    }
}

static size_t offset(const struct simulated *s, const void *memory, size_t bytes)
{
    const uintptr_t at = (uintptr_t)memory - (uintptr_t)s->processor;
    if (at > s->bytes || bytes > s->bytes - at) die("cache maintenance outside the memory", (uint32_t)at);
    check_region(s, at, bytes);
    return at;
}

static void flush(void *context, const void *memory, size_t bytes)
{
    struct simulated *const s = context;
    const size_t at = offset(s, memory, bytes);
    if (!s->faults.no_flush) write_back(s, at, bytes);
}

static void invalidate(void *context, const void *memory, size_t bytes)
{
    struct simulated *const s = context;
    const size_t at = offset(s, memory, bytes);
    const uint32_t left_out = s->fresh ? s->faults.no_invalidate_after : s->faults.no_invalidate_before;
    s->fresh = 0;
    if (!left_out) drop(s, at, bytes);
}

/* Of memory elsewhere too an address, at which the DMA meets a decode error. */
static uint32_t physical(void *context, const void *memory)
{
    const struct simulated *const s = context;
    return SIMULATED_MEMORY_BASE + (uint32_t)((uintptr_t)memory - (uintptr_t)s->processor) + s->faults.physical_offset;
}

static uint32_t microseconds(void *context)
{
    const struct simulated *const s = context;
    return s->faults.clock_start + (uint32_t)(lib.cycles(s->sim) / SIMULATED_CYCLES_US);
}

static void barrier(void *context)
{
    (void)context;
}

/* ---- life ---- */

static void find(void *library, const char *name, void *function)
{
    void *const found = dlsym(library, name);
    if (found == NULL) {
        (void)fprintf(stderr, "simulated: %s\n", dlerror());
        abort();
    }
    memcpy(function, &found, sizeof found); /* ISO C does not convert it */
}

static void bind_library(const char *path)
{
    void *const library = dlopen(path, RTLD_NOW);
    if (library == NULL) {
        (void)fprintf(stderr, "simulated: %s\n", dlerror());
        abort();
    }
    find(library, "sim_new", &lib.make);
    find(library, "sim_free", &lib.destroy);
    find(library, "sim_cycles", &lib.cycles);
    find(library, "sim_read", &lib.read);
    find(library, "sim_write", &lib.write);
    find(library, "sim_send", &lib.send);
    find(library, "sim_receive", &lib.receive);
    find(library, "sim_halt", &lib.halt);
    find(library, "sim_sending", &lib.sending);
    find(library, "sim_received", &lib.received);
    find(library, "sim_receive_state", &lib.receive_state);
    find(library, "sim_run", &lib.run);
    find(library, "sim_idle", &lib.idle);
    find(library, "sim_stall", &lib.stall);
}

static void *map(size_t bytes, const char *shared)
{
    int handle = open("/dev/zero", O_RDWR);
    void *memory;
    if (shared != NULL) {
        (void)close(handle);
        handle = open(shared, O_RDWR | O_CREAT | O_TRUNC, 0600);
        if (handle >= 0 && ftruncate(handle, (off_t)bytes) < 0) die("cannot size the shared memory", (uint32_t)bytes);
    }
    memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, shared != NULL ? MAP_SHARED : MAP_PRIVATE, handle, 0);
    if (memory == MAP_FAILED) die("no memory", (uint32_t)bytes);
    (void)close(handle);
    return memory;
}

void simulated_open(struct simulated *simulated, const char *library, size_t bytes, const char *shared)
{
    memset(simulated, 0, sizeof *simulated);
    bind_library(library);
    simulated->sim = lib.make();
    simulated->bytes = bytes;
    simulated->dma = map(bytes, shared);
    simulated->processor = map(bytes, NULL);
    simulated->clean = map(bytes, NULL);
    simulated->faults.poll_cycles = 100000;
    simulated->faults.lag = 3;
    simulated->platform.context = simulated;
    simulated->platform.read32 = read32;
    simulated->platform.write32 = write32;
    simulated->platform.flush = flush;
    simulated->platform.invalidate = invalidate;
    simulated->platform.physical = physical;
    simulated->platform.microseconds = microseconds;
    simulated->platform.barrier = barrier;
}

void simulated_close(struct simulated *simulated)
{
    lib.destroy(simulated->sim);
    (void)munmap(simulated->processor, simulated->bytes);
    (void)munmap(simulated->clean, simulated->bytes);
    (void)munmap(simulated->dma, simulated->bytes);
}

void simulated_stall(struct simulated *simulated, uint64_t seed, uint32_t send, uint32_t receive)
{
    lib.stall(simulated->sim, seed, send, receive);
}
