//! Archives in a bucket of an S3-compatible store.
//!
//! Requests are signed in the URL (AWS Signature Version 4, query parameters), so no URL is ever
//! shown. Parts of a multipart upload stay invisible until all are there.

use std::fmt;
use std::io::{self, Read};
use std::sync::Arc;
use std::thread::sleep;
use std::time::Duration;

use rusty_s3::actions::{CompleteMultipartUploadResponse, CreateMultipartUpload, S3Action};
use rusty_s3::{Bucket as Place, BucketError, UrlStyle};
use ureq::http::Response;
use ureq::tls::{Certificate, RootCerts, TlsConfig};
use ureq::{Agent, Body};

use crate::error::{Error, Kind, Result};
use crate::pg::connect::target::Secret;
use crate::profile::Archive;
use crate::profile::secret::MASK;

/// 10,000 parts at most make 625 GiB, packed; one part is in memory.
const PART_BYTES: usize = 64 << 20;
/// The protocol's own limit.
const PARTS_MAX: usize = 10_000;
/// How long a signature is good for: it is made right before the request.
const SIGNATURE_LIFE: Duration = Duration::from_secs(900);
/// Waits between attempts; networks and stores hiccup, and nothing has happened yet.
const PAUSES_MS: [u64; 3] = [200, 800, 3_200];
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long a store may say nothing at all.
const SILENCE_LIMIT: Duration = Duration::from_secs(60);

/// What opens a bucket. Shown as `***` by every formatter.
#[derive(Debug, Clone)]
pub struct Credentials {
    key: Secret,
    secret: Secret,
    token: Option<Secret>,
}

impl Credentials {
    /// Reads `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`; `None` without
    /// the first two. Empty ones count as unset.
    pub fn of(variable: impl Fn(&str) -> Option<String>) -> Option<Credentials> {
        let read = |name| variable(name).filter(|text| !text.is_empty()).map(Secret::new);
        let token = read("AWS_SESSION_TOKEN");
        Some(Credentials {
            key: read("AWS_ACCESS_KEY_ID")?,
            secret: read("AWS_SECRET_ACCESS_KEY")?,
            token,
        })
    }

    /// The text without what is secret; a store may repeat it in an error.
    pub fn mask(&self, text: &str) -> String {
        let secrets = [Some(&self.secret), self.token.as_ref(), Some(&self.key)];
        secrets
            .into_iter()
            .flatten()
            .fold(text.to_string(), |text, secret| text.replace(secret.reveal(), MASK))
    }

    fn for_signing(&self) -> rusty_s3::Credentials {
        let (key, secret) = (self.key.reveal(), self.secret.reveal());
        match &self.token {
            Some(token) => rusty_s3::Credentials::new_with_token(key, secret, token.reveal()),
            None => rusty_s3::Credentials::new(key, secret),
        }
    }
}

/// A bucket, or what is below a prefix of its keys.
pub struct Bucket {
    place: Place,
    /// Empty, or with a `/` at the end.
    prefix: String,
    signer: rusty_s3::Credentials,
    credentials: Credentials,
    agent: Agent,
    /// The size of all parts but the last.
    pub part_bytes: usize,
}

impl Bucket {
    /// The bucket that `bucket/prefix` and the settings name. Errors: settings that name none, no
    /// root certificates for `https`.
    pub fn new(place: &str, settings: &Archive, credentials: Credentials) -> Result<Bucket> {
        let (name, prefix) = place.split_once('/').unwrap_or((place, ""));
        if name.is_empty() {
            return Err(Error::usage(format!("archive.to: {} names no bucket", settings.to)));
        }
        let prefix = prefix.trim_matches('/');
        let prefix = if prefix.is_empty() { String::new() } else { format!("{prefix}/") };
        let endpoint = match settings.endpoint.trim() {
            "" => format!("https://s3.{}.amazonaws.com", settings.region),
            endpoint => endpoint.to_string(),
        };
        let wrong = |why: &str| Error::usage(format!("archive.endpoint: {why}"));
        if endpoint.contains('@') {
            return Err(wrong("credentials do not belong here")
                .hint("set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"));
        }
        let encrypted = endpoint.starts_with("https://");
        if !encrypted && !endpoint.starts_with("http://") {
            return Err(wrong("it begins with neither https:// nor http://"));
        }
        let style = if settings.path_style { UrlStyle::Path } else { UrlStyle::VirtualHost };
        let url = endpoint.parse().map_err(|_| wrong("it is no address"))?;
        let place = Place::new(url, style, name.to_string(), settings.region.clone());
        Ok(Bucket {
            place: place.map_err(|error: BucketError| wrong("it does not fit").caused_by(error))?,
            prefix,
            signer: credentials.for_signing(),
            credentials,
            agent: agent(encrypted)?,
            part_bytes: PART_BYTES,
        })
    }

