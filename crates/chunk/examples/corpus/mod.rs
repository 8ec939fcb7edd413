//! Synthetic targets from a recorded node_exporter: each walks over the recording by itself, so
//! that counters stay counters and gauges keep their decimals. Deterministic.

use std::collections::HashMap;

/// How one recorded series is varied.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Constant,
    Counter,
    Gauge,
    /// Replayed as recorded: its digits have no common scale.
    Raw,
    /// `node_time_seconds`
    Clock,
}

/// A recorded series: value = integer · quantum / 10^decimals.
pub struct Template {
    pub name: String,
    pub labels: Vec<(String, String)>,
    kind: Kind,
    decimals: i32,
    quantum: i64,
    integers: Vec<i64>,
    raw: Vec<f64>,
    noise: f64,
    /// Flags and small numbers are the same on every target.
    fixed: bool,
    never_negative: bool,
}

pub struct Corpus {
    pub templates: Vec<Template>,
    scrapes: usize,
}

impl Corpus {
    /// Reads scrapes in the text format, each after a line `#@SCRAPE <ms> <seconds>`.
    pub fn parse(text: &str) -> Self {
        let mut types = HashMap::new();
        let mut recording = Recording::default();
        for line in text.lines() {
            if let Some(scrape) = line.strip_prefix("#@SCRAPE ") {
                recording.scrapes += 1;
                let seconds: f64 = scrape.split(' ').nth(1).unwrap().parse().unwrap();
                recording.push("up", "1");
                recording.push("scrape_duration_seconds", &format!("{seconds}"));
                recording.push("scrape_samples_scraped", "695");
                recording.push("scrape_samples_post_metric_relabeling", "695");
                recording.push("scrape_series_added", "0");
            } else if let Some((name, kind)) =
                line.strip_prefix("# TYPE ").and_then(|rest| rest.split_once(' '))
            {
                types.insert(name.to_owned(), kind.to_owned());
            } else if !line.starts_with('#')
                && let Some((series, value)) = line.rsplit_once(' ')
            {
                recording.push(series, value);
            }
        }
        types.insert("scrape_duration_seconds".into(), "gauge".into());
        let scrapes = recording.scrapes;
        let template = |(key, mut texts): (String, Vec<String>)| {
            let last = texts.last().unwrap().clone();
            texts.resize(scrapes, last);
            Template::new(&key, &texts, &types)
        };
        Self { templates: recording.series.into_iter().map(template).collect(), scrapes }
    }
}

#[derive(Default)]
struct Recording {
    scrapes: usize,
    position: HashMap<String, usize>,
    series: Vec<(String, Vec<String>)>,
}

impl Recording {
    /// One value per scrape; scrapes that lack the series repeat the value before.
    fn push(&mut self, key: &str, value: &str) {
        let at = *self.position.entry(key.to_owned()).or_insert_with(|| {
            self.series.push((key.to_owned(), Vec::new()));
            self.series.len() - 1
        });
        let texts = &mut self.series[at].1;
        if texts.len() < self.scrapes {
            let last = texts.last().cloned().unwrap_or_else(|| value.to_owned());
            texts.resize(self.scrapes - 1, last);
            texts.push(value.to_owned());
        }
    }
}

impl Template {
    fn new(key: &str, texts: &[String], types: &HashMap<String, String>) -> Self {
        let (name, labels) = key.split_once('{').unwrap_or((key, "}"));
        let raw: Vec<f64> = texts.iter().map(|text| text.parse().unwrap()).collect();
        let mut template = Self {
            name: name.to_owned(),
            labels: parse_labels(labels),
            kind: Kind::Raw,
            decimals: 0,
            quantum: 1,
            integers: Vec::new(),
            fixed: raw.iter().all(|x| x.to_bits() == raw[0].to_bits()),
            raw,
            noise: 0.0,
            never_negative: true,
        };
        if name == "node_time_seconds" {
            template.kind = Kind::Clock;
        } else if let Some((integers, decimals)) = common_scale(texts) {
            template.decimals = decimals;
            template.never_negative = integers.iter().all(|&x| x >= 0);
            match integers.iter().all(|&x| x == integers[0]) {
                true => template.constant(integers[0]),
                false => template.varying(&integers, kind_of(name, types)),
            }
        }
        template
    }

