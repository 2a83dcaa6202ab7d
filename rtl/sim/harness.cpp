// SPDX-License-Identifier: Apache-2.0
// The Verilated accelerator behind a C interface: AXI4-Lite master, memory as a board has it, record of what passes between
// the layers. host/spikeline/simulation/verilated.py builds it and calls it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "Vspikeline.h"
#include "Vspikeline___024root.h"
#include "verilated.h"
#if VM_TRACE_SAIF
#include "verilated_saif_c.h"
#endif
#if VM_COVERAGE
#include "verilated_cov.h"
#endif

// A signal of the accelerator, in the module that a board has (host/spikeline/simulation/wrapper.py).
#define INSIDE(name) root.spikeline_ip__DOT__accelerator__DOT__##name
#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

const int neurons[] = {SPK_NEURONS};  // of each layer core, given by the build
constexpr int layers = sizeof neurons / sizeof *neurons;
constexpr int convolutions = SPK_CONVOLUTIONS, cores = convolutions + layers;  // cores: those of convolutions are the first
constexpr int membrane_words = (SPK_CLASSES * SPK_MEMBRANE_BITS + 31) / 32;
constexpr int bus_timeout = 1000;  // cycles

// Bits [from, from + count) of a Verilated value of any width.
uint32_t bits(uint64_t value, int from, int count) {
    return uint32_t(value >> from) & (count < 32 ? (1u << count) - 1 : ~0u);
}
template <std::size_t N> uint32_t bits(const VlWide<N>& value, int from, int count) {
    const std::size_t word = from / 32;
    const uint64_t pair = value[word] | (word + 1 < N ? uint64_t(value[word + 1]) << 32 : 0);
    return bits(pair, from % 32, count);
}
template <class T> void append(std::vector<uint32_t>& out, const T& value, int from, int count) {
    for (int at = 0; at < count; at += 32) out.push_back(bits(value, from + at, count - at < 32 ? count - at : 32));
}

struct Burst {
    uint64_t address, due;  // the cycle in which its first word is there; of a burst that is written, none
    unsigned beats;
};
struct Answer {  // to a burst that was written
    uint64_t due;
    int response;
};
enum { OKAY = 0, SLVERR = 2, DECERR = 3 };

// What the memory is like. Shares are in 1/65536.
struct Timing {
    uint32_t latency_least = 0, latency_most = 0;  // cycles from an address to its first word, or from the last word to its answer
    uint32_t stall_read = 0, stall_write = 0;      // share of the cycles in which a channel of reads, or of writes, waits
    uint32_t refresh_every = 0, refresh_cycles = 0;  // cycles: how often, and for how long, nothing moves
};

// An AXI4 slave in front of bytes of the host's. It answers in order, as the ports of a Zynq do, and takes 8 bursts ahead.
struct Memory {
    static constexpr std::size_t bursts = 8;
    uint8_t* data = nullptr;
    uint64_t base = 0, size = 0;
    uint64_t fail_from = 1, fail_to = 0;  // addresses that answer SLVERR
    Timing timing;
    uint64_t random = 1;
    std::deque<Burst> reads, writes;
    std::deque<Answer> answers;
    unsigned read_beat = 0, write_beat = 0;
    int write_response = OKAY;
    std::string broken;  // the first rule of AXI that was broken

    uint32_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return uint32_t(random >> 16) & 0xFFFF;
    }
    bool flows(uint32_t stall) { return !stall || draw() >= stall; }
    uint64_t latency() {
        const uint32_t span = timing.latency_most - timing.latency_least;
        return timing.latency_least + (span ? draw() % (span + 1) : 0);
    }
    int response(uint64_t address) const {
        if (address < base || address + 8 > base + size) return DECERR;
        return address >= fail_from && address < fail_to ? SLVERR : OKAY;
    }
    void rule(bool kept, const char* text) {
        if (!kept && broken.empty()) broken = text;
    }
    void check(uint64_t address, unsigned beats, int size, int burst) {
        rule(address % 8 == 0 && size == 3 && burst == 1, "a burst is not of whole words, upwards");
        rule(beats <= 16, "a burst has more than 16 beats");
        rule(address / 4096 == (address + 8 * beats - 1) / 4096, "a burst crosses 4 KiB");
    }
};

struct Sim {
    VerilatedContext context;
    Vspikeline top{&context};
    uint64_t cycles = 0;
    Memory memory;
    bool ar_waited = false, aw_waited = false, w_waited = false;  // offered in the cycle before, and not taken
    bool r_taken = false, b_taken = false;
    uint64_t araddr = 0, awaddr = 0, wdata = 0;

