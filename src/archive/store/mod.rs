//! Where archives are kept: a folder, or a bucket of an S3-compatible store.
//!
//! A file appears under its name only when it is complete, in both.

use std::fmt;
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::OnceLock;

use crate::error::{Error, Result};
use crate::profile::Archive;

mod bucket;
mod folder;

pub use bucket::Credentials;
use bucket::{Bucket, ObjectUpload};
use folder::{FileUpload, Folder};

/// A place for archives.
pub enum Store {
    /// A folder of this machine.
    Folder(Folder),
    /// A bucket, or a part of one.
    Bucket(Box<Bucket>),
}

impl Store {
    /// Reads the profile's `[archive]`; contacts nobody. A folder is relative to
    /// `profile_folder`. Errors: settings that name no place, a bucket without credentials.
    pub fn open(
        settings: &Archive,
        profile_folder: &Path,
        credentials: Option<Credentials>,
    ) -> Result<Store> {
        let to = settings.to.trim();
        match to.split_once("://") {
            None if to.is_empty() => Err(Error::usage("archive.to names no place")
                .hint("write a folder, or s3://bucket/prefix")),
            None => Ok(Store::Folder(Folder::new(profile_folder.join(to)))),
            Some(("s3", place)) => {
                let credentials = credentials.ok_or_else(|| {
                    Error::usage(format!("there are no credentials for {to}"))
                        .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
                })?;
                let bucket = Bucket::new(place, settings, credentials)?;
                Ok(Store::Bucket(Box::new(bucket)))
            }
            Some((scheme, _)) => {
                let error = Error::usage(format!("archive.to: pgtune knows no {scheme}://"));
                Err(error.hint("write a folder, or s3://bucket/prefix"))
            }
        }
    }

    /// The same store with multipart uploads in parts of another size; folders have none.
    pub fn with_part_bytes(mut self, part_bytes: usize) -> Store {
        if let Store::Bucket(bucket) = &mut self {
            bucket.part_bytes = part_bytes;
        }
        self
    }

    /// Begins a file of unknown length. Dropped unfinished, it leaves nothing.
    pub fn put(&self, name: &str) -> Result<Upload<'_>> {
        match self {
            Store::Folder(folder) => folder.put(name).map(Upload::File),
            Store::Bucket(bucket) => Ok(Upload::Object(bucket.put(name))),
        }
    }

    /// Opens a file for reading. That there is none is an error of [`crate::error::Kind::Answer`].
    pub fn read(&self, name: &str) -> Result<Box<dyn Read>> {
        match self {
            Store::Folder(folder) => Ok(Box::new(folder.read(name)?)),
            Store::Bucket(bucket) => Ok(Box::new(bucket.read(name)?)),
        }
    }

    /// Whether there is a file of that name.
    pub fn exists(&self, name: &str) -> Result<bool> {
        match self {
            Store::Folder(folder) => folder.exists(name),
            Store::Bucket(bucket) => bucket.exists(name),
        }
    }

    /// Removes a file; that there is none is no error.
    pub fn remove(&self, name: &str) -> Result<()> {
        match self {
            Store::Folder(folder) => folder.remove(name),
            Store::Bucket(bucket) => bucket.remove(name),
        }
    }
}

impl fmt::Display for Store {
    /// Where it is, without secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Store::Folder(folder) => folder.fmt(f),
            Store::Bucket(bucket) => bucket.fmt(f),
        }
    }
}

/// Opens a store, or says what is missing.
pub type OpenStore<'a> = dyn Fn() -> Result<Store> + Sync + 'a;

/// A store that the first who needs it opens: whoever archives nothing needs no place for it.
pub struct Place<'a> {
    open: &'a OpenStore<'a>,
    opened: OnceLock<Store>,
}

impl<'a> Place<'a> {
    /// A place that `open` opens.
    pub fn new(open: &'a OpenStore<'a>) -> Place<'a> {
        Place { open, opened: OnceLock::new() }
    }

    /// The store. Errors are those of opening it, each time anew.
    pub fn store(&self) -> Result<&Store> {
        match self.opened.get() {
            Some(store) => Ok(store),
            None => {
                let store = (self.open)()?;
                Ok(self.opened.get_or_init(|| store))
            }
        }
    }
}

/// A file on its way; its [`io::Error`]s hold an [`Error`].
pub enum Upload<'a> {
    /// Into a folder.
    File(FileUpload),
    /// Into a bucket.
    Object(ObjectUpload<'a>),
}

impl Upload<'_> {
    /// Makes the file appear, safe from a crash.
    pub fn finish(self) -> Result<()> {
        match self {
            Upload::File(file) => file.finish(),
            Upload::Object(object) => object.finish(),
        }
    }
}

impl Write for Upload<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = match self {
            Upload::File(file) => file.write(bytes),
            Upload::Object(object) => object.write(bytes),
        };
        written.map_err(io::Error::other)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(to: &str, endpoint: &str) -> String {
        let (to, endpoint) = (to.to_string(), endpoint.to_string());
        let settings = Archive { to, endpoint, ..Archive::default() };
        let credentials = Credentials::of(|name| Some(format!("s3cret {name}")));
        match Store::open(&settings, Path::new("/p"), credentials) {
            Ok(store) => store.to_string(),
            Err(error) => format!("error: {error}"),
        }
    }

    #[test]
    fn places_are_read_from_the_profile() {
        assert_eq!(said("archive", ""), "/p/archive");
        assert_eq!(said("/mnt/a", ""), "/mnt/a");
        assert_eq!(said("s3://b", ""), "s3://b");
        assert_eq!(said("s3://b/x/y/", "http://localhost:9000"), "s3://b/x/y");
        assert_eq!(said("", ""), "error: archive.to names no place");
        assert_eq!(said("ftp://x", ""), "error: archive.to: pgtune knows no ftp://");
        assert_eq!(said("s3:///x", ""), "error: archive.to: s3:///x names no bucket");
        for (endpoint, why) in [
            ("localhost:9000", "it begins with neither https:// nor http://"),
            ("https://key:s3cret@host", "credentials do not belong here"),
            ("https://", "it is no address"),
        ] {
            assert_eq!(said("s3://b", endpoint), format!("error: archive.endpoint: {why}"));
        }
    }

    #[test]
    fn a_bucket_needs_credentials_which_are_not_shown() {
        let settings = Archive { to: "s3://b".to_string(), ..Archive::default() };
        let error = Store::open(&settings, Path::new(""), None).err().unwrap();
        assert_eq!(error.message, "there are no credentials for s3://b");
        let one = Credentials::of(|name| (name != "AWS_SECRET_ACCESS_KEY").then(String::new));
        assert_eq!(one.map(|_| ()), None);
        let all = Credentials::of(|name| Some(format!("s3cret {name}"))).unwrap();
        assert!(!format!("{all:?}").contains("s3cret"), "{all:?}");
        assert_eq!(all.mask("is s3cret AWS_SESSION_TOKEN ok"), "is *** ok");
    }
}