    fn constant(&mut self, x: i64) {
        self.kind = Kind::Constant;
        self.fixed = x.abs() <= 16 || self.name.ends_with("_info");
        self.quantum = match x {
            _ if self.fixed => x.max(1),
            x if x % 4096 == 0 => 4096,
            x if x % 1024 == 0 => 1024,
            _ => 1,
        };
        self.integers = vec![x / self.quantum];
    }

    fn varying(&mut self, integers: &[i64], kind: &str) {
        let monotone = integers.windows(2).all(|pair| pair[1] >= pair[0]);
        let counter = kind == "counter" || (kind != "gauge" && monotone);
        let divisor = integers.iter().fold(0, |a, &b| greatest_common(a, b.unsigned_abs())).max(1);
        self.quantum = divisor as i64;
        self.integers = integers.iter().map(|x| x / self.quantum).collect();
        self.kind = if counter { Kind::Counter } else { Kind::Gauge };
        if !counter {
            let x = &self.integers;
            let span = x.iter().max().unwrap() - x.iter().min().unwrap();
            let mut steps: Vec<i64> = x.iter().zip(&x[15..]).map(|(a, b)| (b - a).abs()).collect();
            steps.sort_unstable();
            let median = steps[steps.len().div_ceil(2) - 1] as f64;
            self.noise = if span > 50 { median * 0.3 } else { 0.0 };
            self.fixed = span <= 50;
        }
    }

    fn value(&self, integer: i64) -> f64 {
        let x = (integer * self.quantum) as f64;
        if self.decimals == 0 { x } else { x / 10f64.powi(self.decimals) }
    }
}

fn kind_of<'a>(name: &str, types: &'a HashMap<String, String>) -> &'a str {
    let part = ["_sum", "_count", "_bucket"].iter().find_map(|s| name.strip_suffix(s));
    match (types.get(name), part.and_then(|base| types.get(base))) {
        (Some(kind), _) => kind,
        (None, Some(kind)) if kind == "summary" || kind == "histogram" => "counter",
        _ => "untyped",
    }
}

/// All texts as integers with the same number of decimals, if they fit a double exactly.
fn common_scale(texts: &[String]) -> Option<(Vec<i64>, i32)> {
    let parsed: Vec<(i128, i32)> = texts.iter().map(|t| decimal(t)).collect::<Option<_>>()?;
    let decimals = parsed.iter().map(|x| x.1).max()?;
    let scale = |&(digits, d): &(i128, i32)| {
        let x = digits.checked_mul(10i128.checked_pow((decimals - d) as u32)?)?;
        (x.unsigned_abs() < 1 << 53).then_some(x as i64)
    };
    let integers = parsed.iter().map(scale).collect::<Option<_>>()?;
    (decimals <= 18).then_some((integers, decimals))
}

/// The digits and the number of decimals of a number's text.
fn decimal(text: &str) -> Option<(i128, i32)> {
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let negative = mantissa.starts_with('-');
    let mantissa = mantissa.trim_start_matches(['-', '+']);
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let mut digits: i128 = format!("{whole}{fraction}").parse().ok()?;
    let mut decimals = fraction.len() as i32 - exponent.parse::<i32>().ok()?;
    while decimals > 0 && digits % 10 == 0 && digits != 0 {
        (digits, decimals) = (digits / 10, decimals - 1);
    }
    while decimals < 0 {
        (digits, decimals) = (digits.checked_mul(10)?, decimals + 1);
    }
    Some(if digits == 0 { (0, 0) } else { (if negative { -digits } else { digits }, decimals) })
}

fn greatest_common(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { greatest_common(b, a % b) }
}

fn parse_labels(text: &str) -> Vec<(String, String)> {
    let mut labels = Vec::new();
    let mut rest = text;
    while let Some((name, value)) = rest.split_once("=\"") {
        let mut out = String::new();
        let mut characters = value.char_indices();
        while let Some((at, character)) = characters.next() {
            match character {
                '\\' => match characters.next() {
                    Some((_, 'n')) => out.push('\n'),
                    Some((_, other)) => out.push(other),
                    None => break,
                },
                '"' => {
                    rest = value[at + 1..].trim_start_matches(',');
                    break;
                }
                other => out.push(other),
            }
        }
        labels.push((name.to_owned(), out));
    }
    labels
}

/// One synthetic target.
pub struct Target {
    pub instance: String,
    pub dc: String,
    phase: i64,
    random: Random,
    position: i64,
    direction: i64,
    state: Vec<i64>,
    gain: Vec<f32>,
    clock_offset: f64,
}

