//! What goes in comes out.

use std::path::Path;

use metricstor_model::{Labels, Samples, TimeRange};

use crate::chunk_file::{ChunkFile, ChunkFileWriter, FileMeta, FileSummary, Scratch};
use crate::files::Simulated;

#[test]
fn smoke() {
    let disk = Simulated::new();
    let dir = Path::new("/c");
    use crate::files::Files;
    disk.create_dir(dir).unwrap();
    let mut w = ChunkFileWriter::create(&disk, dir, FileMeta::new(0, 7)).unwrap();
    let mut all = vec![];
    for s in (0..1000u32).rev() {
        let mut x = Samples::default();
        for i in 0..(s as i64 % 7) * 20 {
            x.push(1000 + i * 15000, (i * s as i64) as f64 / 10.0);
        }
        let l =
            Labels::from_pairs([("__name__", "up".to_string()), ("i", format!("{s}"))]).unwrap();
        w.add(s * 3, &l, &x).unwrap();
        all.push((s * 3, x));
    }
    let sum: FileSummary = w.finish().unwrap();
    let f = ChunkFile::open(&disk, &dir.join(&sum.name)).unwrap();
    let mut scratch = Scratch::default();
    for (s, x) in &all {
        let mut out = Samples::default();
        f.read(*s, TimeRange::ALL, &mut out, &mut scratch).unwrap();
        assert_eq!(out.timestamps, x.timestamps);
        assert_eq!(out.values, x.values);
    }
    assert_eq!(f.verify(100).unwrap(), []);
    println!("{:?}", f.describe());
}
