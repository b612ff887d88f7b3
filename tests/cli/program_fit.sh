# Cases of `descent fit`, read by program.sh.

# decay: y = 3 exp(-x / 2) + 1, rounded to three decimals.
decay() {
  awk 'BEGIN {
    print "x,y,w,kind"
    for (i = 0; i < 20; ++i) printf "%g,%.3f,%d,%s\n", i / 4, 3 * exp(-i / 8) + 1, 1 + i % 3, "a"
  }' >decay.csv
}
# number KEY...: what the JSON object in out holds there.
number() {
  python3 -c 'import functools, json, sys
print(functools.reduce(lambda o, k: o[k], sys.argv[1:], json.load(open("out"))))' "$@"
}
# near A B TOLERANCE
near() {
  awk -v a="$1" -v b="$2" -v t="$3" 'BEGIN { d = a - b; exit !(d <= t && -d <= t) }' ||
    fail "$1 is not within $3 of $2"
}

test_fit() {
  decay
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --json
  is_json out
  [ "$(rows out)" -eq 1 ] || fail "more than one line"
  has err 'data     decay.csv  20 rows'
  # The rounding of y to 5e-4 decides.
  near "$(number parameters a)" 3 2e-3
  near "$(number parameters b)" 0.5 1e-3
  near "$(number parameters c)" 1 2e-3
  near "$(number standard_errors b)" 2e-4 2e-4
  near "$(number r2)" 1 1e-6
  near "$(number residual_sum_of_squares)" 0 5e-6
  near "$(number degrees_of_freedom)" 17 0
  has out '"converged":true'
  for key in covariance iterations reason residual_standard_deviation; do has out "\"$key\""; done
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1 --start b=1,c=0
  for word in parameter 'standard error' '95 % interval' 'residual sum of squares' R2 \
    'degrees of freedom           17' converged; do
    has out "$word"
  done
}

test_fit_methods() {
  decay
  for method in lm gauss_newton lbfgs; do
    run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=2,b=1,c=0 --method $method --json
    near "$(number parameters b)" 0.5 1e-3
  done
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --tol 1e-3 --set factor=10 --json
  has out 'relative step'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --set factr=10
  has err 'did you mean "factor"?'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --method lmm
  has err 'is called "lmm"'
  run 4 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=9,c=0 --max-iterations 2 --json
  has out '"converged":false'
  has err 'not converged (2 iterations)'
}

# One line through the origin has a closed form: sum w x y / sum w x^2.
test_fit_weights_and_bounds() {
  decay
  run 0 fit decay.csv 'y ~ a*x' --start a=1 --weights w --json
  near "$(number parameters a)" "$(awk -F, 'NR > 1 { p += $3*$1*$2; q += $3*$1*$1 }
    END { printf "%.12g", p / q }' decay.csv)" 1e-11
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --upper c=0.9 --json
  near "$(number parameters c)" 0.9 0
  has out '"c":null'
  has err 'c lies on a bound'
  sed 's/,1,a/,-1,a/' decay.csv >negative.csv
  run 3 fit negative.csv 'y ~ a*x' --start a=1 --weights w
  has err 'negative.csv:2: the weight -1 is negative'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --weights ww
  has err 'did you mean "w"?'
}

test_fit_missing_values() {
  decay
  printf 'NA,2,1,a\n7,,1,a\n' >>decay.csv
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --json
  has err '20 rows, 2 with missing values left out'
  near "$(number rows)" 20 0
  near "$(number rows_left_out)" 2 0
}

test_fit_undetermined() {
  decay
  run 0 fit decay.csv 'y ~ a*b*exp(-x/2) + c + 0*d' --start a=1,b=1,c=0,d=1 --json
  has err 'a and b cannot be told apart'
  has err 'd has no effect'
  has out '"standard_errors":{"a":null,"b":null,"c":0.000'
  near "$(number parameters c)" 1 2e-3
}

test_fit_errors() {
  decay
  run 2 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,c=0
  has err 'error: formula: "b" is neither a column of decay.csv nor a parameter with a start'
  has err 'give --start b=...'
  run 2 fit decay.csv 'y ~ slope*knd' --start slope=1
  has err 'did you mean "kind"?'
  run 2 fit decay.csv 'y ~ a*x' --start a=1,b=2
  has err '--start: "b" does not occur in the formula'
  run 2 fit decay.csv 'y ~ a*x + w' --start a=1,w=2
  has err '"w" is a column of decay.csv and a parameter'
  run 2 fit decay.csv 'y = a*x' --start a=1
  has err 'not of the form MEASURED ~ MODEL'
  run 2 fit decay.csv 'y ~ a*(x' --start a=1
  has err 'error: '
  run 2 fit decay.csv 'y ~ a*x' --start a
  has err 'expected NAME=NUMBER'
  run 2 fit decay.csv 'y ~ a*x' --start a=one
  has err '"one" is not a number'
  run 2 fit decay.csv 'y ~ x'
  has err 'no parameters'
  run 2 fit decay.csv 'y ~ a*log(x)' --start a=1
  has err 'decay.csv:2: "a*log(x)" is -inf at the start, where'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --lower b=0
  has err '--lower'
  run 2 fit decay.csv 'y ~ a*x' --start a=1 --plot fit.pdf
  has err 'fit.pdf'
  run 3 fit decay.csv 'y ~ a*kind' --start a=1
  has err 'column "kind" holds texts'
  run 3 fit none.csv 'y ~ a*x' --start a=1
  has err 'none.csv: cannot open'
  empty out
}

test_fit_plot() {
  decay
  run 0 fit decay.csv 'y ~ a*exp(-b*x) + c' --start a=1,b=1,c=0 --plot fit.svg
  has fit.svg '<svg'
  has err 'saved    fit.svg'
  run 0 fit decay.csv 'y ~ a*x + b*w + c' --start a=1,b=1,c=0 --plot fit.png
  [ "$(head -c 4 fit.png | tail -c 3)" = PNG ] || fail "fit.png is no PNG"
}

test_fit_nist() {
  python3 "$source/tests/cli/nist.py" "$program" "$source/tests/golden/nist" >out ||
    fail "certified values are not reached"
}
