"""Accuracy, cycles, power and plots: what the reports and benchmarks are made of."""
