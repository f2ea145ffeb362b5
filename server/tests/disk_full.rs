//! A disk that is really full: a file system of a few MiB in memory.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used)]
#![cfg(target_os = "linux")]

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{MIB, Stand, bytes, file, id, plan, stand_with, tagged};
use windlass_core::protocol::Provider;
use windlass_server::StoreConfig;

/// Set in the process that runs in a namespace of its own.
const INSIDE: &str = "WINDLASS_TEST_IN_NAMESPACE";

/// A small file system, unmounted at the end.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    fn mount(mib: u32) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={mib}m"), "tmpfs"]).arg(folder.path());
        mount.output().is_ok_and(|output| output.status.success()).then(|| Self(folder))
    }

    fn path(&self) -> &Path {
        self.0.path()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // Lazily: connections of the server may still hold files.
        let _ = Command::new("umount").arg("-l").arg(self.0.path()).status();
    }
}

/// Mounts here if this process may, else runs the test again where it may: as root of a namespace of its own.
/// `None` means that the test has run there.
fn small_disk(test: &str, mib: u32) -> Option<SmallDisk> {
    if let Some(disk) = SmallDisk::mount(mib) {
        return Some(disk);
    }
    assert!(std::env::var_os(INSIDE).is_none(), "a tmpfs cannot be mounted even in a namespace of its own");
    println!("{test}: not allowed to mount here, running in a namespace");
    let mut inside = Command::new("unshare");
    inside
        .arg("-rm")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(INSIDE, "1");
    assert!(inside.status().is_ok_and(|status| status.success()), "needs root, or `unshare -rm`");
    None
}

async fn stand_on(disk: &Path) -> Stand {
    let disk = PathBuf::from(disk);
    stand_with(|config| {
        if let StoreConfig::Embedded { data, .. } = &mut config.store {
            *data = disk;
        }
    })
    .await
}

fn names(folder: &Path) -> Vec<String> {
    let names =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.starts_with(".tmp") || name.contains(".part-")).collect()
}

#[tokio::test]
async fn a_full_disk_is_told_by_the_store_and_leaves_nothing() {
    let Some(disk) = small_disk("a_full_disk_is_told_by_the_store_and_leaves_nothing", 8) else { return };
    let stand = stand_on(disk.path()).await;
    let size = 20 * MIB;
    let upload = stand.create(file("a.bin", size)).await;
    let plan = plan(&upload, size);
    let grants = stand.sign(id(&upload), &[(1, plan.part_len(1)), (2, plan.part_len(2))]).await.parts;
    assert!(stand.put(&grants[0], bytes(plan.part_len(1))).await.status().is_success());
    for _ in 0..3 {
        let answer = stand.put(&grants[1], bytes(plan.part_len(2))).await;
        assert_eq!(answer.status(), 507);
        assert_eq!(answer.headers()["access-control-allow-origin"], "*");
        let body = answer.text().await.unwrap();
        assert_eq!(Provider::S3.error_code(&body), Some("InsufficientStorage"), "{body}");
    }
    assert_eq!(names(disk.path()).len(), 2, "only part 1 and the note about it: {:?}", names(disk.path()));

    let single = stand.create(file("b.bin", 4 * MIB)).await;
    assert_eq!(stand.put(&single.parts[0], bytes(4 * MIB)).await.status(), 507);

    assert_eq!(stand.abort(id(&upload)).await, 200);
    assert_eq!(names(disk.path()), [""; 0]);
    assert!(stand.put(&single.parts[0], bytes(4 * MIB)).await.status().is_success());
    stand.running.shutdown().await;
}

#[tokio::test]
async fn a_disk_too_small_for_joining_keeps_the_parts() {
    let Some(disk) = small_disk("a_disk_too_small_for_joining_keeps_the_parts", 16) else { return };
    let stand = stand_on(disk.path()).await;
    let fill = disk.path().join("fill");
    std::fs::write(&fill, bytes(5 * MIB)).unwrap();
    let size = 6 * MIB;
    let upload = stand.create(file("a.bin", size)).await;
    let etags = stand.put_parts(id(&upload), &plan(&upload, size), &bytes(size)).await;
    let problem = stand.complete(id(&upload), size, &tagged(&etags)).await.problem.unwrap();
    assert_eq!((problem.status, problem.code.as_str()), (507, "store-full"), "{problem:?}");
    assert_eq!(names(disk.path()).len(), 4, "{:?}", names(disk.path()));
    // Room is made, and the same upload comes to its end.
    std::fs::remove_file(fill).unwrap();
    assert_eq!(stand.complete(id(&upload), size, &tagged(&etags)).await.size, Some(size));
    stand.running.shutdown().await;
}

#[tokio::test]
async fn a_disk_without_room_for_anything_is_full_from_the_start() {
    let Some(disk) = small_disk("a_disk_without_room_for_anything_is_full_from_the_start", 1) else { return };
    let stand = stand_on(disk.path()).await;
    let fill = disk.path().join("fill");
    // Until nothing more goes in.
    let _ = std::fs::write(&fill, bytes(2 * MIB));
    let problem = stand.create(file("a.bin", 20 * MIB)).await.problem.unwrap();
    assert_eq!((problem.status, problem.code.as_str()), (507, "store-full"), "{problem:?}");
    std::fs::remove_file(fill).unwrap();
    assert!(stand.create(file("a.bin", 20 * MIB)).await.problem.is_none());
    stand.running.shutdown().await;
}
