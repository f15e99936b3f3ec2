# Ends the service; what is deployed stays.
. "${0%/*}/common.sh"
say "taking $APP_NAME offline"
sh "${0%/*}/stop.sh"
