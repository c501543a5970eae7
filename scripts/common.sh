# Shared by the scripts here; sourced, not run.

fail() {
    echo "$(basename "$0"): $*" >&2
    exit 1
}

# Runs a command as root, asking sudo where we are not.
as_root() {
    if [ "$(id -u)" = 0 ]; then
        "$@"
    elif command -v sudo >/dev/null; then
        sudo "$@"
    else
        fail "this needs root, and there is no sudo: $*"
    fi
}

# need PROGRAM PACKAGE...: installs Debian's packages unless the program is there.
need() {
    local program=$1
    shift
    command -v "$program" >/dev/null && return
    command -v apt-get >/dev/null || fail "$program is missing; install it and try again"
    apt_install "$@"
}

# Packages of Debian, whose lists a fresh machine does not have.
apt_install() {
    as_root apt-get update -qq
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

# A nightly compiler with Miri, for whoever needs one of both: a component that is added later brings a newer
# compiler with it, under the feet of a build that is under way.
need_nightly() {
    cargo +nightly miri --version >/dev/null 2>&1 && return
    command -v rustup >/dev/null || fail "this needs a nightly compiler, and rustup to install it"
    rustup toolchain install nightly --profile minimal --component miri --component rust-src
}
