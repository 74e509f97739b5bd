#!/usr/bin/env bash
# What ClusterFuzzLite runs in its image: the build of OSS-Fuzz.
set -euo pipefail
exec "$SRC/sidekey/fuzz/oss-fuzz/build.sh"
