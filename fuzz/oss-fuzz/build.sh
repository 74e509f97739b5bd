#!/usr/bin/env bash
# Builds the fuzz targets for OSS-Fuzz and ClusterFuzzLite: programs, seeds and dictionaries, into $OUT.
#
# Elsewhere: OUT=/tmp/out SANITIZER=none fuzz/oss-fuzz/build.sh. A sanitizer needs a nightly toolchain, which the image of OSS-Fuzz has.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."
: "${OUT:?the folder to write to}"

flags=(-O --debug-assertions)
[[ ${SANITIZER:-} != none ]] || flags+=(--sanitizer none)
cargo fuzz build "${flags[@]}"

# Where cargo-fuzz builds, unless CARGO_TARGET_DIR names another folder.
built=${CARGO_TARGET_DIR:-fuzz/target}/x86_64-unknown-linux-gnu/release
for source in fuzz/fuzz_targets/*.rs; do
  target=$(basename "$source" .rs)
  cp "$built/$target" "$OUT/"
  # Names of seeds say what they are, and are the same in every build: so is the archive.
  rm -f "$OUT/${target}_seed_corpus.zip"
  find "fuzz/seeds/$target" -type f | LC_ALL=C sort | zip -X -j -q -@ "$OUT/${target}_seed_corpus.zip"
  dictionary=fuzz/dictionaries/$target.dict
  [[ ! -e $dictionary ]] || cp "$dictionary" "$OUT/"
done
