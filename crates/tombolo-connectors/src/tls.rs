//! Encryption of connections to servers: the same rules for all of them.

use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tombolo_connector::{Error, ErrorCode, Result};

/// Encrypts connections to servers whose certificate one of these authorities has signed; without a file, of the system's.
///
/// # Errors
/// [`ErrorCode::ConfigInvalid`] where the file cannot be read or has no certificate.
pub(crate) fn connector(authorities: Option<&Path>) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    match authorities {
        None => {
            // What the system has and cannot be read is no certificate that could be missed without being told.
            let found = rustls_native_certs::load_native_certs();
            roots.add_parsable_certificates(found.certs);
        }
        Some(path) => {
            let unreadable = |error: String| {
                Error::new(ErrorCode::ConfigInvalid, format!("no certificates could be read from {}", path.display()))
                    .with_detail(error)
                    .with_hint("Set `tls_ca` to a file of certificates in PEM.")
            };
            let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(error.to_string()))?;
            for certificate in certificates {
                let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
                roots.add(certificate).map_err(|error| unreadable(error.to_string()))?;
            }
            if roots.is_empty() {
                return Err(unreadable("the file has none".to_owned()));
            }
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let client = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::internal("TLS could not be set up").with_cause(error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(client)))
}
