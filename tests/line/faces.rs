//! Photographs with their landmarks, and the networks that find them.

use super::fixtures::Still;
use mercam::face::config::FaceConfig;
use mercam::face::detector::DetectorConfig;
use mercam::face::models::Store;
use mercam::face::{FaceDetector, LandmarkNet};
use mercam::frame::Luma;
use mercam::geometry::Px;
use mercam::landmarks::{PerLandmark, iod};

/// Whether the networks are in the cache; fetches them, and says so when it may not.
pub fn networks(config: &FaceConfig) -> bool {
    let store = Store::default();
    config.networks().into_iter().all(|net| {
        if store.ready(net).is_ok() {
            return true;
        }
        if std::env::var("MERCAM_OFFLINE").is_ok_and(|v| v == "1") {
            eprintln!("skipped: MERCAM_OFFLINE=1 and the face network {net} is not in the cache");
            return false;
        }
        store.ensure(net, &mut |_| {}).unwrap_or_else(|e| panic!("{e}; or set MERCAM_OFFLINE=1 to skip"));
        true
    })
}

/// A photo as luma.
pub fn photo(still: Still) -> Option<Luma> {
    let grey = image::open(still.path()?).unwrap().into_luma8();
    Luma::from_vec(grey.width(), grey.height(), grey.into_raw())
}

/// The landmarks of the one face of a photo, as our own detector and landmark network see them.
pub fn landmarks(picture: &Luma, config: &FaceConfig) -> PerLandmark<Px> {
    let store = Store::default();
    let mut found = Vec::new();
    DetectorConfig::default().build(&store).unwrap().detect(picture, &mut found).unwrap();
    let mut net = config.landmarks.build(&store).unwrap();
    // Twice, as in a track: the second look is where the first one says.
    let first = net.landmarks(picture, &found.first().expect("a face in the photo").roi).unwrap();
    let points = net.landmarks(picture, &first.roi).unwrap().points;
    assert!(iod(&points) > 16.0);
    points
}
