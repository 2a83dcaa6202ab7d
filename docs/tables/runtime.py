"""Table of firmware/runtime/README.md: size and stack of the C runtime."""

from tables import result

SIZED = {
    "library, bare metal": "library",
    "library, Linux": "library_linux",
    "Zynq port, its bss the translation table and buffers": "port_zynq",
}


def c_size() -> list[str]:
    """Size and stack of the C runtime, from the last test on ARM, and the last long run of the fuzzer."""
    r, fuzz = result("c-size"), result("c-fuzz")
    calls = sorted(r["stack"].items(), key=lambda item: -item[1])[:4]
    return [
        "| | text | data | bss |",
        "|---|---|---|---|",
        *(f"| {name} | {r[key]['text']:,} | {r[key]['data']} | {r[key]['bss']:,} |" for name, key in SIZED.items()),
        "",
        f"Deepest stack: {', '.join(f'`{name}` {depth} bytes' for name, depth in calls)}; the others less.",
        f"From [c-size.json](../../docs/results/c-size.json), commit {r['commit'][:9]}: {r['compiler']}, `{r['options']}`.",
        "",
        f"The check of models was fuzzed for {fuzz['seconds']:.0f} s: {fuzz['executions']:,} executions, {len(fuzz['findings'])} findings "
        f"([c-fuzz.json](../../docs/results/c-fuzz.json), commit {fuzz['commit'][:9]}).",
    ]


TABLES = {"c-size": c_size}
