# Read by the scripts that run inside the machine.
D=/dev/video0
bad=0
failed() { echo "FAILED: $*"; bad=1; }
cp /data/vcam /bin/vcam && chmod 755 /bin/vcam
export MERCAM_CACHE=/tmp/cache MERCAM_OFFLINE=1
mkdir -p $MERCAM_CACHE/nets && mv /data/*.onnx /data/*.json $MERCAM_CACHE/nets/
uname -rm
