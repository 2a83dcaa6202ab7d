"""The `spikeline` command."""
