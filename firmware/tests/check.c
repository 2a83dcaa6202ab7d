/* SPDX-License-Identifier: Apache-2.0
 *
 * check LIBRARY MEMORY_BYTES, or check remote PATH: runs the runtime on the simulated accelerator, its own or a server's, as told
 * by lines on its input, and answers each by
 *     STATUS READS WAITS MICROSECONDS ERROR_CODE ERROR_PACKET ERROR_LAYER ERROR_ADDRESS LOADED [more]
 * with the registers read, the interrupts waited for (both 0 if remote) and the time passed meanwhile.
 * tests/system/test_c_runtime.py drives it.
 *
 * Built with AddressSanitizer, every buffer ends where it should: processor, cache and accelerator may touch nothing else.
 */
#define _POSIX_C_SOURCE 200809L
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "remote.h"
#include "simulated.h"

#define MAX_WORDS 8
#define GAP 64U
#define SECONDS 100U /* that a line may take */

extern void __asan_poison_memory_region(const volatile void *memory, size_t bytes) __attribute__((weak));
extern void __asan_unpoison_memory_region(const volatile void *memory, size_t bytes) __attribute__((weak));

static struct simulated simulated;
static struct spk_platform platform;
static struct spk_device device;
static uint8_t *memory; /* that the accelerator reaches */
static size_t memory_bytes, taken;
static int left; /* transfers go on that the runtime knows nothing of, or cannot stop */
static char *words[MAX_WORDS];
static char more[1024];

__attribute__((noreturn)) static void die(const char *message)
{
    (void)fprintf(stderr, "check: %s\n", message);
    exit(2);
}

__attribute__((format(printf, 1, 2))) static void tell(const char *format, ...)
{
    const size_t length = strlen(more);
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(more + length, sizeof more - length, format, arguments);
    va_end(arguments);
}

static uint64_t number(int n)
{
    char *end = NULL;
    uint64_t value;
    if (words[n] == NULL) die("a word is missing");
    value = strtoull(words[n], &end, 0);
    if (*end != '\0') die("not a number");
    return value;
}

/* ---- memory ---- */

static void give_all_back(void)
{
    taken = 0;
    if (__asan_poison_memory_region != NULL) __asan_poison_memory_region(memory, memory_bytes);
}

/* `bytes` at cache lines of their own. */
static uint8_t *take(size_t bytes)
{
    uint8_t *const start = memory + taken + GAP;
    taken = (taken + GAP + bytes + GAP - 1U) / GAP * GAP;
    if (taken > memory_bytes) die("the memory is too small");
    if (__asan_unpoison_memory_region != NULL) __asan_unpoison_memory_region(start, bytes);
    return start;
}

static void *get(size_t bytes)
{
    void *const got = malloc(bytes != 0U ? bytes : 1U);
    if (got == NULL) die("no memory");
    return got;
}

static FILE *open_file(const char *path, const char *mode)
{
    FILE *const file = path != NULL ? fopen(path, mode) : NULL;
    if (file == NULL) die("cannot open a file");
    return file;
}

static size_t file_bytes(const char *path)
{
    struct stat file;
    if (path == NULL || stat(path, &file) < 0) die("no such file");
    return (size_t)file.st_size;
}

static void read_file(const char *path, void *to, size_t bytes)
{
    FILE *const file = open_file(path, "rb");
    if (fread(to, 1, bytes, file) != bytes) die("a file is too short");
    (void)fclose(file);
}

/* ---- lines ---- */

static enum spk_status do_open(void)
{
    left = 0;
    return spk_open(&device, &platform, (uint32_t)number(2), (uint32_t)number(1));
}

static enum spk_status do_load(void)
{
    const size_t bytes = file_bytes(words[1]);
    uint8_t *const model = take(bytes);
    read_file(words[1], model, bytes);
    return spk_load(&device, model, bytes);
}

static enum spk_status do_attach(void)
{
    const size_t bytes = file_bytes(words[1]);
    uint8_t *const model = get(bytes);
    enum spk_status status;
    read_file(words[1], model, bytes);
    status = spk_attach(&device, &platform, SPK_BASE_ACCELERATOR, (uint32_t)number(2), model, bytes);
    free(model);
    return status;
}

static enum spk_status do_check(void)
{
    const size_t bytes = file_bytes(words[1]);
    uint8_t *const model = get(bytes);
    struct spk_geometry needs;
    enum spk_status status;
    memset(&needs, 0, sizeof needs);
    read_file(words[1], model, bytes);
    status = spk_check(model, bytes, &needs);
    if (spk_check(model, bytes, NULL) != status) die("two answers");
    free(model);
    tell("%u %u %u %u %u %u", needs.layers, needs.weight_bits, needs.membrane_bits, needs.classes, needs.layer[0].inputs,
         needs.layer[0].neurons);
    return status;
}

