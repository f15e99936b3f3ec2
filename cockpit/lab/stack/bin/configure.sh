# Makes the folders and writes the environment file of the app.
. "${0%/*}/common.sh"
mkdir -p "$APP_HOME" "$LOG_DIR" "$HOME/logs/sofa" || fail "cannot make the app's folders"
write_environment() {
    printf 'APP_PORT=%s\n' "${APP_PORT:-}"
    printf 'HEALTH_PORT=%s\n' "${HEALTH_PORT:-9500}"
    printf 'DATA_CENTRE=%s\n' "${DATA_CENTRE:-}"
    printf 'CELL=%s\n' "${CELL:-}"
}
{ write_environment >"$APP_HOME/environment.new" && mv "$APP_HOME/environment.new" "$APP_HOME/environment"; } ||
    fail "cannot write the environment"
say "app port ${APP_PORT:-none}, health port ${HEALTH_PORT:-9500}, logs in $LOG_DIR"
