/* SPDX-License-Identifier: Apache-2.0
 *
 * A Zynq-7000 without an operating system: one Cortex-A9, the first UART, the global timer. Needs nothing of a vendor.
 *
 * Assumed of the boot loader (AMD's FSBL does it): clocks, DDR and pins are set up by ps7_init, the UART has its baud rate, the
 * bitstream is loaded, the level shifters are on, MMU and data caches are off and hold nothing that is still to be written.
 * Without a bitstream the first access to the accelerator hangs the bus.
 *
 * Only the first-level cache is used. The second level stays off, as the boot loader leaves it: what is cleaned by address would
 * have to be cleaned there again. Memory is outer non-cacheable besides, so it would hold none of it.
 */
#include "../port.h"

#define CPU_HZ 650000000U /* PYNQ-Z1 and PYNQ-Z2; other boards differ */
#define TICKS_PER_US (CPU_HZ / 2U / 1000000U)

#define UART 0xE0000000U
#define UART_CONTROL (UART + 0x00U)
#define UART_STATUS (UART + 0x2CU)
#define UART_FIFO (UART + 0x30U)
#define UART_CONTROL_ENABLE 0x14U /* transmitter and receiver */
#define UART_STATUS_FULL 0x10U

#define TIMER 0xF8F00200U
#define TIMER_LOW (TIMER + 0x00U)
#define TIMER_HIGH (TIMER + 0x04U)
#define TIMER_CONTROL (TIMER + 0x08U)

/* Entries of the translation table: sections of 1 MiB, not shared with another processor. */
#define SECTION_MEMORY 0x4C06U    /* normal; inner write-back, write-allocate; outer non-cacheable */
#define SECTION_REGISTERS 0x0C12U /* strongly ordered: the accelerator sees the order of the program; never executed */
#define SECTIONS 4096U

enum { LINE = 32, L1_SETS = 256, L1_WAYS = 4, BUFFER_BYTES = 4 << 20 };

static uint32_t translation[SECTIONS] __attribute__((aligned(16384)));
static uint8_t buffer[BUFFER_BYTES] __attribute__((aligned(4096), noinit));

extern const uint32_t vectors[];

#define CP15_WRITE(value, registers) __asm__ volatile("mcr p15, 0, %0, " registers : : "r"(value) : "memory")
#define CP15_READ(value, registers) __asm__ volatile("mrc p15, 0, %0, " registers : "=r"(value))

/* Called by start.S. */
void zynq_start(void);
void zynq_fault(uint32_t which, uint32_t at);
void zynq_stop(void);

/* ---- registers ---- */

static uint32_t read32(void *context, uint32_t address)
{
    (void)context;
    return *(const volatile uint32_t *)(uintptr_t)address;
}

static void write32(void *context, uint32_t address, uint32_t value)
{
    (void)context;
    *(volatile uint32_t *)(uintptr_t)address = value;
}

/* ---- caches ---- */

static void barrier(void *context)
{
    (void)context;
    __asm__ volatile("dsb" : : : "memory");
}

static void flush(void *context, const void *memory, size_t bytes)
{
    const uintptr_t end = (uintptr_t)memory + bytes;
    uintptr_t line = (uintptr_t)memory & ~(uintptr_t)(LINE - 1);
    for (; line < end; line += LINE) CP15_WRITE(line, "c7, c10, 1");
    barrier(context);
}

static void invalidate(void *context, const void *memory, size_t bytes)
{
    const uintptr_t end = (uintptr_t)memory + bytes;
    uintptr_t line = (uintptr_t)memory & ~(uintptr_t)(LINE - 1);
    for (; line < end; line += LINE) CP15_WRITE(line, "c7, c6, 1");
    barrier(context);
}

static uint64_t physical(void *context, const void *memory)
{
    (void)context;
    return (uintptr_t)memory; /* the table maps every address to itself */
}

static void map(uint32_t first, uint32_t bytes, uint32_t section)
{
    uint32_t n;
    for (n = 0U; n < bytes >> 20; ++n) translation[(first >> 20) + n] = first + (n << 20) + section;
}