    bool record = false;
    std::vector<uint32_t> spikes[cores], membranes[cores], states[cores];

#if VM_TRACE_SAIF
    std::unique_ptr<VerilatedSaifC> saif;
    uint64_t saif_time = 0, saif_half = 0;  // in ps; half a clock cycle

    Sim() { context.traceEverOn(true); }

    void trace() {
        if (saif) saif->dump(saif_time);
        saif_time += saif_half;
    }
#else
    void trace() {}
#endif

    // The memory's side of the five channels, as it stands before the clock edge.
    void offer() {
        Memory& m = memory;
        const Timing& t = m.timing;
        const bool open = !t.refresh_every || cycles % t.refresh_every >= t.refresh_cycles;
        if (!top.m_axi_rvalid || r_taken) {
            top.m_axi_rvalid = open && !m.reads.empty() && m.reads.front().due <= cycles && m.flows(t.stall_read);
            if (top.m_axi_rvalid) {
                const Burst& burst = m.reads.front();
                const uint64_t address = burst.address + 8 * m.read_beat;
                top.m_axi_rresp = m.response(address);
                top.m_axi_rdata = 0;
                if (top.m_axi_rresp == OKAY) std::memcpy(&top.m_axi_rdata, m.data + (address - m.base), 8);
                top.m_axi_rlast = m.read_beat + 1 == burst.beats;
            }
        }
        if (!top.m_axi_bvalid || b_taken) {
            top.m_axi_bvalid = open && !m.answers.empty() && m.answers.front().due <= cycles;
            if (top.m_axi_bvalid) top.m_axi_bresp = m.answers.front().response;
        }
        top.m_axi_arready = open && m.reads.size() < Memory::bursts && m.flows(t.stall_read);
        top.m_axi_awready = open && m.writes.size() < Memory::bursts && m.flows(t.stall_write);
        top.m_axi_wready = open && !m.writes.empty() && m.flows(t.stall_write);
    }

    // What passes at the clock edge.
    void take() {
        Memory& m = memory;
        m.rule(!ar_waited || (top.m_axi_arvalid && top.m_axi_araddr == araddr), "AR was taken back");
        m.rule(!aw_waited || (top.m_axi_awvalid && top.m_axi_awaddr == awaddr), "AW was taken back");
        m.rule(!w_waited || (top.m_axi_wvalid && top.m_axi_wdata == wdata), "W was taken back");
        ar_waited = top.m_axi_arvalid && !top.m_axi_arready;
        aw_waited = top.m_axi_awvalid && !top.m_axi_awready;
        w_waited = top.m_axi_wvalid && !top.m_axi_wready;
        araddr = top.m_axi_araddr, awaddr = top.m_axi_awaddr, wdata = top.m_axi_wdata;

        r_taken = top.m_axi_rvalid && top.m_axi_rready;
        if (r_taken && ++m.read_beat == m.reads.front().beats) {
            m.reads.pop_front();
            m.read_beat = 0;
        }
        b_taken = top.m_axi_bvalid && top.m_axi_bready;
        if (b_taken) m.answers.pop_front();
        if (top.m_axi_wvalid && top.m_axi_wready) {
            const Burst& burst = m.writes.front();
            const uint64_t address = burst.address + 8 * m.write_beat;
            const int response = m.response(address);
            if (response != OKAY) m.write_response = response;
            else
                for (int n = 0; n < 8; ++n)
                    if (top.m_axi_wstrb >> n & 1) m.data[address - m.base + n] = uint8_t(top.m_axi_wdata >> 8 * n);
            const bool last = ++m.write_beat == burst.beats;
            m.rule(last == bool(top.m_axi_wlast), "WLAST is not with the last word");
            if (last) {
                m.answers.push_back({cycles + 1 + m.latency(), m.write_response});
                m.writes.pop_front();
                m.write_beat = 0;
                m.write_response = OKAY;
            }
        }
        if (top.m_axi_arvalid && top.m_axi_arready) {
            m.check(top.m_axi_araddr, top.m_axi_arlen + 1u, top.m_axi_arsize, top.m_axi_arburst);
            m.reads.push_back({top.m_axi_araddr, cycles + 1 + m.latency(), top.m_axi_arlen + 1u});
        }
        if (top.m_axi_awvalid && top.m_axi_awready) {
            m.check(top.m_axi_awaddr, top.m_axi_awlen + 1u, top.m_axi_awsize, top.m_axi_awburst);
            m.writes.push_back({top.m_axi_awaddr, 0, top.m_axi_awlen + 1u});
        }
    }

    void tick() {
        offer();
        top.aclk = 0;
        top.eval();
        trace();
        if (record) probe();
        take();
        top.aclk = 1;
        top.eval();
        trace();
        ++cycles;
    }

