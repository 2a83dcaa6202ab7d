"""Tables of docs/nir.md: what converts from which framework, and how accurate it is."""

from tables import result

TITLES = {"nir": "NIR's equations", "snntorch": "snnTorch", "spikingjelly": "SpikingJelly", "norse": "Norse", "sinabs": "sinabs"}


def conversions() -> list[str]:
    """Node by framework; resets with the same outcome in one row."""
    lines = ["| framework | node | `--reset` | | why, and what to do |", "|---" * 5 + "|"]
    rows: dict[tuple[str, ...], list[str]] = {}
    for x in result("nir")["conversions"]:
        node = x["node"] + (f", {x['which']}" if x["which"] else "")
        rows.setdefault((TITLES[x["framework"]], node, x["outcome"], x["why"]), []).append(x["reset"])
    for (framework, node, outcome, why), resets in rows.items():
        lines.append(f"| {framework} | {node} | {', '.join(resets)} | {outcome} | {why} |")
    return lines


def accuracy() -> list[str]:
    """A row for each network and way of quantisation."""
    report = result("nir")
    lines = ["| network | own accuracy | bits | imported | labels that differ | spikes that differ, by layer |", "|---" * 6 + "|"]
    for network in report["networks"]:
        name = (
            f"{TITLES[network['framework']]}, {'-'.join(map(str, network['sizes']))}, β = {network['keep']:g}, {network['reset']}"
        )
        for row in network["rows"]:
            bits = f"{row['bits']}" + (f", {row['epochs']} epochs" if row["epochs"] else "")
            spikes = [f"{x['spikes_differing']:.1%}" for x in row["layers"] if x["spikes_differing"] is not None]
            lines.append(
                f"| {name}, {network['output']} | {row['own_accuracy']:.2%} | {bits} | {row['accuracy']:.2%} | "
                f"{row['labels_differing']:.1%} | {', '.join(spikes)} |"
            )
    lines += ["", f"T = {report['time_steps']}, {report['epochs']} epochs of training; commit {report['commit'][:9]}."]
    return lines


TABLES = {"nir-conversions": conversions, "nir-accuracy": accuracy}
