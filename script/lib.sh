# Common parts of the scripts beside it; sourced, after `set -eu`. Plain POSIX sh.
root=$(CDPATH='' cd -- "$(dirname -- "$0")/.." && pwd)
cd "$root" || exit

say() { printf '%s\n' "$*" >&2; }
die() { say "$@"; exit 2; }

# usage SCRIPT-ARGUMENTS...: prints the comment at the head of the script for -h or --help.
usage() {
  case "${1:-}" in
    -h | --help) sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0"; exit 0 ;;
  esac
}

processors() { nproc 2>/dev/null || echo 2; }

bootstrap() { "$root/script/bootstrap" "$@"; }

# cached BUILD-FOLDER NAME: the value of a setting of a configured build.
cached() { [ ! -f "$1/CMakeCache.txt" ] || sed -n "s/^$2:[A-Z]*=//p" "$1/CMakeCache.txt"; }

# configure PRESET [-DNAME=VALUE...]: configures build/PRESET where it is not configured so yet.
# Settings stay: a build with tests keeps its tests.
configure() {
  preset=$1
  shift
  folder=build/$preset
  stale=
  [ -f "$folder/build.ninja" ] && cmp -s CMakePresets.json "$folder/presets.json" || stale=yes
  for setting in "$@"; do
    name=${setting#-D}
    [ "$(cached "$folder" "${name%%=*}")" = "${name#*=}" ] || stale=yes
  done
  launcher=$(cached "$folder" CMAKE_CXX_COMPILER_LAUNCHER)
  if [ -z "$launcher" ] && command -v ccache >/dev/null; then
    set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=ccache
    stale=yes
  elif [ -n "$launcher" ] && ! command -v "$launcher" >/dev/null; then
    set -- "$@" -DCMAKE_CXX_COMPILER_LAUNCHER=
    stale=yes
  fi
  if [ -n "$stale" ]; then
    cmake --preset "$preset" "$@"
    cp CMakePresets.json "$folder/presets.json"
  fi
}

# build PRESET [TARGET...]
build() {
  preset=$1
  shift
  if [ $# -gt 0 ]; then
    cmake --build --preset "$preset" --target "$@"
  else
    cmake --build --preset "$preset"
  fi
}

# run_tests TEST-PRESET BUILD-FOLDER [ctest arguments...]: ends with a line `N passed, N failed`
# (`, N skipped` where some were); its exit code tells whether all passed.
run_tests() {
  tests=$1
  results=$root/$2/test-results.xml
  shift 2
  rm -f "$results"
  code=0
  ctest --preset "$tests" -j "$(processors)" --output-junit "$results" "$@" || code=$?
  [ -f "$results" ] || die "ctest left no results: exit code $code"
  suite=$(sed -n '/<testsuite/,/>/p' "$results" | tr '\n\t' '  ')
  total=$(count tests) failed=$(count failures) skipped=$(($(count skipped) + $(count disabled)))
  passed=$((total - failed - skipped))
  [ "$code" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
  if [ "$skipped" -gt 0 ]; then
    echo "$passed passed, $failed failed, $skipped skipped"
  else
    echo "$passed passed, $failed failed"
  fi
  [ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
}
count() { printf '%s' "$suite" | sed "s/.* $1=\"\([0-9]*\)\".*/\1/"; }

# Compiled objects are found again from another checkout of the same sources.
export CCACHE_BASEDIR="$root" CCACHE_NOHASHDIR=1
