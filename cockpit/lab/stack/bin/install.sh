# Looks for the software the app needs; installs nothing that is already there.
. "${0%/*}/common.sh"
say "web server: none needed; runtime: $PYTHON"
"$PYTHON" -I -S -c 'import sys; print("runtime version %d.%d.%d" % sys.version_info[:3])' || fail "no runtime at $PYTHON"
mkdir -p "$HOME/.cockpit/installed" || fail "cannot write to $HOME/.cockpit"
say "software is in place"
