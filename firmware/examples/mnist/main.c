/* SPDX-License-Identifier: Apache-2.0
 *
 * Classifies MNIST digits that are linked in, with a network that is linked in, and says how well and how fast. Where it runs is
 * the port's business. Integers only.
 */
#include <string.h>

#include "port.h"

enum { TIMEOUT_US = 2000000, SEED = 0, MAX_DIGITS = 10000, COLUMNS = 60 };

/* data.S */
extern const uint8_t network[], digits[], truth[];
extern const uint32_t network_bytes, digits_bytes, digits_count;

/* Where in the memory results go: half way, at a cache line. */
#define RESULTS_AT(bytes) ((bytes) / 2U / 64U * 64U)

static struct spk_result results[MAX_DIGITS];

/* A number with `decimals` of its last digits behind a point. */
static void print_number(uint64_t value, unsigned decimals)
{
    char text[24], *at = text + sizeof text - 1;
    unsigned written = 0U;
    *at = '\0';
    do {
        if (decimals != 0U && written == decimals) *--at = '.';
        *--at = (char)('0' + value % 10U);
        value /= 10U;
        ++written;
    } while (value != 0U || written <= decimals);
    port_print(at);
}

static void say(const char *before, uint64_t value, unsigned decimals, const char *after)
{
    port_print(before);
    print_number(value, decimals);
    port_print(after);
}

static void print_address(const char *before, uint32_t address)
{
    char text[] = "0x00000000";
    size_t n;
    for (n = sizeof text - 2U; n > 1U; --n, address >>= 4) text[n] = "0123456789abcdef"[address & 15U];
    port_print(before);
    port_print(text);
}

static int failed(const struct spk_device *device, const char *what, enum spk_status status)
{
    port_print("\nerror: ");
    port_print(what);
    port_print(": ");
    port_print(spk_strerror(status));
    if (status == SPK_ERR_REFUSED) {
        say(" (error ", device->error_code, 0U, "");
        say(", packet ", device->error_packet, 0U, "");
        say(", layer ", device->error_layer, 0U, ")");
    }
    port_print("\n");
    return 1;
}

static void print_sizes(const char *what, const struct spk_geometry *geometry)
{
    size_t n;
    port_print(what);
    print_number(geometry->layer[0].inputs, 0U);
    for (n = 0U; n < geometry->layers; ++n) say("-", geometry->layer[n].neurons, 0U, "");
    say(", ", geometry->weight_bits, 0U, "-bit weights");
}

static void print_labels(uint32_t images)
{
    uint32_t n;
    for (n = 0U; n < images; ++n) {
        char label[] = "0\n";
        label[0] = (char)('0' + results[n].label);
        if (n % COLUMNS != COLUMNS - 1U && n != images - 1U) label[1] = '\0';
        port_print(n % COLUMNS == 0U ? "labels " : "");
        port_print(label);
    }
}

int main(void)
{
    static struct spk_platform platform;
    static struct spk_device device;
    static struct spk_geometry needs;
    static struct spk_counters counters;
    const uint32_t images = digits_count < MAX_DIGITS ? digits_count : MAX_DIGITS;
    uint32_t n, first, most, stride, correct = 0U, time;
    enum spk_status status;
    void *memory;
    size_t bytes;

    port_print("\nSpikeline: MNIST\n");
    if (port_open(&platform, &memory, &bytes) != 0) return 1;
    print_address("accelerator at ", SPK_BASE_ACCELERATOR); /* before it is touched: a bus without logic may hang */
    port_print("\n");
    status = spk_open(&device, &platform, SPK_BASE_ACCELERATOR, TIMEOUT_US);
    if (status != SPK_OK) return failed(&device, "accelerator", status);
    print_sizes("built for ", &device.built);
    port_print("\n");

    status = spk_check(network, network_bytes, &needs);
    if (status != SPK_OK) return failed(&device, "network", status);
    if (network_bytes > bytes) return failed(&device, "memory", SPK_ERR_ARGUMENT);
    memcpy(memory, network, network_bytes); /* to where the accelerator reaches it; once it is loaded the memory is free again */
    status = spk_load(&device, memory, network_bytes);
    if (status != SPK_OK) return failed(&device, "network", status);
    print_sizes("network ", &needs);
    say(", ", device.time_steps, 0U, " time steps\n");
    if (images == 0U || device.inputs != digits_bytes || device.classes != 10U) {
        port_print("error: no digits, or a network that does not classify them\n");
        return 1;
    }

    spk_clear_counters(&device);
    time = platform.microseconds(platform.context);
    stride = spk_image_bytes(&device);
    most = (uint32_t)(RESULTS_AT(bytes) / stride);
    if (most == 0U) return failed(&device, "memory", SPK_ERR_ARGUMENT);
    for (first = 0U; first < images && status == SPK_OK; first += most) {
        const uint32_t count = images - first < most ? images - first : most;
        for (n = 0U; n < count; ++n)
            memcpy((uint8_t *)memory + (size_t)n * stride, digits + ((size_t)first + n) * digits_bytes, digits_bytes);
        status = spk_infer(&device, memory, count, SEED + first * SPK_SEED_STEP, results + first, NULL,
                           (uint8_t *)memory + RESULTS_AT(bytes), bytes - RESULTS_AT(bytes));
    }
    time = platform.microseconds(platform.context) - time;
    if (status != SPK_OK) return failed(&device, "images", status);
    spk_read_counters(&device, &counters);

    print_labels(images);
    for (n = 0U; n < images; ++n) correct += results[n].label == truth[n];
    say("accuracy ", (uint64_t)correct * 10000U / images, 2U, " %");
    say(" (", correct, 0U, "");
    say(" of ", images, 0U, ")\n");
    say("time ", time, 0U, " us");
    say(", ", (uint64_t)images * 1000000U / (time != 0U ? time : 1U), 0U, " images/s\n");
    say("cycles ", counters.cycles * 10U / images, 1U, " an image\n");
    say("steps ", counters.steps * 100U / images, 2U, " an image\n");
    say("stalls ", counters.stall_input, 0U, " cycles for input");
    say(", ", counters.stall_output, 0U, " for output\n");
    port_print("done\n");
    return 0;
}
