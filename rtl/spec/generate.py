"""Write the Verilog, Python, C and Tcl constants and the documentation tables from spikeline.rdl.

generate.py           write the files
generate.py --check   compare them instead; exit status 1 if one differs
"""

import argparse
import sys
from pathlib import Path
from typing import NamedTuple

from systemrdl import RDLCompiler
from systemrdl.node import RegfileNode, RegNode

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
ADDRMAPS = ("spikeline_regs", "spikeline_stream", "spikeline_model")
BOARD = "spikeline_board"
LINE = 130  # characters that the linter allows
NOTICE = "Generated from rtl/spec/spikeline.rdl by `make gen`; do not edit."


class Field(NamedTuple):
    name: str
    lsb: int
    bits: int
    reset: int
    access: str
    desc: str
    encode: str


class Word(NamedTuple):
    """One register, stream word or file word; `count` > 1 for an array of them. Words of one `layout` have the same fields."""

    name: str
    layout: str
    address: int
    bits: int
    count: int
    stride: int
    desc: str
    fields: list[Field]


class Map(NamedTuple):
    name: str
    title: str
    desc: str
    words: list[Word]


class Enum(NamedTuple):
    name: str
    members: list[tuple[str, int, str]]


class Spec(NamedTuple):
    """All that is described; `bases` are the addresses of the register maps on a board."""

    maps: list[Map]
    enums: list[Enum]
    bases: dict[str, int]


ACCESS = {"r": "read-only", "w": "write-only", "rw": "read-write"}


def registers(spec: Spec) -> list[Word]:
    """The registers, with every array written out."""
    flat = []
    for w in spec.maps[0].words:
        for n in range(w.count):
            base, _, part = w.name.rpartition("_") if w.layout != w.name else (w.name, "", "")
            unrolled = "_".join(filter(None, [base, str(n), part])) if w.count > 1 else w.name
            flat.append(w._replace(name=unrolled, address=w.address + n * w.stride, count=1))
    return sorted(flat, key=lambda w: w.address)


def access(word: Word) -> str:
    """What a processor may do with a register."""
    kinds = {f.access for f in word.fields}
    return ACCESS[kinds.pop()] if len(kinds) == 1 else "read-write"


def read(path: Path) -> Spec:
    """Elaborate the register description; enumerations are those that a field is encoded with, plus the packet's."""
    compiler = RDLCompiler()
    compiler.compile_file(str(path))
    maps, enums = [], {}

    def word(node: RegNode, name: str, layout: str, desc: str, array: RegNode | RegfileNode) -> Word:
        fields = []
        for f in node.fields():
            encode = f.get_property("encode")
            if encode is not None:
                enums[encode.type_name] = Enum(
                    encode.type_name.removesuffix("_e"), [(m.name, m.value, m.rdl_desc or "") for m in encode]
                )
            fields.append(
                Field(
                    f.inst_name,
                    f.low,
                    f.width,
                    f.get_property("reset") or 0,
                    f.get_property("sw").name,
                    f.get_property("desc") or "",
                    encode.type_name.removesuffix("_e") if encode else "",
                )
            )
        count, stride = (array.array_dimensions[0], array.array_stride) if array.is_array else (1, 0)
        return Word(name, layout, node.raw_absolute_address, node.get_property("regwidth"), count, stride, desc, fields)

    for name in ADDRMAPS:
        top = compiler.elaborate(name).top
        words = []
        for node in top.children(unroll=False):
            if isinstance(node, RegfileNode):  # a counter: some words of one thing
                for part in node.registers():
                    desc = f"{node.get_property('desc')} {part.get_property('desc')}"
                    layout = f"{name.upper()}_{part.inst_name}"
                    words.append(word(part, f"{node.inst_name}_{part.inst_name}", layout, desc, node))
            else:
                words.append(word(node, node.inst_name, node.inst_name, node.get_property("desc") or "", node))
        maps.append(Map(name.removeprefix("spikeline_"), top.get_property("name"), top.get_property("desc"), words))
    bases = {node.inst_name: node.raw_absolute_address for node in compiler.elaborate(BOARD).top.children()}
    return Spec(maps, list(enums.values()), bases)


