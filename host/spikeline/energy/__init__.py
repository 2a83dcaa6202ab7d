"""Energy of an image, estimated before there is silicon: `activity` counts what the RTL does, `model` prices it."""
