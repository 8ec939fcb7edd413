//! `node.json`: what must never change in a data directory. Written whole or not at all, before
//! anything else exists there.

use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::error::StorageError;

/// The version of the directory's layout; another one is refused.
const FORMAT_VERSION: u32 = 2;
/// More would be as many open files and databases.
const SHARDS_MAX: u16 = 4096;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Node {
    format_version: u32,
    pub shards: u16,
    /// Whose log this is: a log from another directory is refused.
    #[serde(with = "hex")]
    pub id: u128,
    /// CRC32C of the above, for a wrong digit would misplace series.
    check: u32,
}

impl Node {
    fn new(shards: u16, id: u128) -> Self {
        let shards = shards.clamp(1, SHARDS_MAX);
        Self { format_version: FORMAT_VERSION, shards, id, check: check(shards, id) }
    }
}

fn check(shards: u16, id: u128) -> u32 {
    let version = crc32c::crc32c(&FORMAT_VERSION.to_le_bytes());
    let shards = crc32c::crc32c_append(version, &shards.to_le_bytes());
    crc32c::crc32c_append(shards, &id.to_le_bytes())
}

/// Reads the file, or writes it for a new directory.
pub(super) fn read_or_create(dir: &Path, shards: u16, id: u128) -> Result<Node, StorageError> {
    let path = dir.join("node.json");
    let text = match std::fs::read(&path) {
        Ok(text) => text,
        Err(e) if e.kind() == std::io::ErrorKind::NotFound => {
            let node = Node::new(shards, id);
            write(&path, &node).map_err(|e| StorageError::io("write", &path, e))?;
            return Ok(node);
        }
        Err(e) => return Err(StorageError::io("read", &path, e)),
    };
    parse(&text).map_err(|reason| StorageError::Format { path, reason })
}

fn parse(text: &[u8]) -> Result<Node, String> {
    let repair = "restore the file from a copy";
    // The version first: another one may have other fields.
    let tree: serde_json::Value =
        serde_json::from_slice(text).map_err(|e| format!("{e}; {repair}"))?;
    let found = tree.get("format_version").and_then(serde_json::Value::as_u64);
    if found.is_some_and(|found| found != u64::from(FORMAT_VERSION)) {
        let found = found.unwrap_or_default();
        return Err(format!("format version {found}, this program reads {FORMAT_VERSION}"));
    }
    let node: Node = serde_json::from_value(tree).map_err(|e| format!("{e}; {repair}"))?;
    if (1..=SHARDS_MAX).contains(&node.shards) && node.check == check(node.shards, node.id) {
        Ok(node)
    } else {
        Err(format!("it is not as written; {repair}"))
    }
}

fn write(path: &Path, node: &Node) -> std::io::Result<()> {
    let temporary = path.with_extension("tmp");
    std::fs::write(&temporary, serde_json::to_vec(node)?)?;
    std::fs::File::open(&temporary)?.sync_all()?;
    std::fs::rename(&temporary, path)?;
    std::fs::File::open(path.parent().unwrap_or(Path::new(".")))?.sync_all()
}

/// 128 bits as text: JSON's numbers cannot hold them.
mod hex {
    use serde::{Deserialize, Deserializer, Serializer, de};

    pub fn serialize<S: Serializer>(id: &u128, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&format!("{id:032x}"))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u128, D::Error> {
        let text = String::deserialize(deserializer)?;
        u128::from_str_radix(&text, 16).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_keeps_what_it_was_made_with() {
        let dir = tempfile::tempdir().unwrap();
        let made = read_or_create(dir.path(), 3, 7 << 100).unwrap();
        let read = read_or_create(dir.path(), 5, 9).unwrap();
        assert_eq!((read.shards, read.id), (3, 7 << 100));
        assert_eq!((made.shards, made.id), (3, 7 << 100));
    }

    #[test]
    fn another_version_and_nonsense_are_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("node.json");
        for (text, said) in [
            ("{\"format_version\":9,\"new\":1}", "format version 9"),
            ("{\"format_version\":2,\"shards\":3,\"id\":\"0\",\"check\":7}", "not as written"),
            ("{\"format_version\":2,\"shards\":4}", "restore the file"),
            ("", "restore the file"),
        ] {
            std::fs::write(&path, text).unwrap();
            let error = read_or_create(dir.path(), 4, 1).err().unwrap().to_string();
            assert!(error.contains(said) && error.contains("node.json"), "{error}");
        }
    }
}
