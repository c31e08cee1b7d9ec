# Runs in the machine with the vivid driver: what its camera can do, the formats with the rates that come, then one fault
# after the other. Lines that begin with `|` are rows of docs/reference/faults.md. Ends with 0 when every check held.
. /data/common.sh
ctl() { vcam ctl $D "$@" > /dev/null || failed "vcam ctl $*"; }
# Of log lines: without the level's padding and the device's name, joined, `|` kept out of the table.
joined() { sed -E "s/^mercam: //; s/^(error|warn|info) +/\1: /; s#v4l2:$D: ##g; s/[|]/\//g" | awk 'NR > 1 { printf "; " } { printf "%s", $0 } END { if (!NR) printf "-" }'; }

echo "## devices"
app devices > /tmp/devices
sed -n '1,4p;/chosen/p;/not read/s/\(.\{100\}\).*/\1 .../p' /tmp/devices

echo "## formats: asked for, measured"
for mode in "YUYV 320x180 30" "UYVY 320x180 30" "NV12 320x180 30" "NV21 320x180 30" "YU12 320x180 30" "GREY 320x180 30" \
  "Y10 320x180 30" "Y12 320x180 30" "Y16 320x180 30" "RGB3 320x180 30" "BGR3 320x180 30" "GREY 640x480 25" "YUYV 320x180 60"; do
  set -- $mode
  app doctor --source "$D?format=$1&size=$2&fps=$3" --measure 2s --log error 2> /dev/null > /tmp/doctor
  line=$(grep -E '^[A-Za-z-]+ +camera ' /tmp/doctor)
  echo "$line"
  echo "$line" | grep -q "^good .*$1 $2.*measured" || failed "$mode"
done

echo "## what ends the start"
refused() { # NAME EXPECTED COMMAND...
  name=$1; words=$2; shift 2
  "$@" --sink file:/tmp/refused.jsonl > /tmp/refused 2>&1; rc=$?
  echo "| $name | $(grep -v ^info /tmp/refused | joined) | exit code $rc |"
  [ $rc = 69 ] || failed "$name: exit code $rc"
  grep -q "$words" /tmp/refused || failed "$name: no \`$words\`"
}
refused "no such device" "there are /dev/video0" app run --source /dev/video9
refused "no camera" "no camera device" app run --source v4l2:/dev/null
refused "size that it does not have" "no picture of 333x222" app run --source "$D?size=333x222"
refused "format that it does not send" "does not send MJPG" app run --source "$D?format=MJPG"
refused "control that it does not have" "no control for its exposure time" app run --source "$D?exposure=10ms"
refused "a USB camera that is not there" "no other USB camera" app run --source v4l2:046d:0825
vcam cap $D YUYV 320x180 10 100 500 > /dev/null & holder=$!
sleep 2
refused "in use by another program" "another program is using the camera" app run --source "$D?format=GREY"
kill $holder; wait $holder 2> /dev/null
chmod 600 $D
echo "nobody:x:65534:65534::/:/bin/sh" > /etc/passwd
refused "no right to open it" "add yourself to the group" start-stop-daemon -S -c nobody -x /bin/app -- run --source $D

# A light that the kernel shows: of the keyboard on a PC, a pin on the ARM machine.
if [ -d /sys/class/leds/input0::capslock ]; then
  light=led:input0::capslock; level=/sys/class/leds/input0::capslock/brightness
else
  pin=$(($(cat /sys/class/gpio/gpiochip*/base | head -n 1) + 2))
  light=gpio:$pin; level=/sys/class/gpio/gpio$pin/value
fi
refused "the light of [indicator] is not there" "cannot be switched on" app run --source $D --set indicator.light=led:none

echo "## faults: one run, one fault after the other"
# The pattern has no face, so the search for one is made rare: emulated, it would take all the time there is.
app run --source "$D?format=YUYV&size=320x180&fps=10&gain=77" --sink file:/tmp/events.jsonl --set pipeline.status_interval_s=0.5 \
  --set face.tracking.search_ms=3000 --set indicator.light=$light > /tmp/log 2>&1 &
