# Stops the old version, puts the package in its place and starts the new one.
. "${0%/*}/common.sh"
: "${APP_VERSION:?}" "${PACKAGE_FILE:?}"
say "deploying $APP_NAME $APP_VERSION from ${PACKAGE_FILE##*/}"
[ -r "$PACKAGE_FILE" ] || fail "no package at $PACKAGE_FILE"
rm -rf "$APP_HOME/next"
mkdir -p "$APP_HOME/next" || fail "cannot make $APP_HOME/next"
gzip -dc "$PACKAGE_FILE" | (cd "$APP_HOME/next" && tar -xf -) || fail "cannot unpack the package"
[ -r "$APP_HOME/next/serve.py" ] || fail "the package holds no serve.py"
sh "${0%/*}/stop.sh" || exit 1
rm -rf "$APP_HOME/previous"
[ ! -d "$APP_HOME/current" ] || mv "$APP_HOME/current" "$APP_HOME/previous" || fail "cannot put the old version aside"
mv "$APP_HOME/next" "$APP_HOME/current" || fail "cannot put the new version in place"
printf '%s\n' "$APP_VERSION" >"$APP_HOME/VERSION" || fail "cannot write $APP_HOME/VERSION"
sh "${0%/*}/start.sh" || exit 1
say "$APP_NAME $APP_VERSION is deployed"
