#!/bin/sh
# Fits y = a exp(-b x) + c to examples/decay.csv, which was made with a = 3, b = 0.7, c = 1 and
# normal noise of 0.05, and draws data, curve and residuals: a, b and c come out within two
# standard errors of these (40 rows, R2 about 0.995).
#
#   sh examples/decay.sh           (with descent on the path)
set -eu
cd "$(dirname -- "$0")/.."
mkdir -p build/examples
descent fit examples/decay.csv "y ~ a*exp(-b*x) + c" --start a=1,b=1,c=0 \
  --plot build/examples/decay.svg
