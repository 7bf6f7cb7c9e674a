# What scripts/demo and scripts/test share: saying what is done, timing it, and making what is needed.
# Sourced, never run. Everything made lies in .venv, in the cache, or is a Debian package named here.

set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
ROOT=$PWD
VENV=$ROOT/.venv
TIMES=()

# Debian packages that the sandbox needs; scripts/test adds those of the tests.
SYSTEM_PACKAGES=(systemd-container mmdebstrap iproute2 nftables openssh-client xz-utils python3-venv npm)

say() { printf '\n== %s\n' "$*"; }

# part NAME COMMAND...: run it, print its seconds, remember them for the summary.
part() {
  local name=$1 started=$SECONDS
  shift
  say "$name"
  "$@"
  TIMES+=("$(printf '%5d s  %s' $((SECONDS - started)) "$name")")
  printf -- '-- %s: %d s\n' "$name" $((SECONDS - started))
}

# beside NAME COMMAND...: start it and go on; `joined` waits for all such, shows what each said, and fails where one has.
# COMMAND is a program or ends in `exec`, so that it can be killed.
BESIDE=() BESIDE_SINCE=() BESIDE_SAID=() BESIDE_PIDS=()
beside() {
  local said
  said=$(mktemp)
  BESIDE+=("$1") BESIDE_SINCE+=("$SECONDS") BESIDE_SAID+=("$said")
  say "$1: begun, beside what follows"
  shift
  "$@" >"$said" 2>&1 &
  BESIDE_PIDS+=("$!")
}

joined() {
  local one code failed=0
  for one in "${!BESIDE_PIDS[@]}"; do
    code=0
    say "${BESIDE[one]}"
    wait "${BESIDE_PIDS[one]}" || code=$?
    cat "${BESIDE_SAID[one]}" && rm -f "${BESIDE_SAID[one]}"
    TIMES+=("$(printf '%5d s  %s (beside others)' $((SECONDS - BESIDE_SINCE[one])) "${BESIDE[one]}")")
    [ "$code" -eq 0 ] || failed=$code
  done
  BESIDE=() BESIDE_SINCE=() BESIDE_SAID=() BESIDE_PIDS=()
  return "$failed"
}

summary() {
  say "seconds of each part"
  printf '%s\n' "${TIMES[@]}" "$(printf '%5d s  in all' "$SECONDS")"
}

need_root() {
  [ "$(id -u)" -eq 0 ] && return
  echo "This needs root: it boots real machines (systemd-nspawn) and makes network namespaces. Try: sudo $0" >&2
  exit 1
}

system_packages() {
  local missing=() package
  for package in "${SYSTEM_PACKAGES[@]}"; do
    # npm and venv may come from elsewhere than Debian.
    case $package in
      npm) command -v npm >/dev/null && continue ;;
      python3-venv) python3 -c 'import venv, ensurepip' 2>/dev/null && continue ;;
    esac
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  if [ ${#missing[@]} -eq 0 ]; then
    echo "all there: ${SYSTEM_PACKAGES[*]}"
    return
  fi
  echo "installing Debian packages: ${missing[*]}"
  apt-get -q update >/dev/null
  DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "${missing[@]}" >/dev/null
}

environment() {
  local stamp=$VENV/.installed-from digest
  digest=$(cat requirements.lock pyproject.toml | sha256sum)
  if [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$digest" ]; then
    echo "$VENV is up to date"
    return
  fi
  echo "installing requirements.lock into $VENV"
  python3 -m venv --clear "$VENV"
  "$VENV/bin/pip" --quiet --disable-pip-version-check install --require-hashes -r requirements.lock
  "$VENV/bin/pip" --quiet --disable-pip-version-check install --no-deps --no-build-isolation --editable .
  echo "$digest" >"$stamp"
}
