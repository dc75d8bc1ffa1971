# Shared setup, sourced by the scripts: changes to the script's folder and sets $out, the output folder.
set -euo pipefail
export LC_ALL=C
cd "$(dirname "$0")"
out=${1:-$(mktemp -d)}
mkdir -p "$out"

say() { printf '\n'; printf '# %s\n' "$@"; }
run() {
  printf '$ %s\n' "$1"
  eval "$1"
}
