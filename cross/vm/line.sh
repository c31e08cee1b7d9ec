# Runs in the machine: a film of a face goes through the kernel's loopback camera into mercam, and what mercam sees goes
# out over the UART to the host's side. Each frame once and in order. Ends with 0 when every check held.
. /data/common.sh
tty=/dev/ttyS0; [ -e /dev/ttyAMA0 ] || tty=/dev/ttyS1
stty -F $tty raw -echo
# Shows the film's first picture until it is told to go on.
vcam film $D GREY 320x240 30 /data/film.raw /tmp/go > /tmp/film 2>&1 &
camera=$!
sleep 0.5
app run --source "$D?format=GREY&size=320x240" --sink "serial:$tty?format=binary&acks=true&baud=115200" --sink file:/tmp/events.jsonl \
  --set face.tracking.max_faces=1 --set device=vm > /tmp/log 2>&1 &
pid=$!
i=0
until grep -q face_appeared /tmp/events.jsonl 2> /dev/null; do
  i=$((i + 1)); sleep 0.2
  if [ $i -ge 300 ] || ! kill -0 $pid 2> /dev/null; then failed "no face was found"; cat /tmp/log; exit 1; fi
done
: > /tmp/go
i=0
until grep -q "film over" /tmp/film; do
  i=$((i + 1)); sleep 0.2
  if [ $i -ge 300 ]; then failed "the film did not end"; break; fi
done
sleep 1
kill -TERM $pid; wait $pid; rc=$?
kill $camera; wait $camera 2> /dev/null
cat /tmp/film /tmp/log
[ $rc = 0 ] || failed "ended with $rc"
grep -q "[0-9] frames delivered, 0 lost by the driver" /tmp/log || failed "the kernel lost frames"
# The same film compressed: the loopback camera takes what is written for MJPEG.
vcam feed $D MJPG 320x240 30 3000 /data/film.mjpg > /tmp/feed 2>&1 &
camera=$!
sleep 0.5
app doctor --source "$D?format=MJPG&size=320x240" --measure 2s --log warn > /tmp/doctor 2> /tmp/said
cat /tmp/said; grep -E '^[A-Za-z-]+ +(camera|light) ' /tmp/doctor
grep -qE '^good +camera .*MJPG 320x240.* 0 of' /tmp/doctor || failed "MJPEG"
kill $camera; wait $camera 2> /dev/null
echo "sent: $(grep -c '"kind":"confirmed"' /tmp/events.jsonl) confirmed detections"
exit $bad