    // Is a command queued, or anything under way?
    bool busy() const {
        const auto& root = *top.rootp;
        return !INSIDE(core_idle) || !INSIDE(memory_idle) || INSIDE(sends_left)
            || INSIDE(receives_left);
    }

    void probe() {
        const auto& root = *top.rootp;
#define LAYER(n, name) INSIDE(core__DOT__layer__BRA__##n##__KET____DOT__core__DOT__##name)
#define KEEP_STATE(n) \
    if (LAYER(n, shift)) \
        append(states[convolutions + n], LAYER(n, states), 0, neurons[n] / SPK_GROUP * (SPK_MEMBRANE_BITS - 1));
#define CONVOLUTION(n, name) INSIDE(core__DOT__convolve__DOT__core__BRA__##n##__KET____DOT__convolution__DOT__##name)
#define KEEP_CONVOLUTION(n) \
    if (CONVOLUTION(n, decided)) append(states[n], CONVOLUTION(n, states), 0, maps[n] * (SPK_MEMBRANE_BITS - 1)); \
    if (CONVOLUTION(n, m_valid) && CONVOLUTION(n, m_ready)) { \
        spikes[n].push_back(uint32_t(CONVOLUTION(n, m_end)) << 31 | CONVOLUTION(n, m_data)); \
        append(spikes[n], CONVOLUTION(n, m_spikes), 0, 64); \
    }
#if SPK_LAYERS > 0
        KEEP_STATE(0)
#endif
#if SPK_LAYERS > 1
        KEEP_STATE(1)
#endif
#if SPK_LAYERS > 2
        KEEP_STATE(2)
#endif
#if SPK_LAYERS > 3
        KEEP_STATE(3)
#endif
#if SPK_LAYERS > 4
        KEEP_STATE(4)
#endif
#if SPK_LAYERS > 5
        KEEP_STATE(5)
#endif
#if SPK_LAYERS > 6
        KEEP_STATE(6)
#endif
#if SPK_LAYERS > 7
        KEEP_STATE(7)
#endif
#if SPK_CONVOLUTIONS > 0
        const int maps[] = {SPK_MAPS};  // that a convolution core decides side by side
        KEEP_CONVOLUTION(0)
#endif
#if SPK_CONVOLUTIONS > 1
        KEEP_CONVOLUTION(1)
#endif
#if SPK_CONVOLUTIONS > 2
        KEEP_CONVOLUTION(2)
#endif
#if SPK_CONVOLUTIONS > 3
        KEEP_CONVOLUTION(3)
#endif
        const uint32_t moved = INSIDE(core__DOT__link_valid) & INSIDE(core__DOT__link_ready);
        for (int layer = 0, from = 0; moved && layer < layers; from += neurons[layer++]) {
            if (!(moved >> layer & 1)) continue;
            append(spikes[convolutions + layer], INSIDE(core__DOT__link_spikes), from, neurons[layer]);
            append(membranes[convolutions + layer], INSIDE(core__DOT__link_membranes),
                   layer * SPK_CLASSES * SPK_MEMBRANE_BITS, SPK_CLASSES * SPK_MEMBRANE_BITS);
        }
    }
};

}  // namespace

EXPORT Sim* sim_new() {
    auto sim = std::make_unique<Sim>();
    sim->top.aresetn = 0;
    for (int i = 0; i < 4; ++i) sim->tick();
    sim->top.aresetn = 1;
    sim->tick();
    return sim.release();
}

EXPORT void sim_free(Sim* sim) {
    Verilated::threadContextp(&sim->context);  // that its scopes leave; otherwise it is that of the newest simulator
    delete sim;
}

EXPORT uint64_t sim_cycles(const Sim* sim) { return sim->cycles; }

// Both return 0, or -1 if the accelerator does not answer.
EXPORT int sim_write(Sim* sim, uint32_t address, uint32_t data, uint32_t strobe) {
    auto& top = sim->top;
    top.s_axil_awaddr = address;
    top.s_axil_wdata = data;
    top.s_axil_wstrb = strobe;
    top.s_axil_awvalid = top.s_axil_wvalid = 1;
    top.s_axil_bready = 1;
    int left = bus_timeout;
    for (bool taken = false; !taken && left; --left) {
        top.eval();
        taken = top.s_axil_awready && top.s_axil_wready;
        sim->tick();
    }
    top.s_axil_awvalid = top.s_axil_wvalid = 0;
    for (bool answered = false; !answered && left; --left) {
        answered = top.s_axil_bvalid;
        sim->tick();
    }
    top.s_axil_bready = 0;
    return left ? 0 : -1;
}

