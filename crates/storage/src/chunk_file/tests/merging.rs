//! A merge is the union of its inputs, the earliest input's sample where two are at one time.

use super::*;
use crate::chunk_file::Merge;

/// The union, first model first.
fn union(models: &[Model]) -> Model {
    let mut all: BTreeMap<u32, BTreeMap<i64, (usize, usize)>> = BTreeMap::new();
    for (m, model) in models.iter().enumerate() {
        for (series, samples) in model {
            for (i, &timestamp) in samples.timestamps.iter().enumerate() {
                all.entry(*series).or_default().entry(timestamp).or_insert((m, i));
            }
        }
    }
    let joined = |(series, samples): (u32, BTreeMap<i64, (usize, usize)>)| {
        let mut out = Samples::default();
        for (timestamp, (m, i)) in samples {
            let from = &models[m][&series];
            match from.histograms.iter().find(|(at, _)| *at == i) {
                Some((_, histogram)) => out.push_histogram(timestamp, histogram.clone()),
                None => out.push(timestamp, from.values[i]),
            }
            out.start_timestamps.push(from.start_timestamps.get(i).copied().unwrap_or(0));
        }
        (series, out)
    };
    all.into_iter().map(joined).collect()
}

fn merged(disk: &Simulated, inputs: &[&ChunkFile]) -> ChunkFile {
    let mut writer = ChunkFileWriter::create(disk, dir(), FileMeta::new(1, 7)).unwrap();
    let mut merge = Merge::new(inputs, &|_, _, _| ());
    let mut samples = Samples::default();
    while let Some((series, found)) = merge.next(&mut samples).unwrap() {
        assert_eq!(found, labels(series));
        writer.add(series, &found, &samples).unwrap();
    }
    ChunkFile::open(disk, &path(&writer.finish().unwrap())).unwrap()
}

/// Few references and short histories, so that the inputs overlap in every way.
fn overlapping() -> impl Strategy<Value = Vec<Model>> {
    let model = prop::collection::btree_map(0u32..12, samples(40), 0..10)
        .prop_map(|model| model.into_iter().filter(|(_, s)| !s.is_empty()).collect::<Model>());
    prop::collection::vec(model, 0..5)
}

proptest! {
    #[test]
    fn a_merge_is_the_union(models in overlapping()) {
        let disk = disk();
        let files: Vec<ChunkFile> = models.iter().map(|model| written(&disk, model)).collect();
        let merged = merged(&disk, &files.iter().collect::<Vec<_>>());
        let expected = union(&models);
        prop_assert_eq!(merged.series(), expected.len() as u64);
        for (series, samples) in &expected {
            prop_assert_eq!(text(&read(&merged, *series, TimeRange::ALL)), text(samples));
        }
        prop_assert_eq!(merged.verify(10).unwrap(), []);
    }
}

#[test]
fn consecutive_files_join_in_the_order_of_the_first() {
    let disk = disk();
    let part = |from: usize, to: usize, series: std::ops::Range<u32>| -> Model {
        let cut = |series| {
            let all = regular(series, 3000);
            let range = TimeRange::new(all.timestamps[from], all.timestamps[to - 1]);
            (series, inside(&all, range))
        };
        series.map(cut).collect()
    };
    let models = [part(0, 1000, 0..300), part(1000, 3000, 100..400)];
    let files = models.each_ref().map(|model| written(&disk, model));
    let merged = merged(&disk, &[&files[0], &files[1]]);
    let mut order = Vec::new();
    let visit = |series, _: &Labels| {
        order.push(series);
        std::ops::ControlFlow::Continue(())
    };
    merged.for_each_series(visit).unwrap();
    let mut expected: Vec<u32> = (0..300).collect();
    expected.sort_by_key(|series| series.reverse_bits());
    assert_eq!(order[..300], expected);
    assert_eq!(order.len(), 400);
    assert_eq!(text(&read(&merged, 200, TimeRange::ALL)), text(&regular(200, 3000)));
}

/// One with a sample each millisecond has a gigabyte a day.
#[test]
fn a_long_series_is_merged_in_parts() {
    let disk = disk();
    let of = |times: &mut dyn Iterator<Item = i64>, value: f64| {
        let mut samples = Samples::default();
        times.for_each(|time| samples.push(time, value));
        Model::from([(3, samples)])
    };
    let models = [
        of(&mut (0..300_000).map(|i| 2 * i), 1.0),
        of(&mut (0..1000).map(|i| 301 * i), 2.0),
        of(&mut (100_000..400_000).chain([2_000_000]), 3.0),
    ];
    let files: Vec<ChunkFile> = models.iter().map(|model| written(&disk, model)).collect();
    let inputs: Vec<&ChunkFile> = files.iter().collect();
    let mut merge = Merge::new(&inputs, &|_, _, _| ());
    let (mut part, mut parts) = (Samples::default(), 0);
    while merge.next(&mut part).unwrap().is_some() {
        assert!(part.len() <= 3 * 8 * 8192, "{}", part.len());
        parts += 1;
    }
    assert!(parts > 4, "{parts}");
    let merged = merged(&disk, &inputs);
    let expected = &union(&models)[&3];
    let found = read(&merged, 3, TimeRange::ALL);
    assert_eq!((merged.series(), merged.samples()), (1, expected.len() as u64));
    assert!(found.timestamps == expected.timestamps && found.values == expected.values);
}
