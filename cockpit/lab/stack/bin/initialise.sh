# Removes everything the app put on the host, so that another app can have it.
. "${0%/*}/common.sh"
sh "${0%/*}/stop.sh" || exit 1
say "removing $APP_HOME and $LOG_DIR"
rm -rf "$APP_HOME" "$LOG_DIR" || fail "cannot remove what $APP_NAME left"
say "the host is clean"
