#!/bin/bash -eu
# Runs in OSS-Fuzz's builder: every target of fuzz/fuzz_targets with the sanitizer that OSS-Fuzz has chosen, and its seeds.
cd "$SRC/trainit"
# The dependencies have the versions that are shipped; only libFuzzer's binding is added.
cp Cargo.lock fuzz/Cargo.lock
cargo fuzz build -O --debug-assertions
for file in fuzz/fuzz_targets/*.rs; do
    name=$(basename "$file" .rs)
    cp "fuzz/target/x86_64-unknown-linux-gnu/release/$name" "$OUT/"
    python3 -m zipfile -c "$OUT/${name}_seed_corpus.zip" fuzz/seeds/"$name"/*
done
