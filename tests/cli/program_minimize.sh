# Cases of `descent minimize`, read by program.sh.

# check PYTHON...: the JSON object of stdout is `o`; the expression must hold.
check() {
  for condition; do
    python3 -c "
import json, math, sys
o = json.loads(open('out').read(), parse_constant=lambda name: sys.exit('not JSON: ' + name))
near = lambda a, b, e=1e-6: abs(a - b) <= e * (1 + abs(b))
sys.exit(0 if ($condition) else 1)" || fail "not so: $condition"
  done
}
rosenbrock='100*(y-x^2)^2 + (1-x)^2'

test_minimize_json() {
  run 0 minimize "$rosenbrock" --start x=-1.2,y=1 --method lbfgs --json
  empty err
  check 'near(o["x"][0], 1) and near(o["x"][1], 1)' 'o["value"] < 1e-12' \
    'o["gradient_norm"] <= 1e-8' 'o["kind"] == "minimum"' 'o["converged"] is True' \
    '0 < o["iterations"] < o["evaluations"] < 100' 'o["method"] == "lbfgs"' \
    'o["variables"] == {"x": o["x"][0], "y": o["x"][1]}' \
    'near(o["eigenvalues"][0], 0.39936) and near(o["eigenvalues"][1], 1001.60064)'
  # In the order of --start.
  run 0 minimize '(a-1)^2 + (b-2)^2' --start b=0,a=0 --json
  check 'near(o["x"][0], 2) and near(o["x"][1], 1)' 'list(o["variables"]) == ["b", "a"]'
}

# x <- x - lr 2 x from 1: exactly 0.8^k; and by hand two steps in two variables.
test_minimize_steps() {
  run 0 minimize 'x^2' --start x=1 --method gd --lr 0.1 --steps 3 --json
  check 'o["iterations"] == 3' 'near(o["x"][0], 0.512, 1e-15)' 'near(o["value"], 0.262144, 1e-15)' \
    'near(o["gradient_norm"], 1.024, 1e-15)' 'o["converged"] is False'
  # grad (2 x + y, x + 4 y): (1, 1) -> (0.7, 0.5) -> (0.51, 0.23).
  run 0 minimize 'x^2 + x*y + 2*y^2' --start x=1,y=1 --method gd --lr 0.1 --steps 2 --json
  check 'near(o["x"][0], 0.51, 1e-15) and near(o["x"][1], 0.23, 1e-15)'
  # From the minimum, too: exactly so many.
  run 0 minimize 'x^2' --start x=0 --method gd --steps 5 --json
  check 'o["iterations"] == 5' 'o["kind"] == "minimum"'
  # The first step of Adam has the length lr.
  run 0 minimize 'x^2' --start x=3 --method adam --lr 0.25 --steps 1 --json
  check 'near(o["x"][0], 2.75, 1e-8)'
}

test_minimize_kinds() {
  run 0 minimize 'x^2 - y^2' --start x=1,y=0 --method gd --lr 0.1 --json
  check 'o["kind"] == "saddle"' 'o["eigenvalues"] == [-2, 2]'
  run 0 minimize '(x + y)^2' --start x=1,y=1 --json
  check 'o["kind"] == "flat"'
}

test_minimize_text() {
  run 0 minimize "$rosenbrock" --start x=-1.2,y=1
  empty err
  for word in iteration gradient evaluations 'gradient norm' eigenvalues 'kind           minimum'; do
    has out "$word"
  done
  # A long run is thinned.
  run 0 minimize "$rosenbrock" --start x=-1.2,y=1 --method gd --steps 1000
  has out '1,000'
  [ "$(rows out)" -lt 40 ] || fail "$(rows out) lines"
}

test_minimize_data() {
  printf '1,0\n0,2\n1,1\n' >A.csv
  printf '1\n4\n3\n' >b.csv
  run 0 minimize 'sum((A*x-b)^2)' --data A.csv,b.csv --start 'x=[0,0]' --json
  check 'near(o["x"][0], 1) and near(o["x"][1], 2)' 'o["variables"]["x"] == o["x"]'
  run 0 minimize 'sum((A*x-c)^2)' --data A.csv,c=b.csv --start 'x=zeros(2)' --method newton --json
  check 'near(o["x"][1], 2)'
  run 2 minimize 'sum((A*x-b)^2)' --data A.csv,b.csv --start 'x=zeros(3)'
  has err 'equal inner extents'
  run 2 minimize 'sum((A*x-b)^2)' --data A.csv,B=b.csv --start 'x=zeros(2)'
  has err 'the formula has no "B"'
  run 3 minimize 'sum((A*x-b)^2)' --data A.csv,b=none.csv --start 'x=zeros(2)'
  has err none.csv
  printf '1,x\n2,y\n' >words.csv
  run 3 minimize 'sum(words*x)' --data words.csv --start 'x=[1,1]'
  has err 'holds text'
}

test_minimize_functions() {
  run 0 minimize --list
  for word in rosenbrock himmelblau lbfgs adam gd; do has out "$word"; done
  run 0 minimize --list --json
  check 'len(o["functions"]) >= 30' '"newton" in [m["name"] for m in o["methods"]]'
  run 0 minimize rosenbrock --size 10 --json
  check 'len(o["x"]) == 10' 'all(near(v, 1, 1e-5) for v in o["x"])'
  run 0 minimize himmelblau --start 3.5,2.5 --json
  check 'near(o["x"][0], 3) and near(o["x"][1], 2)'
  run 2 minimize rosenbrok
  has err 'did you mean "rosenbrock"?'
  run 2 minimize himmelblau --size 3
  has err 'fixed number of variables'
}

