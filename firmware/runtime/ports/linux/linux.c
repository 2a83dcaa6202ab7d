/* SPDX-License-Identifier: Apache-2.0
 *
 * Linux, from user space: registers by UIO or /dev/mem, memory for the accelerator by u-dma-buf or a reserved region. What is
 * where, in the environment:
 *
 *   SPIKELINE_ACCELERATOR  a UIO device such as /dev/uio0, whose interrupt is waited for; without it /dev/mem at the board
 *                          design's address, and the accelerator is polled
 *   SPIKELINE_RESERVED     ADDRESS:BYTES of memory that the kernel leaves alone, used uncached by /dev/mem
 *   SPIKELINE_BUFFER       else a u-dma-buf, udmabuf0 unless named here
 *
 * The bitstream must be loaded (fpga_manager, or PYNQ): an access to logic without clocks hangs the processor.
 */
#define _POSIX_C_SOURCE 200809L
#define _FILE_OFFSET_BITS 64
#include "../port.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define MEM "/dev/mem"
#define REGISTER_BYTES 0x1000U
#define LINE 64U

/* For u-dma-buf, whose cache maintenance is writing to two files; of other memory they are -1. */
static struct {
    volatile uint32_t *accelerator;
    uint8_t *memory;
    size_t bytes;
    uint64_t physical;
    int for_cpu, for_device;
    int interrupt; /* the UIO device */
} port = {NULL, NULL, 0U, 0U, -1, -1, -1};

static int fail(const char *what, const char *fix)
{
    (void)fprintf(stderr, "%s: %s; %s\n", what, strerror(errno), fix);
    return 1;
}

static void die(const char *what)
{
    (void)fail(what, "stopped");
    exit(1);
}

/* ---- registers ---- */

static volatile uint32_t *at(uint32_t address)
{
    if (address - SPK_BASE_ACCELERATOR < REGISTER_BYTES) return port.accelerator + (address - SPK_BASE_ACCELERATOR) / 4U;
    errno = EFAULT;
    die("a register outside the accelerator");
    return NULL;
}

static uint32_t read32(void *context, uint32_t address)
{
    (void)context;
    return *at(address);
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    *at(address) = value;
}

/* ---- memory ---- */

static void barrier(void *context)
{
    (void)context;
    __asm__ volatile("dsb sy" : : : "memory");
}

/* Offset, size, direction and a 1 in one word, whole cache lines. direction: 1 to the device, 2 from it. */
static void synchronize(int file, uint32_t direction, const void *memory, size_t bytes)
{
    const uint32_t from = (uint32_t)((const uint8_t *)memory - port.memory);
    const uint32_t first = from / LINE * LINE, size = (from + (uint32_t)bytes - first + LINE - 1U) / LINE * LINE;
    char text[24];
    if (file < 0 || bytes == 0U) return;
    (void)snprintf(text, sizeof text, "0x%08lX%08lX", (unsigned long)first, (unsigned long)(size | direction << 2 | 1U));
    if (pwrite(file, text, strlen(text), 0) < 0) die("cache maintenance of the u-dma-buf");
}

static void flush(void *context, const void *memory, size_t bytes)
{
    barrier(context);
    synchronize(port.for_device, 1U, memory, bytes);
}

static void invalidate(void *context, const void *memory, size_t bytes)
{
    synchronize(port.for_cpu, 2U, memory, bytes);
    barrier(context);
}

static uint64_t physical(void *context, const void *memory)
{
    (void)context;
    return port.physical + (uint64_t)((const uint8_t *)memory - port.memory);
}

/* ---- time, text ---- */

/* The kernel masks an interrupt when it has come; it is let through again here, and comes at once if the line is still high. A UIO
 * device without an interrupt refuses that, and is polled. */
static void wait_for_interrupt(void *context, uint32_t microseconds)
{
    const uint32_t on = 1U;
    uint32_t count;
    struct pollfd interrupt = {port.interrupt, POLLIN, 0};
    (void)context;
    if (write(port.interrupt, &on, sizeof on) < 0) return;
    if (poll(&interrupt, 1, (int)(microseconds / 1000U + 1U)) <= 0) return;
    if (read(port.interrupt, &count, sizeof count) < 0) die("interrupt of the accelerator");
}

static uint32_t microseconds(void *context)
{
    struct timespec time;
    (void)context;
    (void)clock_gettime(CLOCK_MONOTONIC, &time);
    return (uint32_t)time.tv_sec * 1000000U + (uint32_t)time.tv_nsec / 1000U;
}

