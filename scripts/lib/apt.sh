# Sourced by scripts: installing what they need from Debian's packages.

# need_packages PACKAGE...: installs those that are missing, and says so in one line. Root, or sudo; otherwise says what to
# install and fails.
need_packages() {
  local missing=() package
  for package in "$@"; do
    dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null | grep -qx installed || missing+=("$package")
  done
  [[ ${#missing[@]} -eq 0 ]] && return 0
  local as_root=()
  if [[ $EUID -ne 0 ]]; then
    if ! command -v sudo >/dev/null; then
      echo "These Debian packages are missing; as root: apt-get install ${missing[*]}" >&2
      return 1
    fi
    as_root=(sudo)
  fi
  echo "Installing from apt: ${missing[*]}"
  local log
  log=$(mktemp)
  if ! { "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}" ||
    { "${as_root[@]}" apt-get update &&
      "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}"; }; } \
    >"$log" 2>&1; then
    cat "$log" >&2
    rm -f "$log"
    return 1
  fi
  rm -f "$log"
}

# What building the library and its programs takes, and what the lab takes.
build_packages=(cmake ninja-build g++ libtomlplusplus-dev libcli11-dev nlohmann-json3-dev)
lab_packages=(python3 iproute2 ethtool iputils-ping util-linux)
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev)
