// SPDX-License-Identifier: Apache-2.0
// The Verilated accelerator behind a C interface: AXI4-Lite master, stream source and sink with optional random stalls,
// record of what passes between the layers. host/spikeline/simulation/verilated.py builds it and calls it.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <deque>
#include <memory>
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

#define EXPORT extern "C" __attribute__((visibility("default")))

namespace {

const int neurons[] = {SPK_NEURONS};  // of each layer core, given by the build
constexpr int layers = sizeof neurons / sizeof *neurons;
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

struct Sim {
    VerilatedContext context;
    Vspikeline top{&context};
    uint64_t cycles = 0;

    const uint64_t* send = nullptr;
    std::size_t send_left = 0;
    bool send_last = true;  // TLAST with the final word
    uint64_t* receive = nullptr;
    std::size_t receive_room = 0, received = 0;
    bool receive_done = true, receive_overflow = false;

    struct Beat {
        uint64_t data;
        bool last;
    };
    std::size_t ahead = 0;    // beats that are taken before there is a transfer to receive them
    std::deque<Beat> early;   // those that were

    uint64_t random = 1;
    uint32_t stall_send = 0, stall_receive = 0;  // in 1/65536
    bool send_shown = false;                     // a word that was offered stays offered

    bool record = false;
    std::vector<uint32_t> spikes[layers], membranes[layers], states[layers];

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

    uint32_t draw() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        return uint32_t(random) & 0xFFFF;
    }

    void tick() {
        send_shown = send_left && (send_shown || !stall_send || draw() >= stall_send);
        top.s_axis_tvalid = send_shown;
        if (send_shown) {
            top.s_axis_tdata = *send;
            top.s_axis_tlast = send_left == 1 && send_last;
        }
        top.m_axis_tready = (!receive_done || early.size() < ahead) && (!stall_receive || draw() >= stall_receive);
        top.aclk = 0;
        top.eval();
        trace();

        const bool sent = top.s_axis_tvalid && top.s_axis_tready;
        const bool got = top.m_axis_tvalid && top.m_axis_tready;
        if (got) {
            const Beat beat{top.m_axis_tdata, bool(top.m_axis_tlast)};
            if (receive_done) early.push_back(beat);
            else keep(beat);
        }
        if (record) probe();
        top.aclk = 1;
        top.eval();
        trace();
        ++cycles;
        if (sent) {
            ++send;
            --send_left;
            send_shown = false;
        }
    }

    void keep(const Beat& beat) {
        if (received < receive_room) receive[received++] = beat.data;
        else receive_overflow = true;
        receive_done = beat.last;
    }

    void probe() {
        const auto& root = *top.rootp;
#define LAYER(n, name) root.spikeline__DOT__core__DOT__layer__BRA__##n##__KET____DOT__core__DOT__##name
#define KEEP_STATE(n) \
    if (LAYER(n, step_end_reg) >> 5 & 1) append(states[n], LAYER(n, membranes), 0, neurons[n] * SPK_MEMBRANE_BITS);
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
        const uint32_t moved = root.spikeline__DOT__core__DOT__link_valid & root.spikeline__DOT__core__DOT__link_ready;
        for (int layer = 0, from = 0; moved && layer < layers; from += neurons[layer++]) {
            if (!(moved >> layer & 1)) continue;
            append(spikes[layer], root.spikeline__DOT__core__DOT__link_spikes, from, neurons[layer]);
            append(membranes[layer], root.spikeline__DOT__core__DOT__link_membranes,
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

// Start to send `words` words, TLAST with the final one if `last`; the memory must live until they are sent.
EXPORT void sim_send(Sim* sim, const uint64_t* data, std::size_t words, int last) {
    sim->send = data;
    sim->send_left = words;
    sim->send_last = last;
    sim->send_shown = false;
}

// Start to receive up to TLAST, first what was taken early.
EXPORT void sim_receive(Sim* sim, uint64_t* data, std::size_t room) {
    sim->receive = data;
    sim->receive_room = room;
    sim->received = 0;
    sim->receive_done = false;
    sim->receive_overflow = false;
    while (!sim->receive_done && !sim->early.empty()) {
        sim->keep(sim->early.front());
        sim->early.pop_front();
    }
}

// Take up to this many beats while nothing is to be received, for the transfer that comes next.
EXPORT void sim_take_ahead(Sim* sim, std::size_t beats) { sim->ahead = beats; }

// Forget both transfers, and what was taken early.
EXPORT void sim_halt(Sim* sim) {
    sim->send_left = 0;
    sim->send_shown = false;
    sim->receive_done = true;
    sim->early.clear();
}

EXPORT std::size_t sim_sending(const Sim* sim) { return sim->send_left; }
EXPORT std::size_t sim_received(const Sim* sim) { return sim->received; }
// 0 under way, 1 done, -1 more words than room
EXPORT int sim_receive_state(const Sim* sim) { return sim->receive_overflow ? -1 : sim->receive_done; }

// Let up to `cycles` cycles pass, fewer if all that was started is done before.
EXPORT void sim_run(Sim* sim, uint64_t cycles) {
    while (cycles-- && (sim->send_left || !sim->receive_done)) sim->tick();
}
EXPORT void sim_idle(Sim* sim, uint64_t cycles) {
    while (cycles--) sim->tick();
}

// Stall either stream at random in this share of the cycles, in 1/65536.
EXPORT void sim_stall(Sim* sim, uint64_t seed, uint32_t send, uint32_t receive) {
    sim->random = seed ? seed : 1;
    sim->stall_send = send;
    sim->stall_receive = receive;
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
    for (int layer = 0; layer < layers; ++layer) {
        sim->spikes[layer].clear();
        sim->membranes[layer].clear();
        sim->states[layer].clear();
    }
}
// Words recorded of a layer: 0 its spikes, 1 its first neurons' membranes as they passed on, 2 all its membranes as a
// continuous layer leaves them behind; copied to `out` unless null.
EXPORT std::size_t sim_recorded(const Sim* sim, int layer, int what, uint32_t* out) {
    const auto& words = what == 0 ? sim->spikes[layer] : what == 1 ? sim->membranes[layer] : sim->states[layer];
    if (out) std::memcpy(out, words.data(), words.size() * sizeof(uint32_t));
    return words.size();
}
