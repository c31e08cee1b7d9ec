# Runs in the machine under systemd. Ends with 0 when every check held.
bad=0
failed() { echo "FAILED: $*"; bad=1; }
ctl() { vcam ctl /dev/video0 "$@" > /dev/null || failed "vcam ctl $*"; }
show() { systemctl show --value --property="$1" mercam; }
up() { cut -d' ' -f1 /proc/uptime; }
took() { awk -v a="$1" -v b="$(up)" 'BEGIN { printf "%.1f s", b - a }'; }
log() { journalctl --unit=mercam --output=cat --no-pager; }
# Waits until COMMAND succeeds, at most so many seconds.
until_it() { # SECONDS COMMAND...
  local left=$1; shift
  until "$@"; do left=$((left - 1)); [ $left -gt 0 ] || return 1; sleep 1; done
}
active() { [ "$(show ActiveState)" = active ]; }
logged() { log | grep -q "$1"; }
more_restarts() { [ "$(show NRestarts)" -gt "$1" ]; }
udevadm trigger --subsystem-match=video4linux --action=add; udevadm settle
ls -l /dev/video0

echo "## start: active when the first frame was analysed"
begin=$(up)
systemctl start mercam || { failed "it does not start"; log | tail -n 20; exit 1; }
echo "ready after $(took "$begin") as $(ps -o user= -p "$(show MainPID)"), status: $(show StatusText)"
[ "$(show NRestarts)" = 0 ] || failed "started $(show NRestarts) times"
sleep 5
show StatusText | grep -q "frames/s" || failed "no rate in the status: $(show StatusText)"
systemctl status mercam --no-pager | grep -q 'Status: "v4l2:/dev/video0: ' || failed "systemctl status does not show it"
[ -s /var/lib/mercam/events.jsonl ] || [ -s /var/lib/private/mercam/events.jsonl ] || failed "no events below /var/lib/mercam"
echo "status: $(show StatusText)"
systemd-analyze security mercam --no-pager 2> /dev/null | tail -n 1

echo "## reload"
sed -i '1i log = "debug"' /etc/mercam/mercam.toml
systemctl reload mercam || failed "reload"
until_it 5 logged "configuration reloaded" || failed "it was not reloaded"
sed -i '1i trigger = 1' /etc/mercam/mercam.toml
systemctl reload mercam || failed "reload of a bad file"
until_it 5 logged "was not reloaded, the old one stays" || failed "a bad file was not refused"
log | grep -m 1 "was not reloaded"
sed -i 1d /etc/mercam/mercam.toml
active || failed "not active after a reload"

echo "## unplugged for 40 s: the process lives on, because a new one could do nothing else"
echo vivid.0 > /sys/bus/platform/drivers/vivid/unbind
sleep 40
active || failed "it ended while the camera was away"
[ "$(show NRestarts)" = 0 ] || failed "restarted while the camera was away"
echo vivid.0 > /sys/bus/platform/drivers/vivid/bind
until_it 20 logged "the camera is back" || failed "the camera did not come back"
sleep 3

echo "## open and silent: the watchdog"
begin=$(up)
ctl "Percentage of Dropped Buffers" 100
until_it 90 more_restarts 0 || failed "the watchdog did not end it"
echo "ended and started again after $(took "$begin"), result of the run before: $(journalctl --unit=mercam --output=cat --no-pager | grep -o "Failed with result '.*'" | tail -n 1)"
ctl "Percentage of Dropped Buffers" 0
until_it 60 active || failed "not ready again when frames came again"

echo "## kill -9"
n=$(show NRestarts)
kill -9 "$(show MainPID)"
until_it 30 more_restarts "$n" && until_it 30 active || failed "not started again after kill -9"
echo "started again: $(show NRestarts) times in all"

echo "## a wrong configuration is not tried again"
sed -i '1i trigger = 1' /etc/mercam/mercam.toml
systemctl restart mercam 2> /dev/null && failed "a wrong configuration was started"
sleep 15
echo "exit code $(show ExecMainStatus), $(show ActiveState), restarted $(show NRestarts) times"
[ "$(show ExecMainStatus)" = 78 ] && [ "$(show ActiveState)" = failed ] && [ "$(show NRestarts)" = 0 ] || failed "exit code 78"
sed -i 1d /etc/mercam/mercam.toml

echo "## the light"
light=/sys/class/leds/input0::capslock
printf '[indicator]\nlight = "led:input0::capslock"\n' >> /etc/mercam/mercam.toml
# The package's rule, with this light's name in place of mercam*.
sed 's/KERNEL=="mercam\*"/KERNEL=="input0::capslock"/' /lib/udev/rules.d/60-mercam.rules > /etc/udev/rules.d/60-mercam.rules
udevadm control --reload; udevadm trigger --subsystem-match=leds --action=add; udevadm settle
[ "$(stat -c %G:%a $light/brightness)" = video:664 ] || failed "the udev rule: $(stat -c %G:%a $light/brightness)"
systemctl start mercam 2> /dev/null && failed "it was started though the sandbox keeps sysfs read-only"
log | grep -m 1 "the indicator .* cannot be switched on"
systemctl stop mercam
mkdir -p /etc/systemd/system/mercam.service.d
sed "s#leds/mercam#leds/input0::capslock#" /usr/share/doc/mercam/indicator.conf > /etc/systemd/system/mercam.service.d/indicator.conf
systemctl daemon-reload
systemctl start mercam || { failed "it does not start with a light"; log | tail -n 5; }
echo "in use: $(cat $light/brightness)"
[ "$(cat $light/brightness)" = 1 ] || failed "the light is off"
begin=$(up)
systemctl stop mercam
echo "stopped after $(took "$begin"): $(cat $light/brightness), result $(show Result)"
[ "$(cat $light/brightness)" = 0 ] || failed "the light is on"
[ "$(show Result)" = success ] || failed "the stop ended with $(show Result)"
exit $bad
