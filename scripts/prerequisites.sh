# Sourced by demo.sh and test.sh: what a fresh Debian or Raspberry Pi OS needs beside rustup.
# Installs only what is missing, with apt-get (through sudo where the user is not root).

# need COMMAND-OR-TEST PACKAGE...: remembers the packages when the test fails
missing=""
need() {
    test_command=$1
    shift
    sh -c "$test_command" >/dev/null 2>&1 || missing="$missing $*"
}

# libclang (V4L2's bindings are generated at build time) has its version in its package's name: take the oldest from
# 14 on that this system offers, which is the one its own compiler tools use and the nearest to what bindgen knows.
libclang_package() {
    apt-cache search --names-only '^libclang1-[0-9]+$' 2>/dev/null | cut -d' ' -f1 | sort -t- -k2 -n |
        awk -F- '$2 >= 14' | head -n 1
}

have_libclang() {
    for dir in /usr/lib/*-linux-gnu* /usr/lib/llvm-*/lib /usr/lib; do
        for library in "$dir"/libclang-*.so* "$dir"/libclang.so*; do
            case $library in */libclang-cpp.*) continue ;; esac # the C++ library of the same tools, without the C interface
            [ -e "$library" ] && return 0
        done
    done
    return 1
}

install_missing() {
    need 'command -v cc' gcc libc6-dev
    need 'python3 -m pip --version || command -v npm' python3 python3-pip
    for package in "$@"; do
        case $package in
            ffmpeg) need 'command -v ffmpeg' ffmpeg ;;
            npm) need 'command -v npm' npm ;;
            mosquitto)
                need 'PATH=$PATH:/usr/sbin; command -v mosquitto && command -v mosquitto_sub' mosquitto mosquitto-clients
                need 'command -v openssl' openssl
                need '/usr/bin/python3 -c "import paho.mqtt"' python3-paho-mqtt
                ;;
            emulation)
                need 'command -v qemu-aarch64-static && command -v qemu-arm-static' qemu-user-static
                need '[ -d /usr/aarch64-linux-gnu/lib ]' libc6-arm64-cross
                need '[ -d /usr/arm-linux-gnueabihf/lib ]' libc6-armhf-cross
                ;;
            sqlite3) need 'command -v sqlite3' sqlite3 ;;
            vm)
                need 'command -v qemu-system-x86_64' qemu-system-x86
                for tool in cpio bc make; do need "command -v $tool" "$tool"; done
                need 'command -v xz' xz-utils
                need 'command -v readelf' binutils
                ;;
            venv) need 'python3 -c "import venv, ensurepip"' python3-venv ;;
            *) missing="$missing $package" ;;
        esac
    done
    clang_is_missing=no
    have_libclang || clang_is_missing=yes
    if [ -n "$missing" ] || [ $clang_is_missing = yes ]; then
        root=""
        if [ "$(id -u)" != 0 ]; then
            command -v sudo >/dev/null 2>&1 || {
                echo "mercam: please install these packages as root, then run this again:$missing libclang1" >&2
                exit 69
            }
            root=sudo
        fi
        command -v apt-get >/dev/null 2>&1 || {
            echo "mercam: no apt-get here; please install a C compiler, libclang, python3-pip$missing" >&2
            exit 69
        }
        echo "mercam: installing what the build needs:$missing$([ $clang_is_missing = yes ] && echo ' libclang')" >&2
        $root apt-get update -q
        [ $clang_is_missing = yes ] && missing="$missing $(libclang_package)"
        # shellcheck disable=SC2086 # a list of packages
        $root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends $missing
    fi
    if ! command -v cargo >/dev/null 2>&1; then
        [ -f "$HOME/.cargo/env" ] && . "$HOME/.cargo/env"
    fi
    command -v cargo >/dev/null 2>&1 || {
        echo "mercam: cargo is missing; install rustup (https://rustup.rs), then run this again" >&2
        exit 69
    }
}
