"""Writes data/train.csv.gz and data/test.csv.gz from scikit-learn's digits: one line an image, 64 pixels, then the label.

The two files are committed, so this runs only to make them again (pip install scikit-learn; python prepare_data.py).
It gives the same bytes every time, except where another version of zlib compresses differently.
"""

import gzip
import os

import numpy
from sklearn.datasets import load_digits

HERE = os.path.dirname(os.path.abspath(__file__))
TEST_IMAGES = 360


def write(name, rows):
    text = "".join(",".join(str(int(value)) for value in row) + "\n" for row in rows)
    path = os.path.join(HERE, "data", name)
    with open(path, "wb") as file:
        # mtime=0: the time of day is no part of the data.
        with gzip.GzipFile(fileobj=file, mode="wb", filename="", mtime=0) as packed:
            packed.write(text.encode())
    print(f"{path}: {len(rows)} images, {os.path.getsize(path)} bytes")


def main():
    digits = load_digits()
    rows = numpy.column_stack([digits.data, digits.target])
    rows = rows[numpy.random.default_rng(0).permutation(len(rows))]
    write("test.csv.gz", rows[:TEST_IMAGES])
    write("train.csv.gz", rows[TEST_IMAGES:])


if __name__ == "__main__":
    main()