EXPORT int sim_read(Sim* sim, uint32_t address, uint32_t* data) {
    auto& top = sim->top;
    top.s_axil_araddr = address;
    top.s_axil_arvalid = 1;
    top.s_axil_rready = 1;
    int left = bus_timeout;
    for (bool taken = false; !taken && left; --left) {
        top.eval();
        taken = top.s_axil_arready;
        sim->tick();
    }
    top.s_axil_arvalid = 0;
    for (bool answered = false; !answered && left; --left) {
        answered = top.s_axil_rvalid;
        *data = top.s_axil_rdata;
        sim->tick();
    }
    top.s_axil_rready = 0;
    return left ? 0 : -1;
}

// The memory: `size` bytes at `data`, which must live as long, are what the accelerator finds from address `base` on.
EXPORT void sim_memory(Sim* sim, uint8_t* data, uint64_t size, uint64_t base) {
    sim->memory.data = data;
    sim->memory.size = size;
    sim->memory.base = base;
}

// What the memory is like from now on: struct Timing.
EXPORT void sim_timing(Sim* sim, uint64_t seed, uint32_t latency_least, uint32_t latency_most, uint32_t stall_read,
                       uint32_t stall_write, uint32_t refresh_every, uint32_t refresh_cycles) {
    sim->memory.random = seed ? seed : 1;
    sim->memory.timing = {latency_least, latency_most, stall_read, stall_write, refresh_every, refresh_cycles};
}

// Answer SLVERR for these bytes; 0 of them: for none.
EXPORT void sim_fail(Sim* sim, uint64_t address, uint64_t bytes) {
    sim->memory.fail_from = address;
    sim->memory.fail_to = address + bytes;
}

// The first rule of AXI that the accelerator broke, or an empty text.
EXPORT const char* sim_broken(const Sim* sim) { return sim->memory.broken.c_str(); }

EXPORT int sim_busy(const Sim* sim) { return sim->busy(); }
EXPORT int sim_interrupt(const Sim* sim) { return sim->top.irq; }

// Let up to `cycles` cycles pass, fewer if a command is done before, or nothing is under way any more.
EXPORT void sim_run(Sim* sim, uint64_t cycles) {
    const auto& root = *sim->top.rootp;
    const uint32_t sends = INSIDE(sends), receives = INSIDE(receives);
    while (cycles-- && sim->busy() && INSIDE(sends) == sends && INSIDE(receives) == receives) sim->tick();
    for (int settle = 0; settle < 3; ++settle) sim->tick();  // from the end of the work to the interrupt line
}
EXPORT void sim_idle(Sim* sim, uint64_t cycles) {
    while (cycles--) sim->tick();
}

// Record in a SAIF file how often every signal toggles, with a clock of twice `half` ps; null ends the record and writes it.
// Returns 0, or -1 if the simulator was built without.
EXPORT int sim_saif(Sim* sim, const char* path, uint64_t half) {
#if VM_TRACE_SAIF
    if (sim->saif) {
        sim->top.aclk = 0;  // the edge that ends the last cycle
        sim->top.eval();
        sim->trace();
        sim->saif.reset();
    }
    if (path) {
        sim->saif = std::make_unique<VerilatedSaifC>();
        sim->saif_time = 0;
        sim->saif_half = half;
        sim->top.trace(sim->saif.get(), 99);  // levels: all
        sim->saif->open(path);
    }
    return 0;
#else
    return -1;
#endif
}

// Write which lines ran and which signals toggled since power-on. Returns 0, or -1 if the simulator was built without.
EXPORT int sim_coverage(Sim* sim, const char* path) {
#if VM_COVERAGE
    sim->context.coveragep()->write(path);
    return 0;
#else
    (void)sim, (void)path;
    return -1;
#endif
}

// Record what passes from layer to layer, from empty.
EXPORT void sim_record(Sim* sim, int on) {
    sim->record = on;
    for (int core = 0; core < cores; ++core) {
        sim->spikes[core].clear();
        sim->membranes[core].clear();
        sim->states[core].clear();
    }
}
// Words recorded of a core: 0 its spikes, 1 its first neurons' membranes as they passed on, 2 what lasts of its membranes, if
// it is continuous, one of each group after another; copied to `out` unless null. Of a convolution the spikes are three
// words a position, {is it the end of a step; its place: see spk_convolve.v} and a bit for each map; it has no membranes
// of 1, and its states are those of the maps of a position, one position after another.
EXPORT std::size_t sim_recorded(const Sim* sim, int core, int what, uint32_t* out) {
    const auto& words = what == 0 ? sim->spikes[core] : what == 1 ? sim->membranes[core] : sim->states[core];
    if (out) std::memcpy(out, words.data(), words.size() * sizeof(uint32_t));
    return words.size();
}
