"""Long checks with seeds: planted faults, random networks, soak, coverage."""