pid=$!
# Frames analysed and lost so far, from the last status event.
counts() { sed -n 's/.*"kind":"status","frames":\([0-9]*\),"lost":\([0-9]*\).*/\1 \2/p' /tmp/events.jsonl 2> /dev/null | tail -n 1; }
now() { cut -d' ' -f1 /proc/uptime; }
# Waits until at least 10 frames more were analysed; fails after 60 s.
more() {
  set -- "$1" $(counts); before=${2:-0}; i=0
  while set -- "$1" $(counts); [ "${2:-0}" -lt $((before + 10)) ]; do
    i=$((i + 1)); sleep 1
    if [ $i -ge 60 ] || ! kill -0 $pid 2> /dev/null; then failed "no frames after: $1"; return; fi
  done
}
fault() { # NAME HOW EXPECTED COMMAND...   EXPECTED: words that the log must hold afterwards; - for none
  name=$1; how=$2; words=$3; shift 3
  lines=$(wc -l < /tmp/log); begin=$(counts)
  "$@"
  more "$name"
  tail -n +$((lines + 1)) /tmp/log > /tmp/said
  set -- $begin $(counts)
  echo "| $name | $how | $(joined < /tmp/said) | $(($3 - $1)) | $(($4 - $2)) |"
  [ "$words" = - ] || grep -q "$words" /tmp/said || failed "$name: no \`$words\`"
}
silent() { ctl "Percentage of Dropped Buffers" 100; sleep $1; ctl "Percentage of Dropped Buffers" 0; }
half() { ctl "Percentage of Dropped Buffers" 50; sleep 3; ctl "Percentage of Dropped Buffers" 0; }
flagged() { ctl "Inject V4L2_BUF_FLAG_ERROR" 1; }
fatal() { ctl "Inject Fatal Streaming Error" 1; }
qbuf() { ctl "Inject VIDIOC_QBUF Error" 1; }
unplugged() { ctl Disconnect 1; }
reopened_badly() { ctl "Inject VIDIOC_$1 Error" 1; ctl Disconnect 1; }
unbound() { echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind; sleep 4; echo vivid.0 > /sys/bus/platform/drivers/vivid/bind; }
other() { vcam cap $D YUYV 640x360 10 3 500 > /tmp/other; grep -q "errno 16" /tmp/other || failed "the other program was let in: $(cat /tmp/other)"; }
wrapped() { ctl "Wrap Sequence Number" 1; ctl Disconnect 1; sleep 15; ctl "Wrap Sequence Number" 0; }
hangup() { kill -HUP $pid; }
more start
set -- $(counts); first_frames=$1; first_lost=$2; first_time=$(now)
[ "$(vcam get $D Gain)" = 77 ] || failed "gain=77 was asked for, $(vcam get $D Gain) is set"
[ "$(cat $level)" = 1 ] || failed "$light is off while the camera is in use"
fault "none" "-" - true
fault "silent for 3 s" "all buffers dropped" "stalled, no frame for" silent 3
fault "silent for 9 s" "all buffers dropped" "the camera is back" silent 9
fault "every second frame missing for 3 s" "half of the buffers dropped" - half
fault "a damaged frame" "error flag on a buffer" - flagged
fault "fatal error of the stream" "queue error: EIO" "the camera is back" fatal
fault "a buffer is not taken back" "QBUF: EINVAL" "the camera is back" qbuf
fault "unplugged, the node stays" "disconnect: ENODEV" "the camera is back" unplugged
fault "unplugged, then no buffers are given" "disconnect, REQBUFS: EINVAL" "the camera is back" reopened_badly REQBUFS
fault "unplugged, then it does not start" "disconnect, STREAMON: EINVAL" "the camera is back" reopened_badly STREAMON
fault "unplugged, plugged in after 4 s" "unbind, bind: the node goes" "the camera is back" unbound
fault "the driver's numbers wrap" "they begin at 2^32 - 128" "the camera is back" wrapped
fault "another program wants it" "S_FMT: it gets EBUSY" - other
fault "the configuration is read again" "SIGHUP" "reloaded" hangup
# Every frame that the camera took was analysed or counted as lost.
set -- $(counts)
awk -v n=$(($1 + $2 - first_frames - first_lost)) -v t=$first_time -v now=$(now) 'BEGIN {
  e = (now - t) * 10; printf "%d frames were due in %.0f s, %d were analysed or counted as lost\n", e, now - t, n
  exit !(n > 0.93 * e && n < 1.07 * e)
}' || failed "frames are missing"

echo "## the end: while the camera is away"
echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
sleep 3
before=$(now)
kill -TERM $pid; wait $pid; rc=$?
awk -v a=$before -v b=$(now) 'BEGIN { printf "ended %.1f s after SIGTERM\n", b - a; exit b - a > 3 }' || failed "the end took too long"
tail -n 3 /tmp/log
[ "$(cat $level)" = 0 ] || failed "$light is on though the camera is closed"
echo "light: $light was on in between, and is off"
[ $rc = 0 ] || failed "ended with $rc"
! grep -q panicked /tmp/log || failed "a panic"
exit $bad
