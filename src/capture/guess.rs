//! What a source string without a known scheme may mean, and what to answer when it means nothing.

use super::CaptureError;
use super::options::{hint, spec};
use super::v4l2::CameraName;
use std::io::Read as _;
use std::path::Path;

/// Every scheme.
pub const SCHEMES: [&str; 6] = ["v4l2", "y4m", "raw", "images", "replay", "synthetic"];
/// Compressed video, by file extension.
const COMPRESSED: [&str; 12] =
    ["mp4", "mkv", "avi", "mov", "webm", "m4v", "mpg", "mpeg", "wmv", "h264", "hevc", "mjpeg"];

/// The kind of a file that was named without a scheme, by its extension or its first bytes.
pub fn guess(path: &Path) -> Result<&'static str, CaptureError> {
    let shown = path.display().to_string();
    let extension = path.extension().and_then(|e| e.to_str()).unwrap_or("").to_ascii_lowercase();
    if path.is_dir() {
        return Ok("images");
    }
    if path.is_file() {
        let mut start = [0u8; 64];
        let n = std::fs::File::open(path).and_then(|mut f| f.read(&mut start)).unwrap_or(0);
        let start = start.get(..n).unwrap_or(&[]);
        if start.starts_with(b"YUV4MPEG2") || extension == "y4m" {
            return Ok("y4m");
        }
        if start.starts_with(b"{\"mercam\"") {
            return Ok("replay");
        }
        if COMPRESSED.contains(&extension.as_str()) {
            return Err(spec(format!("{shown}: mercam reads no compressed video; {}", convert(&shown))));
        }
        return Err(spec(format!(
            "{shown}: what this file holds cannot be told from its name or contents; say its kind in front: {}",
            examples()
        )));
    }
    let scheme = shown.split_once(':').map_or("", |(s, _)| s);
    if extension == "y4m" && scheme.is_empty() {
        return Ok("y4m"); // not there; opening it says so
    }
    if shown == "-" {
        Err(spec("- is standard input, but of what kind? y4m:- or raw:-?format=yuv420&size=640x480&fps=90".into()))
    } else if ["rtsp", "rtmp", "http", "https", "udp", "rtp", "webrtc"].contains(&scheme) {
        Err(spec(format!("mercam opens no network connection for pictures; {}", convert(&shown))))
    } else if ["libcamera", "csi", "rpicam", "picamera"].contains(&scheme) {
        Err(spec(
            "cameras on the ribbon connector are read through a pipe: rpicam-vid -t 0 --width 640 --height 480 \
             --framerate 90 --codec yuv420 -o - | mercam run --source 'raw:-?format=yuv420&size=640x480&fps=90&live=true'"
                .into(),
        ))
    } else if let CameraName::Usb(usb) = CameraName::parse(&shown) {
        Err(spec(format!("a USB camera is named with its kind in front: v4l2:{usb}")))
    } else if !scheme.is_empty() && scheme.bytes().all(|b| b.is_ascii_alphanumeric()) {
        Err(spec(format!(
            "unknown kind of source \"{scheme}\"{}; the kinds are {}",
            hint(scheme, &SCHEMES),
            examples()
        )))
    } else if shown.bytes().all(|b| b.is_ascii_digit()) {
        Err(spec(format!("a camera is named by its device: /dev/video{shown} (mercam devices lists them)")))
    } else {
        Err(spec(format!(
            "\"{shown}\" is neither a kind of source{} nor a file; the kinds are {}",
            hint(&shown, &SCHEMES),
            examples()
        )))
    }
}

fn convert(what: &str) -> String {
    format!("convert it on the way: ffmpeg -i {what} -f yuv4mpegpipe -pix_fmt yuv420p - | mercam run --source y4m:-")
}

/// How a source of this scheme is written.
pub fn example(scheme: &str) -> &'static str {
    match scheme {
        "v4l2" => "v4l2:/dev/video0",
        "y4m" => "y4m:FILE or y4m:-",
        "raw" => "raw:-?format=yuv420&size=640x480&fps=90",
        "images" => "images:DIR?fps=100",
        "replay" => "replay:FILE",
        _ => "synthetic:",
    }
}

/// How the source of every scheme is written.
pub fn examples() -> String {
    SCHEMES.map(example).join(", ")
}
