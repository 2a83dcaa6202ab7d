# Generated from rtl/spec/spikeline.rdl by `make gen`; do not edit.

set spk_base(ACCELERATOR) 0x43C00000
set spk_memory_bits 64

# name, offset, access, description, fields: name, lowest bit, bits, access, description
set spk_registers {
    {ID 0x000 read-only {Identity.} {
        {value 0 32 read-only {'SPKL'}}
    }}
    {VERSION 0x004 read-only {Version of this interface; the host needs an equal major and at least its own minor.} {
        {minor 0 16 read-only {}}
        {major 16 16 read-only {}}
    }}
    {BUILD 0x008 read-only {Hash of the sources and geometry that were built.} {
        {value 0 32 read-only {}}
    }}
    {CONTROL 0x00C read-write {Control.} {
        {reset 0 1 write-only {Drop all work, all transfers and the loaded model; done when STATUS.idle is 1, and the memory is left alone then.}}
        {clear_error 1 1 write-only {Forget the sticky error.}}
        {clear_counters 2 1 write-only {Set all counters to zero.}}
        {scores 8 1 read-write {Follow every result with the values of all classes.}}
        {every_step 9 1 read-write {A result after every time step, the running class, and no early exit.}}
    }}
    {STATUS 0x010 read-only {Status.} {
        {idle 0 1 read-only {No packet, image or result is under way.}}
        {loaded 1 1 read-only {A whole model is loaded.}}
    }}
    {ERROR 0x014 read-only {First error since the last clear; later ones do not overwrite it.} {
        {code 0 8 read-only {What was wrong.}}
        {packet 8 8 read-only {Type of the refused packet.}}
        {layer 16 8 read-only {Layer of the refused packet.}}
    }}
    {GEOMETRY 0x018 read-only {Sizes that hold for all layers.} {
        {layers 0 8 read-only {Number of layers.}}
        {weight_bits 8 8 read-only {Bits of a weight in memory.}}
        {membrane_bits 16 8 read-only {Bits of a membrane.}}
        {classes 24 8 read-only {Number of classes that can be told apart.}}
    }}
    {PARALLEL 0x01C read-only {Spikes that each layer takes per cycle, four bits a layer.} {
        {value 0 32 read-only {}}
    }}
    {LAYER_0 0x020 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_1 0x024 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_2 0x028 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_3 0x02C read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_4 0x030 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_5 0x034 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_6 0x038 read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {LAYER_7 0x03C read-only {Size of one layer.} {
        {inputs 0 16 read-only {Inputs (fan-in of every neuron).}}
        {neurons 16 16 read-only {Neurons.}}
    }}
    {FEATURES 0x040 read-only {What the layers can do beyond discontinuous integration of spikes.} {
        {continuous 0 1 read-only {Layers may be continuous: membranes last from step to step.}}
        {max_leak 4 4 read-only {Largest leak, a shift; 0: no leak.}}
        {direct 8 1 read-only {Layer 0 takes direct input: it doubles its membranes between time steps.}}
    }}
    {MODEL 0x044 read-write {Identity of the loaded model, which the host writes once it has loaded one: the CRC-32 of its file. 0: unknown.} {
        {value 0 32 read-write {Zero, whatever is written, while STATUS.loaded is 0; so a reset, or any packet of another model, clears it.}}
    }}
    {ADDRESS_LO 0x048 read-write {Physical address of the memory that the next command is about, a multiple of 8.} {
        {value 0 32 read-write {}}
    }}
    {ADDRESS_HI 0x04C read-write {Its upper half.} {
        {value 0 32 read-write {}}
    }}
    {SEND 0x050 write-only {Queues a command: read these words of memory and take them as a packet, or a part of one.} {
        {last 0 1 write-only {They end the packet; else the next SEND goes on with it.}}
        {words 3 29 write-only {64-bit words; so the register holds bytes.}}
    }}
    {RECEIVE 0x054 write-only {Queues a command: write the results of the next packet of images to these words of memory, all of them and no more.} {
        {words 3 29 write-only {64-bit words; so the register holds bytes.}}
    }}
    {SENT 0x058 read-only {SENDs done since power-on or reset: all their words are read. It wraps.} {
        {value 0 32 read-only {}}
    }}
    {RECEIVED 0x05C read-only {RECEIVEs done since power-on or reset: all their words are in memory. It wraps.} {
        {value 0 32 read-only {}}
    }}
    {COMMANDS 0x060 read-only {Commands that are queued or under way. Of each kind there may be 8.} {
        {sends 0 8 read-only {SENDs.}}
        {receives 8 8 read-only {RECEIVEs.}}
    }}
    {MEMORY_ERROR 0x064 read-only {First error of the memory since the last reset; it stops all transfers.} {
        {code 0 3 read-only {What was wrong.}}
        {receive 8 1 read-only {With a RECEIVE, not a SEND.}}
    }}
    {ERROR_ADDRESS_LO 0x068 read-only {Address of the burst that met it, or should have begun; FULL and COMMAND have none.} {
        {value 0 32 read-only {}}
    }}
    {ERROR_ADDRESS_HI 0x06C read-only {Its upper half.} {
        {value 0 32 read-only {}}
    }}
    {INTERRUPT_ENABLE 0x070 read-write {What pulls the interrupt line.} {
        {received 0 1 read-write {A RECEIVE is done.}}
        {sent 1 1 read-write {A SEND is done.}}
        {failed 2 1 read-write {ERROR or MEMORY_ERROR is not 0.}}
    }}
    {INTERRUPT 0x074 read-write {What has happened, enabled or not; a 1 that is written clears the bit.} {
        {received 0 1 read-write {A RECEIVE is done.}}
        {sent 1 1 read-write {A SEND is done.}}
        {failed 2 1 read-write {ERROR or MEMORY_ERROR is not 0.}}
    }}
    {CYCLES_LO 0x080 read-only {Cycles from the first word of a SPIKES packet until its last result has left. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {CYCLES_HI 0x084 read-only {Cycles from the first word of a SPIKES packet until its last result has left. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {IMAGES_LO 0x088 read-only {Images whose result has left. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {IMAGES_HI 0x08C read-only {Images whose result has left. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {STEPS_LO 0x090 read-only {Time steps handed to layer 0. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {STEPS_HI 0x094 read-only {Time steps handed to layer 0. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {STALL_INPUT_LO 0x098 read-only {Of the cycles, those that wait for the sender of spikes. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {STALL_INPUT_HI 0x09C read-only {Of the cycles, those that wait for the sender of spikes. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {STALL_OUTPUT_LO 0x0A0 read-only {Of the cycles, those in which a result waits for its receiver. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {STALL_OUTPUT_HI 0x0A4 read-only {Of the cycles, those in which a result waits for its receiver. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_0_LO 0x0C0 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_0_HI 0x0C4 read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_1_LO 0x0C8 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_1_HI 0x0CC read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_2_LO 0x0D0 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_2_HI 0x0D4 read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_3_LO 0x0D8 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_3_HI 0x0DC read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_4_LO 0x0E0 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_4_HI 0x0E4 read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_5_LO 0x0E8 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_5_HI 0x0EC read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_6_LO 0x0F0 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_6_HI 0x0F4 read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_7_LO 0x0F8 read-only {Weight rows read by the layer: one for every spike that enters it. Low word; reading it also captures the high word.} {
        {value 0 32 read-only {}}
    }}
    {ROW_READS_7_HI 0x0FC read-only {Weight rows read by the layer: one for every spike that enters it. High word as captured by the last read of a low word.} {
        {value 0 32 read-only {}}
    }}
}
