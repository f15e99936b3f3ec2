# Stops the service and starts the same version again.
. "${0%/*}/common.sh"
say "restarting $APP_NAME"
sh "${0%/*}/stop.sh" && sh "${0%/*}/start.sh"
