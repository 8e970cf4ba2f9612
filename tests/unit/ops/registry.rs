//! Tests of `src/ops/registry.rs`.

use super::*;

fn event(kind: EventKind, version: &Version) -> Event {
    Event { kind, version: version.name.clone(), at: String::new(), reason: String::new(), data_end: String::new() }
}

#[test]
fn versions_are_immutable_and_the_champion_follows_the_events() {
    let dir = tempfile::tempdir().unwrap();
    let r = Registry::open(dir.path());
    assert_eq!(r.champion().unwrap(), None);
    let a = r.publish(&[("model.bin", b"a")]).unwrap();
    assert_eq!(a, r.publish(&[("model.bin", b"a")]).unwrap());
    r.record(&event(EventKind::Promoted, &a)).unwrap();
    assert_eq!(a, r.publish(&[("model.bin", b"a")]).unwrap());
    let b = r.publish(&[("model.bin", b"b")]).unwrap();
    assert_eq!(r.manifest(&b.name).unwrap().parent.as_deref(), Some(a.name.as_str()));
    r.record(&event(EventKind::Refused, &b)).unwrap();
    assert_eq!(r.champion().unwrap(), Some(a.clone()));
    r.record(&event(EventKind::Promoted, &b)).unwrap();
    assert_eq!(r.champion().unwrap(), Some(b));
    assert_eq!(r.rollback("now", "test").unwrap(), a);
    assert_eq!(r.champion().unwrap(), Some(a));
}

#[test]
fn a_second_rollback_returns_to_the_version_before() {
    let dir = tempfile::tempdir().unwrap();
    let r = Registry::open(dir.path());
    let publish = |bytes: &[u8]| r.publish(&[("model.bin", bytes)]).unwrap();
    let made: Vec<Version> = [b"a", b"b", b"c"]
        .iter()
        .map(|bytes| {
            let v = publish(*bytes);
            r.record(&event(EventKind::Promoted, &v)).unwrap();
            v
        })
        .collect();
    assert_eq!(r.rollback("now", "test").unwrap(), made[1]);
    r.record(&event(EventKind::Refused, &made[2])).unwrap();
    assert_eq!(r.rollback("now", "test").unwrap(), made[0]);
    assert_eq!(r.champion().unwrap().as_ref(), Some(&made[0]));
    assert_eq!(r.rollback("now", "test").unwrap_err().exit_code(), 2);
    // after a new promotion, the list of champions contains the replaced version followed by the new one
    let d = publish(b"d");
    r.record(&event(EventKind::Promoted, &d)).unwrap();
    assert_eq!(r.champions().unwrap(), [made[0].clone(), d]);
    assert_eq!(r.rollback("now", "test").unwrap(), made[0]);
}

#[test]
fn the_lock_removes_temporary_files_of_killed_processes() {
    let dir = tempfile::tempdir().unwrap();
    let r = Registry::open(dir.path());
    let a = r.publish(&[("model.bin", b"a")]).unwrap();
    r.record(&event(EventKind::Promoted, &a)).unwrap();
    let staging = dir.path().join(temporary_name("0123"));
    fs::create_dir(&staging).unwrap();
    fs::write(staging.join("model.bin"), b"half").unwrap();
    fs::write(dir.path().join("events").join(temporary_name("00000002")), b"{").unwrap();
    let _lock = r.lock("test").unwrap();
    assert!(!staging.exists());
    assert_eq!(names_in(&dir.path().join("events")).unwrap(), ["00000001.json"]);
    assert_eq!(r.champion().unwrap(), Some(a));
}

#[test]
fn every_flipped_bit_is_found_and_rollback_skips_damaged_versions() {
    let dir = tempfile::tempdir().unwrap();
    let r = Registry::open(dir.path());
    let made: Vec<Version> = [b"one".as_slice(), b"two", b"three"]
        .iter()
        .map(|bytes| {
            let v = r.publish(&[("model.bin", bytes)]).unwrap();
            r.record(&event(EventKind::Promoted, &v)).unwrap();
            v
        })
        .collect();
    for file in ["model.bin", MANIFEST] {
        let path = made[1].path.join(file);
        let whole = fs::read(&path).unwrap();
        for i in 0..whole.len() {
            let mut bytes = whole.clone();
            bytes[i] ^= 1;
            fs::write(&path, &bytes).unwrap();
            assert!(r.check(&made[1].name).is_err(), "{file} byte {i}");
        }
        fs::write(&path, &whole).unwrap();
    }
    assert!(r.check(&made[1].name).is_ok());
    fs::write(made[1].path.join("model.bin"), b"bad").unwrap();
    assert_eq!(r.rollback("now", "test").unwrap(), made[0]);
}