def verilog(spec: Spec) -> str:
    out = [f"// {NOTICE}", "`ifndef SPIKELINE_VH", "`define SPIKELINE_VH"]
    for m in (m for m in spec.maps if m.name in ("regs", "stream")):
        out += [
            "",
            f"// {m.title}: {'byte addresses and ' if m.name == 'regs' else ''}bit ranges of fields, reset values",
        ]
        for w in m.words:
            if m.name == "regs":
                out.append(f"`define SPK_REG_{w.name} 12'h{w.address:03x}")
            for f in w.fields:
                out.append(f"`define SPK_{w.name}_{f.name.upper()} {f.lsb + f.bits - 1}:{f.lsb}")
                if f.reset or w.name == "VERSION":
                    out.append(f"`define SPK_{w.name}_{f.name.upper()}_RESET {f.bits}'h{f.reset:x}")
    for e in spec.enums:
        out += ["", f"// {e.name}"] + [f"`define SPK_{e.name.upper()}_{n} {v}" for n, v, _ in e.members]
    return "\n".join([*out, "", "`endif", ""])


CLASSES = {"regs": "Register", "model": "ModelField"}


def python(spec: Spec) -> str:
    out = [
        f'"""Registers, packets and fields of the model file. {NOTICE}"""',
        "",
        "from enum import IntEnum",
        "",
        "from spikeline.model.bit_fields import BitFields",
    ]
    for e in spec.enums:
        out += ["", "", f"class {e.name.title().replace('_', '')}(IntEnum):"] + [f"    {n} = {v}  # {d}" for n, v, d in e.members]
    for m in spec.maps:
        if m.name != "stream":
            out += [
                "",
                "",
                f"class {CLASSES[m.name]}(IntEnum):",
                '    """Byte address."""',
                "",
            ]
            out += [
                f"    {w.name} = 0x{w.address:02X}" + (f"  # {w.count} of them, {w.stride} bytes apart" if w.count > 1 else "")
                for w in m.words
            ]
    out += ["", "", "class Base(IntEnum):", '    """Physical address on a board."""', ""]
    out += [f"    {name} = 0x{address:08X}" for name, address in spec.bases.items()]
    seen: dict[str, str] = {}
    for m in spec.maps:
        for w in m.words:
            if len(w.fields) == 1 and w.fields[0].name == "value":
                continue
            arguments = [str(w.bits), *(f"{f.name}=({f.lsb}, {f.bits})" for f in w.fields)]
            line = f"{w.layout} = BitFields({', '.join(arguments)})"
            if len(line) > LINE:
                line = "\n".join([f"{w.layout} = BitFields(", *(f"    {a}," for a in arguments), ")"])
            if seen.setdefault(w.layout, line) != line:
                raise ValueError(f"{w.layout} is defined twice with different fields")
    out += ["", "", "# Fields of a word: (lowest bit, bits)", *seen.values(), "", "# Constants"]
    out += [
        f"{'' if m.name != 'model' else 'MODEL_'}{w.name}{'' if f.name == 'value' else '_' + f.name.upper()} = 0x{f.reset:X}"
        for m in spec.maps
        for w in m.words
        for f in w.fields
        if (f.reset or w.name == "VERSION") and f.access == "r" and w.layout != "STATUS"
    ]
    out += ["", "# Registers as a board's metadata lists them: name, offset, access, fields as above", "REGISTERS = ("]
    for w in registers(spec):
        each = [f'"{f.name}": ({f.lsb}, {f.bits})' for f in w.fields]
        fields = f"{{{', '.join(each)}}}"
        line = f'    ("{w.name}", 0x{w.address:02X}, "{access(w)}", {fields}),'
        if len(line) > LINE:
            if len(f"        {fields},") > LINE:
                fields = "\n".join(["{", *(f"            {x}," for x in each), "        }"])
            items = [f'"{w.name}"', f"0x{w.address:02X}", f'"{access(w)}"', fields]
            line = "\n".join(["    (", *(f"        {i}," for i in items), "    ),"])
        out.append(line)
    return "\n".join([*out, ")", ""])


def tcl(spec: Spec) -> str:
    """Addresses and widths for the vendor flow."""
    (register,), (stream,) = ({w.bits for w in m.words} for m in spec.maps[:2])
    out = [f"# {NOTICE}", ""]
    out += [f"set spk_base({name}) 0x{address:08X}" for name, address in spec.bases.items()]
    out += [f"set spk_register_bits {register}", f"set spk_memory_bits {stream}"]
    return "\n".join([*out, ""])


