"""Write the README's result table from the JSON files in docs/results.

tables.py           write it
tables.py --check   compare it instead; exit status 1 if it differs
"""

import json
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BEGIN, END = "<!-- results: written by `make gen` from docs/results -->", "<!-- end of results -->"


def demo() -> list[str]:
    """The rows of `make demo`'s report."""
    r = json.loads((ROOT / "docs/results/demo.json").read_text())
    source = f"[demo.json](docs/results/demo.json), commit {r['commit'][:9]}"
    clock = f"at {r['fclk_mhz']:g} MHz, from RTL cycle counts"
    network = (
        f"{'-'.join(map(str, r['layers']))}, {r['weight_bits']}-bit weights, {r['time_steps']} time steps, {r['encoder']} input"
    )
    rows = [
        ("Network", network),
        ("Accuracy on the RTL", f"**{r['accuracy']:.2%}** of all {r['images']:,} MNIST test images"),
        ("Throughput", f"**{r['images_per_second']:,.0f} images/s** ({r['cycles_per_image']:.1f} cycles per image) {clock}"),
        ("Latency of one image", f"{r['latency_us']:.2f} µs, mean of 100 sent one by one, {clock}"),
        ("Spikes per image", f"{r['input_spikes_per_image']:.0f} input, {r['hidden_spikes_per_image']:.0f} hidden"),
        (
            "Labels that differ: RTL / golden model",
            f"{r['golden_mismatches']} of {r['images']:,}; {r['spike_mismatches']} of {r['spikes_compared']:,} neuron states",
        ),
        ("Images that differ: ONNX / golden model", f"{r['onnx_mismatches']} of {r['onnx_images']:,}"),
        ("Power", "not measured: no board yet (`power_source: none`)"),
    ]
    return [f"| {name} | {value} | {source} |" for name, value in rows]


def main() -> int:
    readme = ROOT / "README.md"
    text = readme.read_text()
    before, rest = text.split(BEGIN)
    _, after = rest.split(END)
    table = ["| What | Figure | From |", "|---|---|---|", *demo()]
    made = "\n".join([before + BEGIN, "", *table, "", END]) + after
    if "--check" in sys.argv[1:]:
        if made != text:
            print("README.md differs from docs/results; run `make gen` and commit the result", file=sys.stderr)
            return 1
    else:
        readme.write_text(made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
