set -eu -o pipefail

# Stops the server that the guide started last.
stop() {
  if [ -f "$GUIDE_DIR/pid" ]; then kill "$(cat "$GUIDE_DIR/pid")" 2>/dev/null || true; fi
  rm -f "$GUIDE_DIR/pid" "$GUIDE_DIR/url"
}
trap 'stop; kill $(jobs -p) 2>/dev/null || true' EXIT

# Waits for a line with the URL, for at most a minute.
await_url() {
  for _ in $(seq 600); do
    sed -n "s#.*$1 \(http://[^ ]*\).*#\1#p" "$GUIDE_DIR/out" | head -n 1 > "$GUIDE_DIR/url"
    if [ -s "$GUIDE_DIR/url" ]; then return 0; fi
    sleep 0.1
  done
  echo "the server did not begin" >&2
  cat "$GUIDE_DIR/out" >&2
  return 1
}

cargo() {
  case "$*" in
  "xtask serve"*)
    stop
    "$GUIDE_HOST" serve --listen 127.0.0.1:0 --store memory > "$GUIDE_DIR/out" 2>&1 &
    echo $! > "$GUIDE_DIR/pid"
    await_url "listening on"
    ;;
  *) echo "not run again: cargo $*" ;;
  esac
}

spin() {
  case "$1" in
  up)
    stop
    (cd "$GUIDE_ROOT" && command spin "$@" --listen 127.0.0.1:0 --state-dir "$GUIDE_DIR/.spin") \
      > "$GUIDE_DIR/out" 2>&1 &
    echo $! > "$GUIDE_DIR/pid"
    await_url "Serving"
    ;;
  *) command spin "$@" ;;
  esac
}

curl() {
  if [ ! -f "$GUIDE_DIR/url" ]; then cargo xtask serve; fi
  local url
  url=$(cat "$GUIDE_DIR/url")
  local args=("$@")
  args=("${args[@]//http:\/\/127.0.0.1:4437/$url}")
  command curl --fail-with-body --silent --show-error --max-time 120 "${args[@]}"
}

durable-streams() {
  if [ ! -f "$GUIDE_DIR/url" ]; then cargo xtask serve; fi
  DS_URL="$(cat "$GUIDE_DIR/url")/v1/stream" "$GUIDE_HOST" "$@"
}