# Every named function begins where it is finite, and goes down.
test_minimize_every_function() {
  run 0 minimize --list --json
  names=$(python3 -c 'import json; print(*[f["name"] for f in json.load(open("out"))["functions"]])')
  for name in $names; do
    run 0 minimize "$name" --method gd --lr 1e-12 --steps 1 --json
    cp out first.json
    run 0 minimize "$name" --max-iterations 200 --json
    check 'o["value"] <= json.load(open("first.json"))["value"]'
  done
}

test_minimize_compare() {
  run 0 minimize rosenbrock --compare gd,momentum,nesterov,adagrad,rmsprop,adam,lbfgs,newton \
    --max-iterations 200 --plot all.svg
  for method in gd momentum nesterov adagrad rmsprop adam lbfgs newton; do has out " $method "; done
  sed -n 2p out | grep -qE '^1  (newton|lbfgs)' || fail "neither Newton nor L-BFGS is first"
  head -c 5 all.svg >head
  has head '<?xml'
  run 0 minimize 'x^2' --start x=1 --compare gd,lbfgs --lr 0.1 --json
  check 'o["method"] == "lbfgs"' '[m["method"] for m in o["compare"]] == ["lbfgs", "gd"]'
  # An option of one of them.
  run 0 minimize 'x^2' --start x=1 --compare gd,adam --set gd.lr=0.5 --steps 1 --json
  check '[m["x"][0] for m in o["compare"] if m["method"] == "gd"] == [0]'
  run 2 minimize 'x^2' --start x=1 --compare gd,adm
  has err 'did you mean "adam"?'
  run 2 minimize 'x^2' --start x=1 --compare gd,adam --method lbfgs
  has err 'exclude each other'
}

test_minimize_pictures() {
  run 0 minimize "$rosenbrock" --start x=-1.2,y=1 --plot two.png --animate two.gif
  has err 'drawn   two.png'
  run 0 minimize "$rosenbrock" --start x=-1.2,y=1 --plot two.svg --animate two.html --quiet
  empty err
  run 0 minimize '(x-1)^4' --start x=3 --plot one.svg --animate one.gif
  run 0 minimize rosenbrock --size 5 --plot five.png
  for file in two.png five.png; do
    [ "$(head -c 4 "$file" | tail -c 3)" = PNG ] || fail "$file is no PNG"
  done
  for file in two.gif one.gif; do
    [ "$(head -c 6 "$file")" = GIF89a ] || fail "$file is no GIF"
  done
  python3 -c 'import xml.dom.minidom as d; d.parse("two.svg"); d.parse("one.svg")' || fail "no XML"
  has two.html '<!DOCTYPE html>'
  run 2 minimize "$rosenbrock" --start x=-1.2,y=1 --plot two.jpg
  has err '.svg or .png'
  run 2 minimize rosenbrock --size 5 --animate five.gif
  has err '5 variables cannot be animated'
  empty out
}

test_minimize_bounds() {
  run 0 minimize '(x+1)^2 + (y-2)^2' --start x=3,y=3 --lower x=0,y=0 --json
  check 'o["x"][0] == 0 and near(o["x"][1], 2)' 'o["kind"] == "boundary"'
  run 0 minimize '(x-3)^2 + (y-2)^2' --start x=0,y=0 --upper 1 --json
  check 'o["x"] == [1, 1]'
  # The point of the simplex nearest to (1, 0.5).
  run 0 minimize 'sum((x - [1, 0.5])^2)' --start 'x=[0.5,0.5]' --constraint simplex --json
  check 'near(o["x"][0], 0.75) and near(o["x"][1], 0.25)'
  # The farthest to the left in a ball of radius 2.
  run 0 minimize 'x' --start x=0.5 --constraint ball:2 --json
  check 'near(o["x"][0], -2)'
  run 2 minimize 'x^2' --start x=1 --lower z=0
  has err 'no variable is called "z"'
  run 2 minimize 'x^2' --start x=1 --constraint bal:2
  has err 'did you mean "ball"?'
}

test_minimize_errors() {
  run 2 minimize
  has err 'EXPR is required'
  run 2 minimize "$rosenbrock" --start x=1
  has err 'no start for y'
  has err '--start y=0'
  run 2 minimize "$rosenbrock" --start x=1,y=2,zz=3
  has err 'no variable "zz"'
  run 2 minimize "$rosenbrock" --start x=1,y=2,x=3
  has err '"x" is given twice'
  run 2 minimize 'x^2 + sine(x)' --start x=1
  has err 'formula, column 7: no function is called "sine"'
  has err '      ^'
  has err 'did you mean "sin"?'
  run 2 minimize 'x^2' --start 'x=[1,2]'
  has err 'not one number'
  run 2 minimize 'x^2' --start x=one
  has err 'is no number'
  run 2 minimize 'x^2' --start x=1 --method lbgfs
  has err 'did you mean "lbfgs"?'
  run 2 minimize 'x^2' --start x=1 --set histry=3
  has err 'did you mean "history"?'
  run 2 minimize 'x^2' --start x=1 --set history=three
  has err 'history'
  run 2 minimize 'x^2' --start x=1 --lr 0.1
  has err 'no option "lr"'
  run 2 minimize 'x^2' --start x=1 --steps 0
  run 2 minimize '2' --start ''
  run 2 minimize 'log(x)' --start x=-1
  empty out
}

# NaN in JSON is null, and the exit code says it.
test_minimize_diverged() {
  run 4 minimize 'x^4' --start x=10 --method gd --lr 1 --json
  check 'o["converged"] is False' 'o["reason"].startswith("diverged")'
  has err 'error: gd: diverged'
  has err --lr
}