void port_print(const char *text)
{
    (void)fputs(text, stdout);
    (void)fflush(stdout);
}

/* ---- opening ---- */

/* Of an open file; NULL if that is none. */
static void *map(int file, uint64_t offset, size_t bytes)
{
    void *memory = file < 0 ? MAP_FAILED : mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, file, (off_t)offset);
    return memory == MAP_FAILED ? NULL : memory;
}

static void *map_path(const char *path, int flags, uint64_t offset, size_t bytes)
{
    const int file = open(path, O_RDWR | O_CLOEXEC | flags);
    void *memory = map(file, offset, bytes);
    const int error = errno;
    if (file >= 0) (void)close(file);
    errno = error;
    return memory;
}

static int open_registers(const char *device)
{
    port.interrupt = device != NULL ? open(device, O_RDWR | O_CLOEXEC) : -1;
    port.accelerator = device != NULL ? map(port.interrupt, 0U, REGISTER_BYTES)
                                      : map_path(MEM, O_SYNC, SPK_BASE_ACCELERATOR, REGISTER_BYTES);
    if (port.accelerator != NULL) return 0;
    return fail(device != NULL ? device : MEM, "run as root, or name a UIO device in SPIKELINE_ACCELERATOR");
}

static int open_reserved(const char *where)
{
    char *end;
    port.physical = strtoull(where, &end, 0);
    port.bytes = *end == ':' ? strtoul(end + 1, &end, 0) : 0U;
    errno = EINVAL;
    if (*end == '\0' && port.bytes != 0U && port.physical % 4096U == 0U)
        port.memory = map_path(MEM, O_SYNC, port.physical, port.bytes);
    if (port.memory != NULL) return 0;
    return fail("SPIKELINE_RESERVED", "name ADDRESS:BYTES, in whole pages, of a reserved-memory node");
}

static int attribute(const char *folder, const char *name, int flags)
{
    char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", folder, name);
    return open(path, flags | O_CLOEXEC);
}

/* A number that the driver shows as text; 0 if there is none. */
static unsigned long long number(const char *folder, const char *name)
{
    char text[32] = "";
    const int file = attribute(folder, name, O_RDONLY);
    if (file < 0) return 0U;
    if (read(file, text, sizeof text - 1U) < 0) text[0] = '\0';
    (void)close(file);
    return strtoull(text, NULL, 0);
}

static int open_buffer(const char *name)
{
    static const char *const classes[] = {"u-dma-buf", "udmabuf"}; /* of today and of versions before 2.0 */
    const char *fix = "load the module: insmod u-dma-buf.ko udmabuf0=4194304; or set SPIKELINE_RESERVED";
    char path[64], folder[96] = "";
    size_t n;
    for (n = 0U; n < sizeof classes / sizeof *classes && port.bytes == 0U; ++n) {
        (void)snprintf(folder, sizeof folder, "/sys/class/%s/%s", classes[n], name);
        port.physical = number(folder, "phys_addr");
        port.bytes = (size_t)number(folder, "size");
    }
    (void)snprintf(path, sizeof path, "/dev/%s", name);
    if (port.bytes == 0U) return fail(path, fix);
    port.memory = map_path(path, 0, 0U, port.bytes);
    if (port.memory == NULL) return fail(path, fix);
    port.for_cpu = attribute(folder, "sync_for_cpu", O_WRONLY);
    port.for_device = attribute(folder, "sync_for_device", O_WRONLY);
    return port.for_cpu < 0 || port.for_device < 0 ? fail(folder, "run as root") : 0;
}

int port_open(struct spk_platform *platform, void **memory, size_t *bytes)
{
    static const struct spk_platform linux_platform = {NULL,     read32,       write32, flush, invalidate,
                                                       physical, microseconds, barrier, NULL};
    const char *reserved = getenv("SPIKELINE_RESERVED"), *buffer = getenv("SPIKELINE_BUFFER");
    if (open_registers(getenv("SPIKELINE_ACCELERATOR")) != 0) return 1;
    if ((reserved != NULL ? open_reserved(reserved) : open_buffer(buffer != NULL ? buffer : "udmabuf0")) != 0) return 1;
    *platform = linux_platform;
    if (port.interrupt >= 0) platform->wait = wait_for_interrupt;
    *memory = port.memory;
    *bytes = port.bytes;
    return 0;
}
