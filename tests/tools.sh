#!/bin/sh
# The programs that the tests and the demo run beside Python, and the packages of Debian they are in. One list, nowhere else.
#
#   sh tests/tools.sh test    brings what the tests lack (as root or with `sudo -n`); else one line says what to type, and it fails
#   sh tests/tools.sh demo    says what the demo lacks, brings nothing, and fails if there is anything
#   sh tests/tools.sh list    the packages
#
# Nothing that is brought is started: the tests run servers of their own.
set -eu

# program or file, or files of which one will do: its package
TOOLS='
test  tmux                                        tmux
test  dash                                        dash
test  bash                                        bash
test  busybox                                     busybox
test  fish                                        fish
test  mksh                                        mksh
test  rc                                          rc
test  tcsh                                        tcsh
test  zsh                                         zsh
test  ps                                          procps
test  ss                                          iproute2
test  mount                                       mount
test  /usr/sbin/useradd                           passwd
test  ssh                                         openssh-client
test  ssh-add                                     openssh-client
test  ssh-agent                                   openssh-client
test  ssh-keygen                                  openssh-client
test  /usr/sbin/sshd                              openssh-server
test  /usr/lib/*/libnss_wrapper.so                libnss-wrapper
test  initdb|/usr/lib/postgresql/*/bin/initdb     postgresql
demo  curl                                        curl
demo  tar                                         tar
demo  gzip                                        gzip
demo  awk                                         mawk
demo  sed                                         sed
demo  grep                                        grep
demo  tail                                        coreutils
demo  head                                        coreutils
demo  setsid                                      util-linux
'
PYTHON=${PYTHON:-python3}

there() { # program or pattern of a file
    case $1 in
        */*) for file in $1; do [ -e "$file" ] && return 0; done; return 1 ;;
        *) command -v "$1" >/dev/null 2>&1 ;;
    esac
}

can_make_venv() {
    [ -x .venv/bin/python ] || there uv || "$PYTHON" -c 'import venv, ensurepip' >/dev/null 2>&1
}

lacking() { # kind: sets programs, packages
    programs='' packages=''
    while read -r kind needed package; do
        [ -n "$kind" ] || continue
        [ "$1" = demo ] && [ "$kind" != demo ] && continue
        first=${needed%%|*} second=${needed#*|}
        there "$first" || there "$second" || add "${first##*/}" "$package"
    done <<LIST
$TOOLS
LIST
    if ! can_make_venv; then add "Python's venv" python3-venv; fi
}

add() { # program package
    programs="$programs${programs:+, }$1"
    case " $packages " in *" $2 "*) ;; *) packages="$packages${packages:+ }$2" ;; esac
}

bring() { # with what we may: as root, or by sudo without a password
    there apt-get || return 1
    as=''
    if [ "$(id -u)" -ne 0 ]; then
        there sudo && sudo -n true 2>/dev/null || return 1
        as='sudo -n'
    fi
    echo "Installing what the tests need: $packages"
    # shellcheck disable=SC2016,SC2086
    $as env DEBIAN_FRONTEND=noninteractive sh -c '
        policy=/usr/sbin/policy-rc.d
        if [ ! -e $policy ]; then
            trap "rm -f $policy" EXIT
            printf "#!/bin/sh\nexit 101\n" >$policy
            chmod 755 $policy
        fi
        apt-get update -q && apt-get install -q -y --no-install-recommends "$@"
    ' sh $packages </dev/null >&2
}

case ${1:-} in
    list)
        echo "$TOOLS" | sed '/^$/d; s/.* //' | sort -u
        ;;
    demo)
        lacking demo
        [ -z "$programs" ] && exit 0
        echo "The demo needs programs that are not here: $programs. Install them: sudo apt-get install -y $packages" >&2
        exit 1
        ;;
    test)
        lacking test
        [ -z "$programs" ] && exit 0
        bring || true
        lacking test
        [ -z "$programs" ] && exit 0
        echo "The tests need programs that are not here: $programs. Install them: sudo apt-get install -y $packages" >&2
        exit 1
        ;;
    *)
        sed -n '2,8s/^# \{0,1\}//p' "$0" >&2
        exit 2
        ;;
esac
