#!/usr/bin/env bash
# The Nix side as far as it can be checked without Nix's own downloads: syntax, lock file, shell. The full
# check is `nix flake check`; where there is a nixpkgs checkout, NIXPKGS=DIR evaluates everything.
set -euo pipefail
cd "$(dirname "$0")/.."

mapfile -t files < <(git ls-files '*.nix')
if ! command -v nix-instantiate >/dev/null && [[ $(id -u) == 0 ]] && command -v apt-get >/dev/null; then
  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends nix-bin >/dev/null 2>&1 ||
    echo "nix-bin cannot be installed here"
fi
if command -v nix-instantiate >/dev/null; then
  for file in "${files[@]}"; do
    # Parsing needs no store, and only root could make one.
    NIX_REMOTE=dummy:// nix-instantiate --parse "$file" >/dev/null
  done
  echo "syntax: ${#files[@]} files parse"
else
  echo "SKIPPED: syntax, nix-instantiate is not installed"
fi

for file in "${files[@]}"; do
  lines=$(wc -l <"$file")
  ((lines <= 150)) || { echo "$file has $lines lines: split it" >&2; exit 1; }
done

# The lock must name the input that flake.nix names.
branch=$(sed -n 's|.*github:NixOS/nixpkgs/\(nixos-[0-9.]*\)".*|\1|p' flake.nix)
grep -q "\"ref\": \"$branch\"" flake.lock || { echo "flake.lock does not follow $branch" >&2; exit 1; }
echo "lock: follows $branch"

sh -n vm-tests/query.sh
if [[ -n ${NIXPKGS:-} ]] && command -v nix >/dev/null; then
  nix --extra-experimental-features 'nix-command flakes' \
    flake check --no-build --offline --no-write-lock-file --override-input nixpkgs "git+file://$NIXPKGS"
  echo "flake: everything evaluates"
else
  echo "SKIPPED: evaluation, set NIXPKGS to a nixpkgs checkout"
fi
