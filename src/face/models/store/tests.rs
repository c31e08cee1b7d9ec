#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
use super::*;

#[test]
fn a_missing_network_is_reported_with_the_way_to_get_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    assert!(store.list().iter().all(|e| e.state == State::Missing));
    let text = store.ready(NetId::FaceMeshV2).unwrap_err().to_string();
    assert!(text.contains("mercam models fetch face_mesh_v2") && text.contains("6 MB"), "{text}");
}

#[test]
fn damage_in_the_cache_is_found() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let net = NetId::BlazeFaceShort;
    fs::create_dir_all(dir.path().join("nets")).unwrap();
    fs::write(store.path(net), b"weights").unwrap();
    assert!(matches!(store.state(net), State::Damaged(r) if r.contains("blazeface_short.json")));
    let mut record = Record {
        net,
        sha256: sha256(b"weights"),
        bytes: 7,
        source: "x".into(),
        source_sha256: String::new(),
        pinned: true,
        converter: CONVERTER,
    };
    let write = |r: &Record| fs::write(store.record_path(net), serde_json::to_vec(r).unwrap()).unwrap();
    write(&record);
    assert_eq!(store.ready(net).unwrap(), store.path(net));
    fs::write(store.path(net), b"weight!").unwrap();
    assert!(store.ready(net).unwrap_err().to_string().contains("cannot be used"));
    fs::write(store.path(net), b"weights").unwrap();
    record.converter += 1;
    write(&record);
    assert!(matches!(store.state(net), State::Damaged(r) if r.contains("another version")));
}

#[test]
fn files_without_a_network_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path().join("cache"));
    let path = dir.path().join("some.file");
    let refused = |bytes: &[u8]| {
        fs::write(&path, bytes).unwrap();
        store.install(&path).unwrap_err().to_string()
    };
    assert!(refused(b"text").contains("some.file: this is no wheel"));
    assert!(refused(&tflite::tests::prelu_file(&[1.0])).contains("shapes are those of no face network"));
    assert!(refused(b"\0\0\0\0TFL3").contains("outside the file"));
    assert!(refused(b"PK\x03\x04").contains("damaged zip"));
    assert!(!store.root().exists(), "nothing was written");
}