def c(spec: Spec) -> str:
    out = [f"/* {NOTICE} */", "#ifndef SPIKELINE_SPEC_H", "#define SPIKELINE_SPEC_H"]
    out += ["", "/* Physical addresses on a board */"]
    out += [f"#define SPK_BASE_{name} 0x{address:08X}U" for name, address in spec.bases.items()]
    for m in spec.maps:
        prefix = {"regs": "SPK_REG", "stream": "SPK_STREAM", "model": "SPK_MODEL"}[m.name]
        out += ["", f"/* {m.title} */"]
        for w in m.words:
            suffix = "ULL" if w.bits == 64 else "U"
            if m.name != "stream":
                out.append(f"#define {prefix}_{w.name} 0x{w.address:02X}U")
            if w.count > 1:
                out += [f"#define {prefix}_{w.name}_COUNT {w.count}U", f"#define {prefix}_{w.name}_STRIDE {w.stride}U"]
            for f in w.fields:
                name = f"{prefix}_{w.name}_{f.name.upper()}"
                out += [
                    f"#define {name}_LSB {f.lsb}",
                    f"#define {name}_MASK 0x{((1 << f.bits) - 1) << f.lsb:X}{suffix}",
                ]
                if f.reset or w.name == "VERSION":
                    out.append(f"#define {name}_RESET 0x{f.reset:X}{suffix}")
    for e in spec.enums:
        out += (
            ["", f"enum spk_{e.name} {{"] + [f"    SPK_{e.name.upper()}_{n} = {v}, /* {d} */" for n, v, d in e.members] + ["};"]
        )
    return "\n".join([*out, "", "#endif", ""])


def markdown(spec: Spec) -> str:
    out = ["# Registers, packets and fields of the model file", "", f"<!-- {NOTICE} -->", ""]
    out += ["On a board: " + ", ".join(f"`{name}` at `0x{address:08X}`" for name, address in spec.bases.items()) + "."]
    for m in spec.maps:
        at = "Offset" if m.name != "stream" else None
        out += [
            "",
            f"## {m.title}",
            "",
            m.desc,
            "",
            f"|{' Offset |' if at else ''} Word | Bits | Field | Access | Reset | Meaning |",
            "|" + "---|" * (7 if at else 6),
        ]
        for w in m.words:
            where = f"`0x{w.address:02X}`" + (f" + {w.stride}·i" if w.count > 1 else "")
            name = f"`{w.name}`" + (f" i = 0..{w.count - 1}" if w.count > 1 else "")
            for i, f in enumerate(w.fields):
                head = [where, name] if i == 0 else ["", ""]
                meaning = " ".join(filter(None, [w.desc if i == 0 else "", f.desc, f"See {f.encode}." if f.encode else ""]))
                field = "" if f.name == "value" else f"`{f.name}`"
                may = f.access if m.name == "regs" else ""
                reset = f"`0x{f.reset:X}`" if f.reset else ""
                out.append(
                    "| "
                    + " | ".join([*head[0 if at else 1 :], f"{f.lsb + f.bits - 1}:{f.lsb}", field, may, reset, meaning])
                    + " |"
                )
    for e in spec.enums:
        out += ["", f"## {e.name}", "", "| Value | Name | Meaning |", "|---|---|---|"] + [
            f"| {v} | `{n}` | {d} |" for n, v, d in e.members
        ]
    return "\n".join([*out, ""])


TARGETS = {
    ROOT / "rtl/spikeline.vh": verilog,
    ROOT / "host/spikeline/model/spec.py": python,
    ROOT / "firmware/runtime/spikeline_spec.h": c,
    ROOT / "rtl/boards/spec.tcl": tcl,
    ROOT / "docs/registers.md": markdown,
}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="compare instead of writing")
    check = parser.parse_args().check
    spec = read(HERE / "spikeline.rdl")
    stale = []
    for path, write in TARGETS.items():
        text = write(spec)
        if check:
            if not path.exists() or path.read_text() != text:
                stale.append(str(path.relative_to(ROOT)))
        else:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    if stale:
        print(
            f"differs from rtl/spec/spikeline.rdl: {', '.join(stale)}; run `make gen` and commit the result",
            file=sys.stderr,
        )
    return 1 if stale else 0


if __name__ == "__main__":
    sys.exit(main())
