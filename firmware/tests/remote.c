/* SPDX-License-Identifier: Apache-2.0 */
#define _POSIX_C_SOURCE 200809L
#include "remote.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* What the processor sees, and what the accelerator does. */
static struct {
    int socket;
    uint8_t *processor, *shared;
    size_t bytes;
} remote = {-1, NULL, NULL, 0};

static void lost(void)
{
    (void)fputs("the simulated accelerator went away\n", stderr);
    exit(3);
}

static void ask(uint32_t operation, uint32_t address, uint32_t value)
{
    const struct remote_request request = {operation, address, value};
    if (send(remote.socket, &request, sizeof request, MSG_NOSIGNAL) != (ssize_t)sizeof request) lost();
}

static uint32_t answer(void)
{
    struct remote_answer answer;
    if (recv(remote.socket, &answer, sizeof answer, MSG_WAITALL) != (ssize_t)sizeof answer) lost();
    return answer.value;
}

static uint32_t read32(void *context, uint32_t address)
{
    (void)context;
    ask(REMOTE_READ, address, 0);
    return answer();
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    ask(REMOTE_WRITE, address, value);
}

static uint32_t microseconds(void *context)
{
    (void)context;
    ask(REMOTE_CLOCK, 0, 0);
    return answer();
}

static void wait_for_interrupt(void *context, uint32_t microseconds)
{
    (void)context;
    ask(REMOTE_WAIT, 0, microseconds);
    (void)answer();
}

static size_t offset(const void *memory, size_t bytes)
{
    const uintptr_t at = (uintptr_t)memory - (uintptr_t)remote.processor;
    if (at > remote.bytes || bytes > remote.bytes - at) {
        (void)fputs("cache maintenance outside the memory\n", stderr);
        exit(3);
    }
    return at;
}

static void flush(void *context, const void *memory, size_t bytes)
{
    (void)context;
    memcpy(remote.shared + offset(memory, bytes), memory, bytes);
}

static void invalidate(void *context, const void *memory, size_t bytes)
{
    const size_t at = offset(memory, bytes);
    (void)context;
    memcpy(remote.processor + at, remote.shared + at, bytes);
}

/* Of memory elsewhere too an address, at which there is no memory. */
static uint64_t physical(void *context, const void *memory)
{
    (void)context;
    return REMOTE_MEMORY_BASE + ((uintptr_t)memory - (uintptr_t)remote.processor);
}

static void barrier(void *context)
{
    (void)context;
    __sync_synchronize();
}

static int map_memory(const char *path)
{
    char name[sizeof((struct sockaddr_un *)0)->sun_path + sizeof REMOTE_MEMORY_SUFFIX];
    struct stat file;
    int handle;
    (void)snprintf(name, sizeof name, "%s%s", path, REMOTE_MEMORY_SUFFIX);
    handle = open(name, O_RDWR);
    if (handle < 0) return -1;
    if (fstat(handle, &file) < 0) {
        (void)close(handle);
        return -1;
    }
    remote.bytes = (size_t)file.st_size;
    remote.shared = mmap(NULL, remote.bytes, PROT_READ | PROT_WRITE, MAP_SHARED, handle, 0);
    (void)close(handle);
    if (remote.shared == MAP_FAILED) return -1;
    /* A private view of the file's pages would see what the accelerator writes until it is written to: take a copy. */
    remote.processor = NULL;
    errno = posix_memalign((void **)&remote.processor, 4096, remote.bytes);
    if (errno != 0) return -1;
    memset(remote.processor, 0, remote.bytes);
    return 0;
}

int remote_open(struct spk_platform *platform, const char *path, void **memory, size_t *bytes)
{
    struct sockaddr_un address;
    if (remote.socket >= 0 || strlen(path) >= sizeof address.sun_path) {
        errno = EINVAL;
        return -1;
    }
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    memcpy(address.sun_path, path, strlen(path));
    remote.socket = socket(AF_UNIX, SOCK_STREAM, 0);
    if (remote.socket < 0 || connect(remote.socket, (const struct sockaddr *)&address, sizeof address) < 0) return -1;
    if (map_memory(path) < 0) return -1;

    memset(platform, 0, sizeof *platform);
    platform->read32 = read32;
    platform->write32 = write32;
    platform->flush = flush;
    platform->invalidate = invalidate;
    platform->physical = physical;
    platform->microseconds = microseconds;
    platform->barrier = barrier;
    platform->wait = wait_for_interrupt;
    *memory = remote.processor;
    *bytes = remote.bytes;
    return 0;
}
