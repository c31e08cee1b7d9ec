# Runs in the machine, as its only program. Ends with 0 when every check held.
D=/dev/video0
bad=0
cp /data/vcam /bin/vcam && chmod 755 /bin/vcam
export MERCAM_CACHE=/tmp/cache MERCAM_OFFLINE=1
mkdir -p $MERCAM_CACHE/nets && mv /data/*.onnx /data/*.json $MERCAM_CACHE/nets/
ctl() { vcam ctl $D "$@" > /dev/null || echo "vcam ctl $* failed"; }
uname -rm

echo "## devices"
app devices > /tmp/devices; sed -n '1,4p;/chosen/p;/not read/s/\(.\{100\}\).*/\1 .../p' /tmp/devices

echo "## formats: negotiated, captured, rate measured by doctor"
for mode in "YUYV 320x180 30" "UYVY 320x180 30" "NV12 320x180 30" "NV21 320x180 30" "YU12 320x180 30" "GREY 320x180 30" \
  "Y10 320x180 30" "Y16 320x180 30" "RGB3 320x180 30" "BGR3 320x180 30" "GREY 640x480 25"; do
  set -- $mode
  app doctor --source "$D?format=$1&size=$2&fps=$3" --measure 2s --log error 2> /dev/null > /tmp/doctor
  line=$(grep -E '^[A-Za-z-]+ +camera ' /tmp/doctor)
  echo "$line"
  echo "$line" | grep -q "$1 $2.*measured" || { echo "FAILED: $mode"; bad=1; }
done

echo "## faults: one run, one fault after the other"
app run --source "$D?format=YUYV&size=320x180&fps=10" --sink file:/tmp/events.jsonl --set pipeline.status_interval_s=1 > /tmp/log 2>&1 &
pid=$!
# Frames analysed so far, from the last status event (one each second).
frames() { sed -n 's/.*"kind":"status","frames":\([0-9]*\).*/\1/p' /tmp/events.jsonl 2> /dev/null | tail -n 1; }
# Waits until at least 10 frames more were analysed; fails after 60 s.
more() {
  before=$(frames); before=${before:-0}; i=0
  while now=$(frames); [ "${now:-0}" -lt $((before + 10)) ]; do
    i=$((i + 1)); sleep 1
    if [ $i -ge 60 ] || ! kill -0 $pid 2> /dev/null; then echo "FAILED: no frames after: $1"; bad=1; return; fi
  done
  echo "frames again after: $1"
}
fault() { # NAME EXPECTED COMMAND...   EXPECTED: words that the log must hold afterwards; - for none
  name=$1; words=$2; shift 2
  lines=$(wc -l < /tmp/log)
  "$@"
  more "$name"
  tail -n +$((lines + 1)) /tmp/log | sed 's/^/    /'
  [ "$words" = - ] || tail -n +$((lines + 1)) /tmp/log | grep -q "$words" || { echo "FAILED: $name: no \`$words\`"; bad=1; }
}
silent() { ctl "Percentage of Dropped Buffers" 100; sleep $1; ctl "Percentage of Dropped Buffers" 0; }
half() { ctl "Percentage of Dropped Buffers" 50; sleep 3; ctl "Percentage of Dropped Buffers" 0; }
unbound() { echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind; sleep 4; echo vivid.0 > /sys/bus/platform/drivers/vivid/bind; }
other() { vcam cap $D YUYV 320x180 10 3 500 | tail -n 1 | sed 's/^/    the other program: /'; }
more "start"
fault "silent for 3 s" "stalled, no frame for" silent 3
fault "silent for 9 s: opened again" "the camera is back" silent 9
fault "half of the buffers dropped" - half
fault "error flag on one buffer" - ctl "Inject V4L2_BUF_FLAG_ERROR" 1
fault "fatal error of the stream (EIO)" "the camera is back" ctl "Inject Fatal Streaming Error" 1
fault "QBUF error (EINVAL)" - ctl "Inject VIDIOC_QBUF Error" 1
fault "disconnect (ENODEV)" "the camera is back" ctl Disconnect 1
fault "node gone for 4 s (unbind, bind)" "the camera is back" unbound
fault "another program wants it" - other
fault "SIGHUP" "reloaded" kill -HUP $pid
kill -TERM $pid; wait $pid; rc=$?
tail -n 4 /tmp/log | sed 's/^/    /'
[ $rc = 0 ] || { echo "FAILED: ended with $rc"; bad=1; }
grep -q panicked /tmp/log && { echo "FAILED: a panic"; bad=1; }
exit $bad
