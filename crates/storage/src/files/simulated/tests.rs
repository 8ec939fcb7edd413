use super::*;

fn disk_with(path: &Path, synced: &[u8]) -> (Simulated, Arc<dyn File>) {
    let disk = Simulated::new();
    let dir = path.parent().unwrap();
    disk.create_dir(dir).unwrap();
    let file = disk.create(path).unwrap();
    file.write_all_at(synced, 0).unwrap();
    file.sync_data().unwrap();
    disk.sync_dir(dir).unwrap();
    (disk, file)
}

#[test]
fn a_crash_keeps_what_was_synced_and_any_part_of_the_rest() {
    let path = Path::new("d/f");
    let (mut all, mut none, mut part) = (0, 0, 0);
    for seed in 0..200 {
        let (disk, file) = disk_with(path, &[1; 1024]);
        file.write_all_at(&[2; 1024], 1024).unwrap();
        disk.crash(seed);
        let left = disk.content(path).unwrap();
        assert_eq!(&left[..1024], &[1; 1024]);
        match left[1024..].iter().filter(|byte| **byte == 2).count() {
            0 => none += 1,
            1024 => all += 1,
            _ => part += 1,
        }
        assert!(file.len().is_err(), "a handle does not outlive the crash");
    }
    assert!(all > 0 && none > 0 && part > 0, "{all} {none} {part}");
}

#[test]
fn an_unsynced_name_is_kept_or_lost_and_a_synced_one_is_kept() {
    let (mut kept, mut lost) = (0, 0);
    for seed in 0..50 {
        let (disk, _) = disk_with(Path::new("d/f"), b"x");
        disk.create(Path::new("d/g")).unwrap();
        disk.rename(Path::new("d/f"), Path::new("d/h")).unwrap();
        disk.crash(seed);
        let names = disk.list(Path::new("d")).unwrap();
        assert_ne!(names.contains(&"f".into()), names.contains(&"h".into()), "{names:?}");
        if names.contains(&"g".into()) { kept += 1 } else { lost += 1 }
    }
    assert!(kept > 0 && lost > 0);
}

#[test]
fn a_second_sync_does_not_make_good_a_failed_one() {
    let path = Path::new("d/f");
    let survives = |seed| {
        let (disk, file) = disk_with(path, &[1; 512]);
        file.write_all_at(&[2; 512], 0).unwrap();
        disk.fail(Operation::Sync, 0, 1, io::ErrorKind::Other);
        assert!(file.sync_data().is_err());
        file.sync_data().unwrap();
        assert_eq!(disk.content(path).unwrap(), [2; 512]);
        disk.crash(seed);
        disk.content(path).unwrap() == [2; 512]
    };
    assert!((0..50).any(|seed| !survives(seed)));
}

#[test]
fn failures_come_at_the_planned_operation_and_a_full_disk_refuses_growth() {
    let (disk, file) = disk_with(Path::new("d/f"), &[1; 10]);
    disk.fail(Operation::Write, 1, 1, io::ErrorKind::StorageFull);
    file.write_all_at(&[2; 4], 0).unwrap();
    assert_eq!(file.write_all_at(&[3; 4], 0).unwrap_err().kind(), io::ErrorKind::StorageFull);
    assert_eq!(&disk.content(Path::new("d/f")).unwrap()[..5], &[3, 3, 2, 2, 1]);
    file.write_all_at(&[4; 4], 0).unwrap();
    assert_eq!(disk.count(Operation::Write), 4);
    disk.set_capacity(Some(12));
    assert_eq!(file.allocate(13).unwrap_err().kind(), io::ErrorKind::StorageFull);
    file.allocate(12).unwrap();
    disk.cut_power_after(1);
    file.write_all_at(&[5; 4], 0).unwrap();
    assert!(file.sync_data().is_err() && file.sync_data().is_err());
}