/* results, values: written to the file if all went well. */
static void write_out(const char *path, const struct spk_result *results, const int32_t *values, size_t images)
{
    FILE *const file = open_file(path, "wb");
    size_t written = fwrite(results, sizeof *results, images, file);
    if (values != NULL) written += fwrite(values, sizeof *values, images * device.classes, file);
    if (written != images * (values != NULL ? 1U + device.classes : 1U) || fclose(file) != 0) die("cannot write");
}

/* infer PIXELS IMAGES SEED BUFFER_BYTES VALUES OUT */
static enum spk_status do_infer(void)
{
    const uint32_t images = (uint32_t)number(2);
    const size_t buffer_bytes = (size_t)number(4);
    const int with_values = number(5) != 0U;
    const size_t bytes = file_bytes(words[1]);
    uint8_t *const pixels = take(bytes);
    struct spk_result *const results = get(images * sizeof *results);
    int32_t *const values = with_values ? get((size_t)images * device.classes * sizeof *values) : NULL;
    uint8_t *const buffer = take(buffer_bytes);
    enum spk_status status;
    read_file(words[1], pixels, bytes);
    memset(buffer, 0xA5, buffer_bytes); /* every line is dirty */
    status = spk_infer(&device, pixels, images, number(3), results, values, buffer, buffer_bytes);
    if (status == SPK_OK) write_out(words[6], results, values, images);
    free(results);
    free(values);
    return status;
}

/* packet FILE IMAGES VALUES OUT */
static enum spk_status do_packet(void)
{
    const size_t packet_bytes = file_bytes(words[1]);
    const uint32_t images = (uint32_t)number(2);
    const int with_values = number(3) != 0U;
    const size_t buffer_bytes = spk_result_bytes(&device, images, with_values);
    uint8_t *const packet = take(packet_bytes), *const buffer = take(buffer_bytes);
    struct spk_result *const results = get(images * sizeof *results);
    int32_t *const values = with_values ? get((size_t)images * device.classes * sizeof *values) : NULL;
    enum spk_status status;
    read_file(words[1], packet, packet_bytes);
    memset(buffer, 0xA5, buffer_bytes);
    status = spk_infer_packet(&device, packet, packet_bytes, images, results, values, buffer, buffer_bytes);
    if (status == SPK_OK) write_out(words[4], results, values, images);
    free(results);
    free(values);
    return status;
}

/* Every argument that cannot be, one after another, on a device with a network; all but the last answers should be ARGUMENT. */
static enum spk_status do_arguments(void)
{
    const size_t one = spk_buffer_bytes(&device, 1, 0), bytes = one + 8U;
    uint8_t *const buffer = take(bytes), *const packet = take(bytes);
    uint8_t *const pixels = take(spk_image_bytes(&device) + 8U);
    struct spk_result result[2];
    struct spk_device other;
    memset(buffer, 0, bytes);
    memset(packet, 0, bytes);
    memset(pixels, 0, spk_image_bytes(&device) + 8U);
#define TRY(call) tell("%d ", (int)(call))
    TRY(spk_open(NULL, &platform, SPK_BASE_ACCELERATOR, 1000));
    TRY(spk_open(&other, NULL, SPK_BASE_ACCELERATOR, 1000));
    TRY(spk_open(&other, &platform, SPK_BASE_ACCELERATOR, 0));
    TRY(spk_open(&other, &platform, SPK_BASE_ACCELERATOR, 0x80000000U));
    TRY(spk_attach(NULL, &platform, SPK_BASE_ACCELERATOR, 1000, buffer, bytes));
    TRY(spk_attach(&other, NULL, SPK_BASE_ACCELERATOR, 1000, buffer, bytes));
    TRY(spk_attach(&other, &platform, SPK_BASE_ACCELERATOR, 0, buffer, bytes));
    TRY(spk_attach(&other, &platform, SPK_BASE_ACCELERATOR, 1000, NULL, bytes));
    TRY(spk_load(NULL, buffer, bytes));
    TRY(spk_load(&device, NULL, bytes));
    TRY(spk_load(&device, buffer + 4, bytes - 4U));
    TRY(spk_check(NULL, 64, NULL));
    TRY(spk_infer(NULL, pixels, 1, 0, result, NULL, buffer, bytes));
    TRY(spk_infer(&device, NULL, 1, 0, result, NULL, buffer, bytes));
    TRY(spk_infer(&device, pixels, 1, 0, NULL, NULL, buffer, bytes));
    TRY(spk_infer(&device, pixels, 1, 0, result, NULL, NULL, bytes));
    TRY(spk_infer(&device, pixels + 4, 1, 0, result, NULL, buffer, bytes));
    TRY(spk_infer(&device, pixels, 1, 0, result, NULL, buffer + 8, one));
    TRY(spk_infer(&device, pixels, 1, 0, result, NULL, buffer, one - 1U));
    TRY(spk_infer(&device, pixels, 1, 0, result, NULL, buffer, 0));
    TRY(spk_infer_packet(NULL, packet, 16, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, NULL, 16, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 16, 1, NULL, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 16, 1, result, NULL, NULL, bytes));
    TRY(spk_infer_packet(&device, packet + 4, 16, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 16, 1, result, NULL, buffer + 4, bytes - 4U));
    TRY(spk_infer_packet(&device, packet, 16, 0, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 0, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 12, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, (size_t)UINT32_MAX + 1U, 1, result, NULL, buffer, bytes));
    TRY(spk_infer_packet(&device, packet, 16, 2, result, NULL, buffer, spk_result_bytes(&device, 2, 0) - 1U));
    TRY(spk_infer_packet(&device, packet, 16, 0xFFFFFFFFU, result, NULL, buffer, bytes));
    TRY(spk_reset(NULL));
    TRY(spk_infer(&device, pixels, 1, 0, result, NULL, buffer, one));
#undef TRY
    return SPK_OK;
}