impl Target {
    pub fn new(corpus: &Corpus, id: usize, seed: u64, interval_ms: i64) -> Self {
        let mut random = Random(mix(seed ^ (id as u64).wrapping_mul(0xD134_2543_DE82_EF95)));
        let uptime = (random.unit() * 2000f64.ln()).exp();
        let load = ((random.unit() - 0.5) * 2.0 * 4f64.ln()).exp();
        let size = [0.5, 1.0, 1.0, 2.0, 4.0, 8.0][(random.next() % 6) as usize];
        let (mut state, mut gain) = (Vec::new(), Vec::new());
        for template in &corpus.templates {
            let r = random.unit();
            let first = template.integers.first().copied().unwrap_or(0);
            let (at, factor) = match template.kind {
                Kind::Counter => {
                    let at = (first as f64 * uptime * (0.5 + r)) as i64;
                    (at, load * (0.6 + 0.8 * random.unit()))
                }
                Kind::Constant if template.fixed => (first, 1.0),
                Kind::Constant => (((first as f64) * size * (0.97 + 0.06 * r)).round() as i64, 1.0),
                Kind::Gauge if template.fixed => (0, 1.0),
                Kind::Gauge => (0, size * (0.8 + 0.4 * r)),
                Kind::Raw | Kind::Clock => (0, 1.0),
            };
            state.push(at);
            gain.push(factor as f32);
        }
        let phase = (random.next() % interval_ms as u64) as i64;
        let position = (random.next() % corpus.scrapes as u64) as i64;
        let clock_offset = random.unit() * 0.01;
        let direction = if random.next() & 1 == 0 { 1 } else { -1 };
        let dc = format!("dc{}", id % 4 + 1);
        let instance = format!("node-{id:04}.{dc}.example.net:9100");
        Self { instance, dc, phase, random, position, direction, state, gain, clock_offset }
    }

    /// Moves on by one scrape; returns its timestamp and fills one value per template.
    pub fn scrape(&mut self, corpus: &Corpus, base_ms: i64, values: &mut Vec<f64>) -> i64 {
        let before = self.position;
        self.walk(corpus.scrapes as i64);
        let (from, to) = (before.min(self.position) as usize, before.max(self.position) as usize);
        let pace = 15.0 / (to - from).max(1) as f64;
        // Two scrapes in a hundred are up to 20 ms late.
        let r = self.random.next();
        let late = if r.is_multiple_of(50) { ((r >> 32) % 20 + 1) as i64 } else { 0 };
        let timestamp = base_ms + self.phase + late;
        values.clear();
        for (i, template) in corpus.templates.iter().enumerate() {
            let gain = self.gain[i] as f64;
            values.push(match template.kind {
                Kind::Constant => template.value(self.state[i]),
                Kind::Counter => {
                    let increment = (template.integers[to] - template.integers[from]) as f64;
                    if increment > 0.0 {
                        self.state[i] += (increment * gain * pace + self.random.unit()) as i64;
                    }
                    template.value(self.state[i])
                }
                Kind::Gauge => template.value(self.gauge(template, gain)),
                Kind::Raw if template.fixed => template.raw[0],
                Kind::Raw => template.raw[self.position as usize],
                Kind::Clock => {
                    let ticks = (timestamp as f64 / 1000.0 + self.clock_offset) * 1e7;
                    (ticks + (self.random.next() % 100_000) as f64).round() / 1e7
                }
            });
        }
        timestamp
    }

    fn walk(&mut self, scrapes: i64) {
        let distance = 15 + (self.random.next() % 7) as i64 - 3;
        let mut to = self.position + self.direction * distance;
        if to >= scrapes {
            self.direction = -1;
            to = scrapes - 1 - (to - scrapes);
        } else if to < 0 {
            self.direction = 1;
            to = -to;
        }
        self.position = to.clamp(0, scrapes - 1);
    }

    fn gauge(&mut self, template: &Template, gain: f64) -> i64 {
        let mut x = template.integers[self.position as usize] as f64;
        if !template.fixed {
            x *= gain;
            if template.noise > 0.0 {
                let bell = self.random.unit() + self.random.unit() + self.random.unit() - 1.5;
                x += bell * 2.0 * template.noise * gain;
            }
            if template.never_negative {
                x = x.max(0.0);
            }
        }
        x.round() as i64
    }
}

struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        mix(self.0)
    }

    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1u64 << 53) as f64
    }
}

fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}
