# Sourced by the checks that need a running service.

# start_service BUNDLE [OPTION...]: starts $GOODNET (target/debug/goodnet unless given) on a free loopback port, waits
# until it is ready, sets $service to its host and port, and stops it when the script ends.
start_service() {
  local goodnet=${GOODNET:-target/debug/goodnet} port
  port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
  service=127.0.0.1:$port
  "$goodnet" serve --bundle "$1" --listen "$service" --log warn "${@:2}" &
  service_pid=$!
  trap 'kill "$service_pid" 2>/dev/null || true; wait "$service_pid" 2>/dev/null || true' EXIT
  for _ in $(seq 100); do
    "$goodnet" healthcheck --url "http://$service/readyz" 2>/dev/null && return
    sleep 0.1
  done
  echo "the service is not ready after 10 s" >&2
  return 1
}