static enum spk_status do_counters(void)
{
    struct spk_counters counters;
    size_t n;
    spk_read_counters(&device, &counters);
    tell("%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64, counters.cycles, counters.images, counters.steps,
         counters.stall_input, counters.stall_output);
    for (n = 0; n < SPK_REG_LAYER_COUNT; ++n) tell(" %" PRIu64, counters.row_reads[n]);
    return SPK_OK;
}

static enum spk_status do_sizes(void)
{
    const uint32_t images = (uint32_t)number(1);
    const int with_values = number(2) != 0U;
    tell("%zu %zu", spk_buffer_bytes(&device, images, with_values), spk_result_bytes(&device, images, with_values));
    return SPK_OK;
}

static enum spk_status do_device(void)
{
    const struct spk_geometry *const built = &device.built;
    tell("%u %u %u %u %u %u %u %u %u", built->layers, built->weight_bits, built->membrane_bits, built->classes,
         device.continuous, device.max_leak, device.direct, built->layer[0].inputs, built->layer[0].neurons);
    return SPK_OK;
}

static enum spk_status do_fault(void)
{
    struct simulated_faults *const faults = &simulated.faults;
    const uint64_t value = number(2);
#define FAULT(name)                       \
    if (strcmp(words[1], #name) == 0) {   \
        faults->name = (uint32_t)value;   \
        return SPK_OK;                    \
    }
    FAULT(poll_cycles)
    FAULT(access_cycles)
    FAULT(pack_cycles)
    FAULT(clock_start)
    FAULT(no_flush)
    FAULT(no_invalidate_before)
    FAULT(no_invalidate_after)
    FAULT(no_interrupt)
    FAULT(refuse_send)
    FAULT(refuse_receive)
    FAULT(change_word)
    FAULT(change_bits)
    FAULT(answer_address)
    FAULT(answer_mask)
    FAULT(answer_set)
    FAULT(answer_skip)
#undef FAULT
    if (strcmp(words[1], "physical_offset") == 0) {
        faults->physical_offset = value;
        return SPK_OK;
    }
    die("no such fault");
}

/* memory SEED LATENCY_LEAST LATENCY_MOST STALL_READ STALL_WRITE PAUSE */
static enum spk_status do_memory(void)
{
    struct simulated_timing timing;
    timing.seed = number(1);
    timing.latency_least = (uint32_t)number(2);
    timing.latency_most = (uint32_t)number(3);
    timing.stall_read = (uint32_t)number(4);
    timing.stall_write = (uint32_t)number(5);
    timing.pause = (uint32_t)number(6);
    simulated_memory(&simulated, &timing);
    return SPK_OK;
}

/* From now on wait for interrupts, or poll. */
static enum spk_status do_interrupts(void)
{
    platform.wait = number(1) != 0U ? simulated.platform.wait : NULL;
    return SPK_OK;
}

/* Since the last time. */
static enum spk_status do_ahead(void)
{
    tell("%" PRIu32, simulated.ahead);
    simulated.ahead = 0U;
    return SPK_OK;
}

static enum spk_status do_read(void)
{
    tell("%" PRIu32, platform.read32(platform.context, (uint32_t)number(1)));
    return SPK_OK;
}

static enum spk_status do_write(void)
{
    platform.write32(platform.context, (uint32_t)number(1), (uint32_t)number(2));
    return SPK_OK;
}

/* The device believes that the network of this identity is loaded. */
static enum spk_status do_pretend(void)
{
    device.model = (uint32_t)number(1);
    return SPK_OK;
}

static void command(uint32_t which, const void *at, uint32_t value)
{
    const uint64_t address = platform.physical(platform.context, at);
    platform.write32(platform.context, SPK_BASE_ACCELERATOR + SPK_REG_ADDRESS_LO, (uint32_t)address);
    platform.write32(platform.context, SPK_BASE_ACCELERATOR + SPK_REG_ADDRESS_HI, (uint32_t)(address >> 32));
    platform.write32(platform.context, SPK_BASE_ACCELERATOR + which, value);
}

/* leave FILE RESULT_BYTES: queue the transfer of a packet as a program that is killed then; without a packet its receiving. */
static enum spk_status do_leave(void)
{
    const uint32_t result_bytes = (uint32_t)number(2);
    const size_t bytes = file_bytes(words[1]);
    uint8_t *const packet = take(bytes);
    read_file(words[1], packet, bytes);
    platform.flush(platform.context, packet, bytes);
    if (result_bytes != 0U) command(SPK_REG_RECEIVE, take(result_bytes), result_bytes);
    if (bytes != 0U) command(SPK_REG_SEND, packet, (uint32_t)bytes | SPK_REG_SEND_LAST_MASK);
    left = 1;
    return SPK_OK;
}

static enum spk_status do_clear(void)
{
    spk_clear_counters(&device);
    return SPK_OK;
}

static enum spk_status do_reset(void)
{
    left = 0;
    return spk_reset(&device);
}

static enum spk_status do_message(void)
{
    tell("%s", spk_strerror((enum spk_status)number(1)));
    return SPK_OK;
}

static const struct {
    const char *name;
    enum spk_status (*run)(void);
} commands[] = {
    {"open", do_open},             {"load", do_load},             {"attach", do_attach},         {"check", do_check},
    {"infer", do_infer},           {"packet", do_packet},         {"arguments", do_arguments},   {"counters", do_counters},
    {"clear", do_clear},           {"reset", do_reset},           {"sizes", do_sizes},           {"device", do_device},
    {"message", do_message},       {"fault", do_fault},           {"memory", do_memory},         {"interrupts", do_interrupts},
    {"read", do_read},             {"write", do_write},           {"pretend", do_pretend},       {"leave", do_leave},
    {"ahead", do_ahead},
};

static enum spk_status run(char *line)
{
    size_t n;
    memset(words, 0, sizeof words);
    for (n = 0; n < MAX_WORDS; ++n) {
        words[n] = strtok(n == 0U ? line : NULL, " \n");
        if (words[n] == NULL) break;
    }
    for (n = 0; n < sizeof commands / sizeof *commands; ++n)
        if (words[0] != NULL && strcmp(words[0], commands[n].name) == 0) return commands[n].run();
    die("no such command");
}

static void begin(const char *library, const char *argument)
{
    void *area = NULL;
    if (strcmp(library, "remote") == 0) {
        if (remote_open(&platform, argument, &area, &memory_bytes) < 0) die("cannot reach the server");
        memory = area;
    } else {
        simulated_open(&simulated, library, (size_t)strtoul(argument, NULL, 0), NULL);
        platform = simulated.platform;
        memory = simulated.processor;
        memory_bytes = simulated.bytes;
        platform.wait = NULL;
    }
}

int main(int argc, char **argv)
{
    char line[4096];
    if (argc != 3) die("usage: check LIBRARY MEMORY_BYTES, or check remote PATH");
    begin(argv[1], argv[2]);
    while (fgets(line, sizeof line, stdin) != NULL) {
        const uint64_t reads = simulated.reads, waits = simulated.waits;
        const uint32_t since = platform.microseconds(platform.context), clock_start = simulated.faults.clock_start;
        enum spk_status status;
        uint32_t passed;
        more[0] = '\0';
        give_all_back();
        (void)alarm(SECONDS);
        status = run(line);
        left |= status == SPK_ERR_RESET;
        if (simulated.sim != NULL && simulated_busy(&simulated) && !left)
            die("a transfer goes on in memory that is the caller's again");
        passed = platform.microseconds(platform.context) - since - (simulated.faults.clock_start - clock_start);
        (void)printf("%d %" PRIu64 " %" PRIu64 " %" PRIu32 " %u %u %u %" PRIu64 " %u %s\n", (int)status, simulated.reads - reads,
                     simulated.waits - waits, passed, device.error_code, device.error_packet, device.error_layer,
                     device.error_address, device.loaded, more);
        (void)fflush(stdout);
    }
    if (simulated.bytes != 0U) simulated_close(&simulated);
    return 0;
}
