//! TLS as libpq's `sslmode` defines it, on rustls.
//!
//! Source: the manual, "SSL Support" (libpq-ssl.html). Nothing here runs for `disable` or a Unix
//! socket, and the system's roots are only read when they are what decides.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::error::{Error, Kind, Result};

/// libpq's `sslmode`, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mode {
    /// Never TLS.
    Disable,
    /// TLS if the server refuses to do without.
    Allow,
    /// TLS if the server can.
    Prefer,
    /// TLS; the certificate is checked only if there are roots to check it against.
    Require,
    /// TLS, with a certificate from a trusted root.
    VerifyCa,
    /// TLS, with a certificate from a trusted root for this very host.
    VerifyFull,
}

impl Mode {
    /// Every mode by libpq's name.
    pub const NAMES: [(&str, Mode); 6] = [
        ("disable", Mode::Disable),
        ("allow", Mode::Allow),
        ("prefer", Mode::Prefer),
        ("require", Mode::Require),
        ("verify-ca", Mode::VerifyCa),
        ("verify-full", Mode::VerifyFull),
    ];
}

/// Whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Roots {
    /// Anyone: encrypts, but does not know with whom.
    Unchecked,
    /// The certificates of a PEM file.
    File(PathBuf),
    /// The operating system's.
    System,
}

/// The client's own certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// PEM file with the certificate and its chain.
    pub certificate: PathBuf,
    /// PEM file with its private key.
    pub key: PathBuf,
}

/// How to encrypt, and whom to trust.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// libpq's `sslmode`.
    pub mode: Mode,
    /// `sslrootcert`.
    pub roots: Roots,
    /// `sslcert` and `sslkey`.
    pub identity: Option<Identity>,
}

/// Prepares TLS: reads the certificates, sets up the verifier. Errors: unreadable files.
pub fn connector(settings: &Settings) -> Result<MakeRustlsConnect> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier = Verifier::new(settings, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| {
            Error::new(Kind::Bug, "ring lacks the default TLS versions").caused_by(error)
        })?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let config = match &settings.identity {
        None => builder.with_no_client_auth(),
        Some(Identity { certificate, key }) => {
            let private_key = PrivateKeyDer::from_pem_file(key)
                .map_err(|error| unreadable("the private key", key, error))?;
            builder.with_client_auth_cert(certificates(certificate)?, private_key).map_err(
                |error| {
                    let files = format!("{} and {}", certificate.display(), key.display());
                    Error::usage(format!("cannot use the client certificate {files}"))
                        .caused_by(error)
                },
            )?
        }
    };
    Ok(MakeRustlsConnect::new(config))
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let certificates: std::result::Result<Vec<_>, _> =
        CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match certificates {
        Ok(certificates) if certificates.is_empty() => {
            Err(Error::usage(format!("{} holds no certificate in PEM form", file.display())))
        }
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(unreadable("the certificate", file, error)),
    }
}

fn unreadable(what: &str, file: &Path, error: rustls_pki_types::pem::Error) -> Error {
    let error = Error::usage(format!("cannot read {what} {}", file.display())).caused_by(error);
    error.hint("it must be a PEM file, a key without passphrase (sslrootcert, sslcert, sslkey)")
}

/// Checks the server's certificate as far as the mode asks for.
#[derive(Debug)]
struct Verifier {
    /// None: anyone is trusted.
    roots: Option<RootCertStore>,
    /// Certificates trusted as they are. OpenSSL takes a self-signed server certificate that is
    /// also the root, as the manual's own example makes; webpki takes no authority as a server.
    pinned: Vec<CertificateDer<'static>>,
    /// Whether the certificate must be for the host that was dialled.
    checks_name: bool,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    fn new(settings: &Settings, provider: &CryptoProvider) -> Result<Verifier> {
        let mut verifier = Verifier {
            roots: None,
            pinned: Vec::new(),
            checks_name: settings.mode == Mode::VerifyFull,
            algorithms: provider.signature_verification_algorithms,
        };
        let mut roots = RootCertStore::empty();
        match &settings.roots {
            Roots::Unchecked => return Ok(verifier),
            Roots::File(file) => {
                verifier.pinned = certificates(file)?;
                for root in &verifier.pinned {
                    roots.add(root.clone()).map_err(|error| {
                        Error::usage(format!("{} holds a broken certificate", file.display()))
                            .caused_by(error)
                    })?;
                }
            }
            Roots::System => {
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                if roots.is_empty() {
                    return Err(Error::new(
                        Kind::System,
                        "found no root certificates of the system",
                    )
                    .hint("install the package ca-certificates, or name a file: sslrootcert"));
                }
            }
        }
        verifier.roots = Some(roots);
        Ok(verifier)
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> std::result::Result<ServerCertVerified, rustls::Error> {
        let Some(roots) = &self.roots else { return Ok(ServerCertVerified::assertion()) };
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        let chain = verify_server_cert_signed_by_trust_anchor(
            &certificate,
            roots,
            intermediates,
            now,
            algorithms,
        );
        match chain {
            // An expired one stays refused: webpki looks at the dates first.
            Err(rustls::Error::InvalidCertificate(CertificateError::Other(_)))
                if self.pinned.contains(end_entity) => {}
            chain => chain?,
        }
        if self.checks_name {
            verify_server_name(&certificate, server_name)?;
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> std::result::Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}
