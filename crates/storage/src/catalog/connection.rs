//! Opening the database: settings, version, damage.

use std::path::Path;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, TransactionBehavior};

use super::{Catalog, CatalogError, schema, sqlite_error, write};

/// Page cache in KiB; negative as SQLite wants it. Flushes touch pages in order: little is needed.
const CACHE_KIB: i32 = -2048;

/// What is shorter passes for an empty database.
const SMALLEST_PAGE: u64 = 512;

impl Catalog {
    /// Is there nothing to open at this path, so that a new catalog would be created?
    pub fn is_absent(path: &Path) -> bool {
        path.metadata().map_or(true, |file| file.len() < SMALLEST_PAGE)
    }

    /// Opens or creates the catalog of a shard and checks that it is whole.
    pub fn open(path: &Path, shard: u32) -> Result<Self, CatalogError> {
        if let Some(dir) = path.parent() {
            std::fs::create_dir_all(dir).map_err(|source| CatalogError::Io {
                action: "create",
                path: dir.to_owned(),
                source,
            })?;
        }
        let unclean = path.with_extension("db-wal").metadata().is_ok_and(|wal| wal.len() > 0);
        let connection = Connection::open(path).map_err(|e| sqlite_error(path, e))?;
        Self::ready(connection, path, shard, unclean)
    }

    fn ready(
        connection: Connection,
        path: &Path,
        shard: u32,
        unclean: bool,
    ) -> Result<Self, CatalogError> {
        let mut catalog = Self { connection, path: path.to_owned() };
        catalog.configure().map_err(|e| catalog.error(e))?;
        if unclean {
            catalog.quick_check()?;
        }
        let version: u32 = catalog.pragma("user_version")?;
        let application: i32 = catalog.pragma("application_id")?;
        match (version, application) {
            (0, 0) => catalog.create(shard).map_err(|e| catalog.error(e))?,
            (schema::VERSION, schema::APPLICATION_ID) => catalog.check_schema()?,
            (found, schema::APPLICATION_ID) => {
                let (path, expected) = (catalog.path, schema::VERSION);
                return Err(CatalogError::Version { path, found, expected });
            }
            _ => return Err(catalog.damaged("it is another program's database")),
        }
        match catalog.position("shard")? {
            Some(found) if found == i64::from(shard) => Ok(catalog),
            found => {
                let found = found.and_then(|found| u32::try_from(found).ok()).unwrap_or(u32::MAX);
                Err(CatalogError::OtherShard { path: catalog.path, found, expected: shard })
            }
        }
    }

    fn configure(&self) -> rusqlite::Result<()> {
        let c = &self.connection;
        c.pragma_update(None, "page_size", 8192)?;
        c.pragma_update(None, "journal_mode", "WAL")?;
        // A publication is the proof that lets the log be shortened: it must be on the disk.
        c.pragma_update(None, "synchronous", "FULL")?;
        c.pragma_update(None, "cache_size", CACHE_KIB)?;
        c.pragma_update(None, "temp_store", "MEMORY")?;
        c.pragma_update(None, "trusted_schema", false)?;
        c.pragma_update(None, "cell_size_check", true)?;
        c.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
        Ok(())
    }

    fn create(&mut self, shard: u32) -> rusqlite::Result<()> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(schema::CREATE)?;
        write::set_position(&transaction, "shard", i64::from(shard))?;
        for name in schema::POSITIONS {
            write::set_position(&transaction, name, 0)?;
        }
        transaction.pragma_update(None, "application_id", schema::APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", schema::VERSION)?;
        transaction.commit()
    }

    /// A bit flipped in the description of a table must not change its meaning.
    fn check_schema(&self) -> Result<(), CatalogError> {
        let read = |c: &Connection| -> rusqlite::Result<String> {
            c.query_row(schema::SELECT_SCHEMA, [], |row| row.get(0))
        };
        let created = Connection::open_in_memory().and_then(|fresh| {
            fresh.execute_batch(schema::CREATE)?;
            read(&fresh)
        });
        let expected = created.map_err(|e| self.error(e))?;
        let found = read(&self.connection).map_err(|e| self.error(e))?;
        if found == expected { Ok(()) } else { Err(self.damaged("its tables are not as created")) }
    }

    fn pragma<T: rusqlite::types::FromSql>(&self, name: &str) -> Result<T, CatalogError> {
        self.connection.pragma_query_value(None, name, |row| row.get(0)).map_err(|e| self.error(e))
    }

    /// After an unclean end: are the pages consistent?
    fn quick_check(&self) -> Result<(), CatalogError> {
        let verdict: String = self.pragma("quick_check")?;
        if verdict == "ok" { Ok(()) } else { Err(self.damaged(verdict)) }
    }
}
