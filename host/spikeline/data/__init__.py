"""Data sets: labelled images and event recordings, and the samples that a network takes."""
