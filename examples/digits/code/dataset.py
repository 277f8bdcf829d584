"""Reads the digits: one line an image, 64 pixels from 0 to 16, then the digit."""

import gzip

import numpy

PIXELS = 64


def load(path):
    """Pixels scaled to 0..1 and labels, as two arrays."""
    with gzip.open(path, "rt") as file:
        rows = numpy.loadtxt(file, delimiter=",", dtype=numpy.float32, ndmin=2)
    if rows.shape[1] != PIXELS + 1:
        raise ValueError(f"{path}: {rows.shape[1]} columns, expected {PIXELS} pixels and a label")
    return rows[:, :PIXELS] / 16, rows[:, PIXELS].astype(numpy.int64)