    /// Begins an object; the store is asked when the first part is full.
    pub fn put(&self, name: &str) -> ObjectUpload<'_> {
        let (key, part) = (self.key(name), Vec::new());
        ObjectUpload { bucket: self, key, part, id: None, tags: Vec::new() }
    }

    /// Opens an object.
    pub fn read(&self, name: &str) -> Result<impl Read + use<>> {
        let key = self.key(name);
        let response = self.send(&format!("read {name}"), || {
            let action = self.place.get_object(Some(&self.signer), &key);
            self.agent.get(action.sign(SIGNATURE_LIFE).as_str()).call()
        })?;
        let secrets = self.credentials.clone();
        let doing = format!("cannot read {name} from {self}");
        let masked = move |error: io::Error| {
            let cause = secrets.mask(&error.to_string());
            io::Error::other(Error::new(Kind::System, doing.clone()).caused_by(cause))
        };
        Ok(Masked { inner: response.into_body().into_reader(), masked })
    }

    /// Whether there is such an object.
    pub fn exists(&self, name: &str) -> Result<bool> {
        let key = self.key(name);
        let found = self.send(&format!("look for {name}"), || {
            let action = self.place.head_object(Some(&self.signer), &key);
            self.agent.head(action.sign(SIGNATURE_LIFE).as_str()).call()
        });
        match found {
            Ok(_) => Ok(true),
            Err(error) if error.kind == Kind::Answer => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Removes an object.
    pub fn remove(&self, name: &str) -> Result<()> {
        let key = self.key(name);
        let removed = self.send(&format!("remove {name}"), || {
            let action = self.place.delete_object(Some(&self.signer), &key);
            self.agent.delete(action.sign(SIGNATURE_LIFE).as_str()).call()
        });
        match removed {
            Err(error) if error.kind != Kind::Answer => Err(error),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    fn key(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    /// Sends a request until the store answers, and returns a good answer. An object that does not
    /// exist is an error of [`Kind::Answer`].
    fn send(
        &self,
        doing: &str,
        request: impl Fn() -> std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut pauses = PAUSES_MS.iter();
        loop {
            let outcome = request();
            let again = outcome.as_ref().is_err()
                || outcome.as_ref().is_ok_and(|response| is_overloaded(response.status().as_u16()));
            match pauses.next().filter(|_| again) {
                Some(pause) => sleep(Duration::from_millis(*pause)),
                None => return self.judge(doing, outcome),
            }
        }
    }

    fn judge(
        &self,
        doing: &str,
        outcome: std::result::Result<Response<Body>, ureq::Error>,
    ) -> Result<Response<Body>> {
        let mut response = outcome.map_err(|error| {
            let host = self.place.base_url().host_str().unwrap_or_default().to_string();
            let cause = self.credentials.mask(&error.to_string());
            let message = format!("cannot {doing}: cannot reach {self} at {host}");
            Error::new(Kind::System, message)
                .caused_by(cause)
                .hint("see archive.endpoint, archive.region and archive.path_style")
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let refusal = Refusal::read(status.as_u16(), &text);
        let error = refusal.explain(&format!("cannot {doing}"), &self.to_string());
        Err(match refusal.message {
            Some(message) => error.caused_by(self.credentials.mask(message)),
            None => error,
        })
    }
}

impl fmt::Display for Bucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let prefix = self.prefix.trim_end_matches('/');
        let slash = if prefix.is_empty() { "" } else { "/" };
        write!(f, "s3://{}{slash}{prefix}", self.place.name())
    }
}

/// One client for all requests: it keeps its connection. The roots are the system's, as for
/// PostgreSQL.
fn agent(encrypted: bool) -> Result<Agent> {
    let mut tls = TlsConfig::builder()
        .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()));
    if encrypted {
        let roots = rustls_native_certs::load_native_certs().certs;
        if roots.is_empty() {
            let error = Error::new(Kind::System, "found no root certificates of the system");
            return Err(error.hint("install the package ca-certificates"));
        }
        let roots: Vec<_> =
            roots.iter().map(|root| Certificate::from_der(root).to_owned()).collect();
        tls = tls.root_certs(RootCerts::new_with_certs(&roots));
    }
    let config = Agent::config_builder()
        .tls_config(tls.build())
        .http_status_as_error(false)
        .max_redirects(0)
        .max_redirects_will_error(false)
        .user_agent(concat!("pgtune/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(CONNECT_LIMIT))
        .timeout_per_read(Some(SILENCE_LIMIT))
        .timeout_per_write(Some(SILENCE_LIMIT));
    Ok(config.build().into())
}

/// Whether the store asks to come back later.
fn is_overloaded(status: u16) -> bool {
    status == 429 || status >= 500
}

/// What a store said instead of doing it.
struct Refusal<'a> {
    status: u16,
    /// `<Code>` of the answer: `NoSuchBucket`.
    code: Option<&'a str>,
    /// Its `<Message>`.
    message: Option<&'a str>,
}

impl<'a> Refusal<'a> {
    fn read(status: u16, text: &'a str) -> Refusal<'a> {
        let element = |name: &str| {
            let (_, rest) = text.split_once(&format!("<{name}>"))?;
            rest.split_once(&format!("</{name}>")).map(|(inner, _)| inner)
        };
        Refusal { status, code: element("Code"), message: element("Message") }
    }

    fn explain(&self, doing: &str, store: &str) -> Error {
        let (kind, what, hint) = match (self.status, self.code) {
            (_, Some("NoSuchBucket")) => {
                let hint = "make the bucket, or see archive.to and archive.path_style";
                (Kind::Usage, "no such bucket", hint)
            }
            (_, Some("RequestTimeTooSkewed")) => {
                (Kind::System, "it was denied", "this machine's clock is wrong: set it")
            }
            (301 | 307 | 308, _) | (_, Some("AuthorizationHeaderMalformed")) => {
                let hint = "see archive.region and archive.endpoint";
                (Kind::Usage, "the bucket is elsewhere", hint)
            }
            (401 | 403, _) => {
                let hint = "see AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY and what they may do: \
                            s3:PutObject, s3:GetObject, s3:ListBucket, s3:AbortMultipartUpload";
                (Kind::System, "it was denied", hint)
            }
            (404, _) => {
                let hint = "archive.to names the place where archives are looked for";
                (Kind::Answer, "it is not there", hint)
            }
            (429 | 500.., _) => {
                (Kind::System, "the store cannot do it now", "run the same command again later")
            }
            (_, _) => (Kind::System, "it was refused", "see archive.endpoint and archive.region"),
        };
        let code = self.code.map_or_else(|| self.status.to_string(), str::to_string);
        Error::new(kind, format!("{doing}: {store} says {code}: {what}")).hint(hint)
    }
}

/// An object on its way.
pub struct ObjectUpload<'a> {
    bucket: &'a Bucket,
    key: String,
    /// What is not sent yet.
    part: Vec<u8>,
    /// The multipart upload, once there is one.
    id: Option<String>,
    /// What the store called the parts sent.
    tags: Vec<String>,
}

impl ObjectUpload<'_> {
    /// Takes some of the bytes and returns how many; sends a part when it is full.
    pub fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        if self.part.len() >= self.bucket.part_bytes {
            self.send_part()?;
        }
        let room = self.bucket.part_bytes - self.part.len();
        let taken = bytes.len().min(room);
        self.part.extend_from_slice(&bytes[..taken]);
        Ok(taken)
    }

    /// Sends the rest and makes the object appear.
    pub fn finish(mut self) -> Result<()> {
        if self.id.is_none() {
            return self.put_whole();
        }
        self.send_part()?;
        let Some(id) = self.id.clone() else { return Ok(()) };
        let tags = || self.tags.iter().map(String::as_str);
        let signer = Some(&self.bucket.signer);
        let complete =
            || self.bucket.place.complete_multipart_upload(signer, &self.key, &id, tags());
        let body = complete().body();
        let mut response = self.bucket.send(&self.doing(), || {
            self.bucket.agent.post(complete().sign(SIGNATURE_LIFE).as_str()).send(&body)
        })?;
        // The store answers before it has finished, so success is said in the body.
        let text = response.body_mut().read_to_string().unwrap_or_default();
        if CompleteMultipartUploadResponse::parse(&text).is_err() {
            let refusal = Refusal::read(response.status().as_u16(), &text);
            return Err(
                refusal.explain(&format!("cannot {}", self.doing()), &self.bucket.to_string())
            );
        }
        // There is nothing to abort any more.
        self.id = None;
        Ok(())
    }

    fn put_whole(&self) -> Result<()> {
        let sent = self.bucket.send(&self.doing(), || {
            let action = self.bucket.place.put_object(Some(&self.bucket.signer), &self.key);
            self.bucket.agent.put(action.sign(SIGNATURE_LIFE).as_str()).send(&self.part)
        });
        sent.map(drop)
    }

    fn send_part(&mut self) -> Result<()> {
        let id = match &self.id {
            Some(id) => id.clone(),
            None => self.begin()?,
        };
        self.id = Some(id.clone());
        let number = u16::try_from(self.tags.len() + 1).unwrap_or(u16::MAX);
        if usize::from(number) > PARTS_MAX {
            let message = format!("{} is too big: {PARTS_MAX} parts are full", self.key);
            return Err(Error::new(Kind::System, message));
        }
        let signer = Some(&self.bucket.signer);
        let response = self.bucket.send(&self.doing(), || {
            let action = self.bucket.place.upload_part(signer, &self.key, number, &id);
            self.bucket.agent.put(action.sign(SIGNATURE_LIFE).as_str()).send(&self.part)
        })?;
        let tag = response.headers().get("etag").and_then(|tag| tag.to_str().ok());
        let tag = tag.ok_or_else(|| {
            Error::new(Kind::System, format!("{} did not name a part it took", self.bucket))
        })?;
        self.tags.push(tag.to_string());
        self.part.clear();
        Ok(())
    }

    fn begin(&self) -> Result<String> {
        let mut response = self.bucket.send(&self.doing(), || {
            let signer = Some(&self.bucket.signer);
            let action = self.bucket.place.create_multipart_upload(signer, &self.key);
            self.bucket.agent.post(action.sign(SIGNATURE_LIFE).as_str()).send_empty()
        })?;
        let text = response.body_mut().read_to_string().unwrap_or_default();
        let begun = CreateMultipartUpload::parse_response(&text).map_err(|_| {
            Error::new(Kind::System, format!("{} does not answer as S3 does", self.bucket))
        })?;
        Ok(begun.upload_id().to_string())
    }

    fn doing(&self) -> String {
        format!("write {}", self.key)
    }
}

impl Drop for ObjectUpload<'_> {
    /// Parts of an upload that failed would be stored, and paid for, for good.
    fn drop(&mut self) {
        let Some(id) = self.id.take() else { return };
        let signer = Some(&self.bucket.signer);
        let aborted = self.bucket.send("abort the upload", || {
            let action = self.bucket.place.abort_multipart_upload(signer, &self.key, &id);
            self.bucket.agent.delete(action.sign(SIGNATURE_LIFE).as_str()).call()
        });
        // What made it fail is reported; a store that is gone keeps the parts.
        drop(aborted);
    }
}

/// A reader whose errors hold an [`Error`] and no secret.
struct Masked<R, F> {
    inner: R,
    masked: F,
}

impl<R: Read, F: Fn(io::Error) -> io::Error> Read for Masked<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.inner.read(buffer).map_err(&self.masked)
    }
}
