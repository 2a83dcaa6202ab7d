/* SPDX-License-Identifier: Apache-2.0
 *
 * server LIBRARY PATH MEMORY_BYTES: the simulated accelerator for one program in another process; see remote.h.
 */
#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "remote.h"
#include "simulated.h"

#if REMOTE_MEMORY_BASE != SIMULATED_MEMORY_BASE
#error "the memory must have one address"
#endif

/* Listen; the path appears when a client may come. */
static int await_client(const char *path)
{
    struct sockaddr_un address;
    int listener, client;
    memset(&address, 0, sizeof address);
    address.sun_family = AF_UNIX;
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s.new", path) >= (int)sizeof address.sun_path) return -1;
    listener = socket(AF_UNIX, SOCK_STREAM, 0);
    if (listener < 0 || bind(listener, (const struct sockaddr *)&address, sizeof address) < 0) return -1;
    if (listen(listener, 1) < 0 || rename(address.sun_path, path) < 0) return -1;
    client = accept(listener, NULL, NULL);
    (void)close(listener);
    return client;
}

static void serve(int client, const struct spk_platform *platform)
{
    struct remote_request request;
    while (recv(client, &request, sizeof request, MSG_WAITALL) == (ssize_t)sizeof request) {
        struct remote_answer answer = {0};
        switch (request.operation) {
        case REMOTE_READ: answer.value = platform->read32(platform->context, request.address); break;
        case REMOTE_WRITE: platform->write32(platform->context, request.address, request.value); continue;
        case REMOTE_WAIT: platform->wait(platform->context, request.value); break;
        case REMOTE_CLOCK: answer.value = platform->microseconds(platform->context); break;
        default: return;
        }
        if (send(client, &answer, sizeof answer, MSG_NOSIGNAL) != (ssize_t)sizeof answer) return;
    }
}

int main(int argc, char **argv)
{
    static struct simulated simulated;
    char memory[256];
    int client;
    if (argc != 4 || snprintf(memory, sizeof memory, "%s%s", argv[2], REMOTE_MEMORY_SUFFIX) >= (int)sizeof memory) {
        (void)fputs("usage: server LIBRARY PATH MEMORY_BYTES\n", stderr);
        return 2;
    }
    simulated_open(&simulated, argv[1], (size_t)strtoul(argv[3], NULL, 0), memory);
    client = await_client(argv[2]);
    if (client < 0) {
        perror(argv[2]);
        return 1;
    }
    serve(client, &simulated.platform);
    (void)close(client);
    (void)unlink(argv[2]);
    (void)unlink(memory);
    simulated_close(&simulated);
    return 0;
}
