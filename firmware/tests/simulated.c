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

#define REGISTERS 0x10000U    /* bytes of address space */
#define LINE 32U              /* of the cache of a Cortex-A9 */
#define NEVER 0x80000000U     /* cycles that no test reaches */
#define INTERRUPT_CYCLES 10U  /* from what happens to the interrupt line, at most */

/* The C interface of rtl/sim/harness.cpp. */
static struct {
    void *(*make)(void);
    void (*destroy)(void *);
    uint64_t (*cycles)(const void *);
    int (*read)(void *, uint32_t, uint32_t *);
    int (*write)(void *, uint32_t, uint32_t, uint32_t);
    void (*memory)(void *, uint8_t *, uint64_t, uint64_t);
    void (*timing)(void *, uint64_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t, uint32_t);
    void (*fail)(void *, uint64_t, uint64_t);
    const char *(*broken)(const void *);
    int (*busy)(const void *);
    int (*interrupt)(const void *);
    void (*run)(void *, uint64_t);
    void (*idle)(void *, uint64_t);
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

/* Lines that were written to, as far as it shows, or all: whoever flushes has just written them, if only what was there. */
static void write_back(struct simulated *s, size_t at, size_t bytes, int all)
{
    size_t line;
    for (line = at / LINE * LINE; line < at + bytes; line += LINE) {
        if (!all && !lines_differ(s->processor + line, s->clean + line)) continue;
        copy_line(s->logic + line, s->processor + line);
        copy_line(s->clean + line, s->processor + line);
    }
}

static void drop(struct simulated *s, size_t at, size_t bytes)
{
    size_t line;
    for (line = at / LINE * LINE; line < at + bytes; line += LINE) {
        copy_line(s->processor + line, s->logic + line);
        copy_line(s->clean + line, s->logic + line);
    }
}

/* ---- transfers ---- */

/* Results have come: dirty lines of the cache go over them, and what was planted happens to them. */
static void received(struct simulated *s, struct simulated_receive *receive)
{
    if (s->faults.change_bits != 0U && s->faults.change_word < receive->bytes / 4U) {
        ((uint32_t *)(void *)(s->logic + receive->at))[s->faults.change_word] ^= s->faults.change_bits;
        s->faults.change_bits = 0U;
    }
    write_back(s, receive->at, receive->bytes, 0);
    receive->fresh = 1;
}

/* After time has passed, and before the processor goes on. */
static void catch_up(struct simulated *s)
{
    uint32_t count = s->done;
    if (lib.broken(s->sim)[0] != '\0') {
        (void)fprintf(stderr, "simulated: %s\n", lib.broken(s->sim));
        abort();
    }
    if (s->done != s->begun && lib.read(s->sim, SPK_REG_RECEIVED, &count) != 0) die("no answer to a read", SPK_REG_RECEIVED);
    for (; s->done != count; ++s->done) received(s, &s->receive[s->done % SIMULATED_COMMANDS]);
}

/* A command is about to be queued: of memory that is the caller's, or of none. */
static void command(struct simulated *s, int receive, uint32_t bytes)
{
    uint32_t *const refuse = receive ? &s->faults.refuse_receive : &s->faults.refuse_send;
    const uint64_t at = s->address - SIMULATED_MEMORY_BASE;
    if (*refuse != 0U && --*refuse == 0U) lib.fail(s->sim, s->address, bytes);
    if (at > s->bytes || bytes > s->bytes - at) return;
    check_region(s, (size_t)at, bytes);
    if (receive && s->begun - s->done < SIMULATED_COMMANDS) {
        const struct simulated_receive due = {(size_t)at, bytes, 0};
        s->receive[s->begun++ % SIMULATED_COMMANDS] = due;
    }
}

/* ---- platform ---- */

static uint32_t read32(void *context, uint32_t address)
{
    struct simulated *const s = context;
    const uint32_t offset = address - SPK_BASE_ACCELERATOR;
    uint32_t value = 0;
    if (offset >= REGISTERS) die("bus error: nothing there to read", address);
    ++s->reads;
    lib.idle(s->sim, s->faults.access_cycles);
    if (offset == SPK_REG_SENT || offset == SPK_REG_RECEIVED) lib.run(s->sim, s->faults.poll_cycles);
    if (lib.read(s->sim, offset, &value) != 0) die("no answer to a read", address);
    catch_up(s);
    if (address == s->faults.answer_address) {
        if (s->faults.answer_skip != 0U) --s->faults.answer_skip;
        else value = (value & ~s->faults.answer_mask) | s->faults.answer_set;
    }
    return value;
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    struct simulated *const s = context;
    const uint32_t offset = address - SPK_BASE_ACCELERATOR;
    if (offset >= REGISTERS) die("bus error: nothing there to write", address);
    lib.idle(s->sim, s->faults.access_cycles);
    switch (offset) {
    case SPK_REG_CONTROL:
        if ((value & SPK_REG_CONTROL_RESET_MASK) != 0U) s->begun = s->done = 0U;
        break;
    case SPK_REG_ADDRESS_LO: s->address = (s->address >> 32) << 32 | value; break;
    case SPK_REG_ADDRESS_HI: s->address = (uint32_t)s->address | (uint64_t)value << 32; break;
    case SPK_REG_SEND: command(s, 0, value & SPK_REG_SEND_WORDS_MASK); break;
    case SPK_REG_RECEIVE: command(s, 1, value & SPK_REG_RECEIVE_WORDS_MASK); break;
    default: break;
    }
    if (lib.write(s->sim, offset, value, 15) != 0) die("no answer to a write", address);
}

static int interrupted(const struct simulated *s)
{
    lib.idle(s->sim, INTERRUPT_CYCLES);
    return lib.interrupt(s->sim) && !s->faults.no_interrupt;
}

static void wait_for_interrupt(void *context, uint32_t microseconds)
{
    struct simulated *const s = context;
    const uint64_t end = lib.cycles(s->sim) + (uint64_t)microseconds * SIMULATED_CYCLES_US;
    ++s->waits;
    while (!interrupted(s) && lib.cycles(s->sim) < end) {
        if (lib.busy(s->sim)) lib.run(s->sim, end - lib.cycles(s->sim));
        else lib.idle(s->sim, end - lib.cycles(s->sim));
    }
    catch_up(s);
}

static size_t place(const struct simulated *s, const void *memory, size_t bytes)
{
    const uintptr_t at = (uintptr_t)memory - (uintptr_t)s->processor;
    if (at > s->bytes || bytes > s->bytes - at) die("cache maintenance outside the memory", (uint32_t)at);
    check_region(s, at, bytes);
    return at;
}

static void flush(void *context, const void *memory, size_t bytes)
{
    struct simulated *const s = context;
    const size_t at = place(s, memory, bytes);
    lib.idle(s->sim, s->faults.pack_cycles);
    catch_up(s);
    if (s->begun - s->done > s->ahead) s->ahead = s->begun - s->done;
    if (!s->faults.no_flush) write_back(s, at, bytes, 1);
}

static void invalidate(void *context, const void *memory, size_t bytes)
{
    struct simulated *const s = context;
    const size_t at = place(s, memory, bytes);
    int after = 0;
    size_t n;
    for (n = 0; n < SIMULATED_COMMANDS; ++n) {
        struct simulated_receive *const receive = &s->receive[n];
        if (receive->fresh && receive->at == at) after = receive->fresh--;
    }
    if (!(after ? s->faults.no_invalidate_after : s->faults.no_invalidate_before)) drop(s, at, bytes);
}

/* Of memory elsewhere too an address, at which there is no memory. */
static uint64_t physical(void *context, const void *memory)
{
    const struct simulated *const s = context;
    return SIMULATED_MEMORY_BASE + ((uintptr_t)memory - (uintptr_t)s->processor) + s->faults.physical_offset;
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
    find(library, "sim_memory", &lib.memory);
    find(library, "sim_timing", &lib.timing);
    find(library, "sim_fail", &lib.fail);
    find(library, "sim_broken", &lib.broken);
    find(library, "sim_busy", &lib.busy);
    find(library, "sim_interrupt", &lib.interrupt);
    find(library, "sim_run", &lib.run);
    find(library, "sim_idle", &lib.idle);
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
    simulated->logic = map(bytes, shared);
    simulated->processor = map(bytes, NULL);
    simulated->clean = map(bytes, NULL);
    lib.memory(simulated->sim, simulated->logic, bytes, SIMULATED_MEMORY_BASE);
    simulated->faults.poll_cycles = 100000;
    simulated->faults.access_cycles = 10;
    simulated->platform.context = simulated;
    simulated->platform.read32 = read32;
    simulated->platform.write32 = write32;
    simulated->platform.flush = flush;
    simulated->platform.invalidate = invalidate;
    simulated->platform.physical = physical;
    simulated->platform.microseconds = microseconds;
    simulated->platform.barrier = barrier;
    simulated->platform.wait = wait_for_interrupt;
}

void simulated_close(struct simulated *simulated)
{
    lib.destroy(simulated->sim);
    (void)munmap(simulated->processor, simulated->bytes);
    (void)munmap(simulated->clean, simulated->bytes);
    (void)munmap(simulated->logic, simulated->bytes);
}

void simulated_memory(struct simulated *simulated, const struct simulated_timing *timing)
{
    const uint64_t still = timing->pause != 0U ? lib.cycles(simulated->sim) + (uint64_t)timing->pause * SIMULATED_CYCLES_US : 0U;
    if (still >= NEVER) die("too late for a pause", timing->pause);
    lib.timing(simulated->sim, timing->seed, timing->latency_least, timing->latency_most, timing->stall_read, timing->stall_write,
               still != 0U ? NEVER : 0U, (uint32_t)still);
    lib.fail(simulated->sim, 0, 0);
}

int simulated_busy(const struct simulated *simulated)
{
    return lib.busy(simulated->sim);
}
