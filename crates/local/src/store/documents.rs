//! Documents of the emulated services: texts under a kind and an id.
//!
//! The calls on [`Database`] are transactions of their own; the same calls on [`Transaction`] belong to it.

use refit_app::ports::TableError;
use rusqlite::OptionalExtension as _;

use super::database::{Database, Transaction, table_error};

impl Transaction<'_> {
    /// The document, if there is one.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_document(&self, kind: &str, id: &str) -> Result<Option<String>, TableError> {
        self.connection
            .prepare_cached("SELECT body FROM documents WHERE kind = ?1 AND id = ?2")
            .and_then(|mut statement| statement.query_row((kind, id), |row| row.get(0)).optional())
            .map_err(table_error)
    }

    /// Creates or replaces the document.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_document(&self, kind: &str, id: &str, body: &str) -> Result<(), TableError> {
        let sql = "INSERT INTO documents VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET body = excluded.body";
        self.connection
            .prepare_cached(sql)
            .and_then(|mut statement| statement.execute((kind, id, body)))
            .map(|_| ())
            .map_err(table_error)
    }

    /// Creates the document; answers `false` and changes nothing when there is one.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn insert_document(&self, kind: &str, id: &str, body: &str) -> Result<bool, TableError> {
        self.connection
            .prepare_cached("INSERT INTO documents VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING")
            .and_then(|mut statement| statement.execute((kind, id, body)))
            .map(|count| count == 1)
            .map_err(table_error)
    }

    /// Removes the document; answers `false` when there is none.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_document(&self, kind: &str, id: &str) -> Result<bool, TableError> {
        self.connection
            .prepare_cached("DELETE FROM documents WHERE kind = ?1 AND id = ?2")
            .and_then(|mut statement| statement.execute((kind, id)))
            .map(|count| count == 1)
            .map_err(table_error)
    }

    /// Ids and documents of a kind, by the bytes of their ids.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_documents(&self, kind: &str) -> Result<Vec<(String, String)>, TableError> {
        self.connection
            .prepare_cached("SELECT id, body FROM documents WHERE kind = ?1 ORDER BY id")
            .and_then(|mut statement| statement.query_map([kind], |row| Ok((row.get(0)?, row.get(1)?)))?.collect())
            .map_err(table_error)
    }
}

impl Database {
    /// See [`Transaction::get_document`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn get_document(&self, kind: &str, id: &str) -> Result<Option<String>, TableError> {
        self.run(|database| database.get_document(kind, id))
    }

    /// See [`Transaction::put_document`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn put_document(&self, kind: &str, id: &str, body: &str) -> Result<(), TableError> {
        self.run(|database| database.put_document(kind, id, body))
    }

    /// See [`Transaction::insert_document`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn insert_document(&self, kind: &str, id: &str, body: &str) -> Result<bool, TableError> {
        self.run(|database| database.insert_document(kind, id, body))
    }

    /// See [`Transaction::remove_document`].
    ///
    /// # Errors
    /// When the database cannot be written.
    pub fn remove_document(&self, kind: &str, id: &str) -> Result<bool, TableError> {
        self.run(|database| database.remove_document(kind, id))
    }

    /// See [`Transaction::list_documents`].
    ///
    /// # Errors
    /// When the database cannot be read.
    pub fn list_documents(&self, kind: &str) -> Result<Vec<(String, String)>, TableError> {
        self.run(|database| database.list_documents(kind))
    }
}
