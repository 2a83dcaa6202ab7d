"""The tables of the documents: what their figures are, and where others' come from."""

import tables

EVIDENCE = {"board", "chip", "routed", "simulated", "estimated", "published"}


def test_a_table_says_what_its_accuracy_is():
    """Mean and spread, or the one accuracy that there is; of a single seed of several it says so."""
    drawn = {"encoder": "bernoulli", "accuracy": 0.99}
    several = {"encoder_seeds": [0, 1, 2, 3, 4], "accuracy_mean": 0.985, "accuracy_std": 0.0012}
    assert tables.accuracy(drawn | several) == "98.50 ± 0.12%"
    assert tables.accuracy(drawn) == "99.00%, one seed"
    assert tables.accuracy({"encoder": "latency", "accuracy": 0.9884, "encoder_seeds": None}) == "98.84%"


def test_every_rival_has_a_source_an_evidence_and_says_where_it_was_looked_up():
    for rival in tables.rivals():
        assert {rival["evidence"], rival.get("energy_evidence", "estimated")} <= EVIDENCE
        assert rival["source"]
        assert rival["checked"]
        assert "accuracy" in rival or "accuracy_above" in rival
        assert "loads" in rival or "energy_nj" in rival, "it is in neither table"


def test_every_rival_is_in_the_table_of_what_it_has():
    speed, energy = "\n".join(tables.ours()), "\n".join(tables.ours_energy())
    for rival in tables.rivals():
        assert (rival["name"] in speed) == ("loads" in rival)
        assert (rival["name"] in energy) == ("energy_nj" in rival)


def test_pixels_stand_beside_spikes():
    ours = [row for row in tables.ours() if row.startswith("| **Spikeline**")]
    assert ours
    assert all("from spikes" in row and "from pixels" in row for row in ours)