static void caches_on(void)
{
    uint32_t set, way, control;
    CP15_WRITE(0U, "c8, c7, 0"); /* address translations */
    CP15_WRITE(0U, "c7, c5, 0"); /* instructions */
    CP15_WRITE(0U, "c7, c5, 6"); /* branches */
    for (way = 0U; way < L1_WAYS; ++way) /* what data the cache holds at power-on is not defined */
        for (set = 0U; set < L1_SETS; ++set) CP15_WRITE(way << 30 | set << 5, "c7, c6, 2");
    CP15_WRITE(translation, "c2, c0, 0");
    CP15_WRITE(0U, "c2, c0, 2");
    CP15_WRITE(1U, "c3, c0, 0"); /* domain 0 obeys the table */
    barrier(NULL);
    __asm__ volatile("isb" : : : "memory");
    CP15_READ(control, "c1, c0, 0");
    control &= ~0x70002002U; /* classic table; unaligned accesses allowed; vectors where VBAR says, in ARM code */
    control |= 0x1805U;      /* instruction cache, branch prediction, data cache, MMU */
    CP15_WRITE(control, "c1, c0, 0");
    __asm__ volatile("isb" : : : "memory");
}

/* ---- time, text ---- */

static uint32_t microseconds(void *context)
{
    uint32_t high, low, again;
    do {
        high = read32(context, TIMER_HIGH);
        low = read32(context, TIMER_LOW);
        again = read32(context, TIMER_HIGH);
    } while (again != high);
    return (uint32_t)(((uint64_t)high << 32 | low) / TICKS_PER_US);
}

static void put(char c)
{
    while ((read32(NULL, UART_STATUS) & UART_STATUS_FULL) != 0U) continue;
    write32(NULL, UART_FIFO, (uint32_t)(unsigned char)c);
}

void port_print(const char *text)
{
    for (; *text != '\0'; ++text) {
        if (*text == '\n') put('\r');
        put(*text);
    }
}

static void print_word(const char *before, uint32_t word)
{
    int shift;
    port_print(before);
    port_print("0x");
    for (shift = 28; shift >= 0; shift -= 4) put("0123456789abcdef"[word >> shift & 15U]);
}

/* ---- start, end ---- */

void zynq_start(void)
{
    map(0x00100000U, 0x1FF00000U, SECTION_MEMORY);    /* DDR but for its first MiB */
    map(0x40000000U, 0x40000000U, SECTION_REGISTERS); /* M_AXI_GP0: programmable logic */
    map(0xE0000000U, 0x00300000U, SECTION_REGISTERS); /* peripherals */
    map(0xF8000000U, 0x01000000U, SECTION_REGISTERS); /* system and processor */
    CP15_WRITE(vectors, "c12, c0, 0");
    caches_on();
    write32(NULL, UART_CONTROL, UART_CONTROL_ENABLE);
    write32(NULL, TIMER_CONTROL, 1U); /* counts, without prescaler */
}

void zynq_stop(void)
{
    for (;;) __asm__ volatile("wfi");
}

void zynq_fault(uint32_t which, uint32_t at)
{
    static const char *const names[] = {"undefined instruction", "supervisor call", "prefetch abort",
                                        "data abort",            "interrupt",       "fast interrupt"};
    uint32_t status = 0U, address = at;
    if (which == 2U) CP15_READ(status, "c5, c0, 1");
    if (which == 3U) {
        CP15_READ(status, "c5, c0, 0");
        CP15_READ(address, "c6, c0, 0");
    }
    port_print("\nfault: ");
    port_print(names[which]);
    print_word(" at ", at);
    print_word(", address ", address);
    print_word(", status ", status);
    port_print("\n");
    zynq_stop();
}

int port_open(struct spk_platform *platform, void **memory, size_t *bytes)
{
    static const struct spk_platform zynq = {NULL, read32, write32, flush, invalidate, physical, microseconds, barrier, NULL};
    *platform = zynq;
    *memory = buffer;
    *bytes = sizeof buffer;
    return 0;
}
