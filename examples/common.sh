# What the scripts share: they source it, and are in their own folder, with $out, the folder for what they write.
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
