//! Explains why the objects of a source cannot be read, and what to do.

use std::error::Error as _;
use std::path::Path;
use std::time::Duration;

use object_store::Error as StoreError;

use crate::address::Store;
use crate::error::Error;

/// Why the objects of a source could not be read.
#[derive(Debug)]
pub enum Cause {
    /// The service, or the connection to it, has failed.
    Store(StoreError),
    /// The variables in the environment are incomplete or wrong.
    Settings(StoreError),
    /// The pattern is not valid.
    Pattern(String),
    /// The service has sent nothing for this long.
    Silence(Duration),
    /// The length of the object differs from its length in the list of objects.
    Changed { key: String, listed: u64, received: u64 },
    /// The object was in the list of objects, but does not exist any more.
    Removed { key: String },
    /// The temporary file cannot be written.
    Write(Error),
}

/// Facts about a kind of object store for use in messages.
struct Facts {
    /// The environment contains credentials if any of these variables is set.
    variables: &'static [&'static str],
    /// How to set the credentials.
    credentials: &'static str,
    /// The permissions that are required for access to the objects.
    permission: &'static str,
    /// What to check if there is no bucket with this name.
    place: &'static str,
}

impl Facts {
    fn of(store: Store) -> Self {
        match store {
            Store::S3 => Self {
                variables: &[
                    "AWS_ACCESS_KEY_ID",
                    "AWS_SECRET_ACCESS_KEY",
                    "AWS_WEB_IDENTITY_TOKEN_FILE",
                    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                    "AWS_SKIP_SIGNATURE",
                ],
                credentials: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY (with the AWS command line: `eval \"$(aws \
                              configure export-credentials --format env)\"`), or AWS_SKIP_SIGNATURE=true for a public \
                              bucket",
                permission: "s3:ListBucket and s3:GetObject",
                place: "check the name, AWS_REGION and, for a service other than AWS, AWS_ENDPOINT_URL",
            },
            Store::Google => Self {
                variables: &[
                    "GOOGLE_APPLICATION_CREDENTIALS",
                    "GOOGLE_SERVICE_ACCOUNT",
                    "GOOGLE_SERVICE_ACCOUNT_PATH",
                    "GOOGLE_SERVICE_ACCOUNT_KEY",
                    "SERVICE_ACCOUNT",
                    "GOOGLE_SKIP_SIGNATURE",
                ],
                credentials: "set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account, or run `gcloud \
                              auth application-default login`; for a public bucket, set GOOGLE_SKIP_SIGNATURE=true",
                permission: "storage.objects.list and storage.objects.get",
                place: "check the name",
            },
            Store::Azure => Self {
                variables: &[
                    "AZURE_STORAGE_ACCOUNT_KEY",
                    "AZURE_STORAGE_ACCESS_KEY",
                    "AZURE_STORAGE_KEY",
                    "AZURE_STORAGE_SAS_KEY",
                    "AZURE_STORAGE_SAS_TOKEN",
                    "AZURE_STORAGE_TOKEN",
                    "AZURE_STORAGE_CLIENT_ID",
                    "AZURE_CLIENT_ID",
                    "AZURE_FEDERATED_TOKEN_FILE",
                    "AZURE_USE_AZURE_CLI",
                    "AZURE_STORAGE_USE_EMULATOR",
                    "AZURE_SKIP_SIGNATURE",
                ],
                credentials: "set AZURE_STORAGE_ACCOUNT and AZURE_STORAGE_KEY, or AZURE_STORAGE_SAS_TOKEN, or \
                              AZURE_USE_AZURE_CLI=true after `az login`",
                permission: "Storage Blob Data Reader",
                place: "check the name of the container and AZURE_STORAGE_ACCOUNT",
            },
        }
    }
}

/// Whether the environment contains credentials for the store.
pub fn has_credentials(store: Store) -> bool {
    let is_set = |name: &&str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let login = ".config/gcloud/application_default_credentials.json";
    Facts::of(store).variables.iter().any(is_set)
        || (store == Store::Google
            && std::env::var_os("HOME").is_some_and(|home| Path::new(&home).join(login).is_file()))
}

/// The error that states the cause and a remedy.
pub fn explain(store: Store, root: &str, pattern: &str, cause: Cause) -> Error {
    let facts = Facts::of(store);
    let address = format!("{root}/{pattern}");
    let bucket = root.split_once("://").map_or(root, |(_, bucket)| bucket);
    let reason = match cause {
        Cause::Write(error) => return error,
        Cause::Pattern(reason) => return Error::Usage(format!("`{address}` is not a valid pattern: {reason}")),
        Cause::Silence(time) => {
            format!("the service sent nothing for {} s; check the network, and repeat the import", time.as_secs())
        }
        Cause::Changed { key, listed, received } => format!(
            "the object {key} has {received} bytes, but {listed} in the list of objects; it was probably being \
             written, so repeat the import"
        ),
        Cause::Removed { key } => format!("the object {key} was removed during the import; repeat the import"),
        Cause::Settings(error) => format!("{}; {}", reason(&error), facts.credentials),
        Cause::Store(error) if matches!(status(&error), Some(404)) => {
            format!("there is no bucket `{bucket}`; {}", facts.place)
        }
        Cause::Store(error) if matches!(status(&error), Some(401 | 403)) => {
            let said = element(&error, "Code").map_or_else(String::new, |code| format!(" ({code})"));
            let credentials = match has_credentials(store) {
                true => "check that the credentials in the environment are valid and apply to this bucket".to_owned(),
                false => facts.credentials.to_owned(),
            };
            format!("access is denied{said}; it requires {}: {credentials}", facts.permission)
        }
        Cause::Store(error) if has_credentials(store) => {
            let text = reason(&error);
            let hint = match text.to_lowercase().contains("redirect") {
                true => "set AWS_REGION to the region of the bucket",
                false => "check the network, and repeat the import",
            };
            format!("{text}; {hint}")
        }
        Cause::Store(error) => {
            format!("there are no credentials in the environment; {} ({})", facts.credentials, reason(&error))
        }
    };
    Error::no_input(Path::new(&address), reason)
}

/// The HTTP status of the answer, if the service answered with an error.
fn status(error: &StoreError) -> Option<u16> {
    match error {
        StoreError::NotFound { .. } => Some(404),
        StoreError::PermissionDenied { .. } => Some(403),
        StoreError::Unauthenticated { .. } => Some(401),
        other => innermost(other).split_once("status code: ")?.1.get(..3)?.parse().ok(),
    }
}

/// An element of the answer of the service, such as the code `InvalidAccessKeyId`.
fn element(error: &StoreError, name: &str) -> Option<String> {
    let text = innermost(error);
    let after = text.split_once(&format!("<{name}>"))?.1;
    after.split_once('<').map(|(content, _)| content.to_owned())
}

fn innermost(error: &StoreError) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(inner) = source {
        text = inner.to_string();
        source = inner.source();
    }
    text
}

/// The innermost cause of an error, on one line. The query string of an address is omitted, because it can contain a
/// signature.
fn reason(error: &StoreError) -> String {
    if let (Some(status), Some(code)) = (status(error), element(error, "Code")) {
        let message = element(error, "Message").map_or_else(String::new, |text| format!(": {text}"));
        return format!("the service answered {status} {code}{message}");
    }
    let text = innermost(error);
    let words = text.split_whitespace().map(|word| match word.split_once('?') {
        Some((address, _)) if address.contains("://") => address,
        _ => word,
    });
    let text = words.collect::<Vec<_>>().join(" ");
    text.chars().take(300).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_have_remedies_and_signatures_are_not_printed() {
        let store = |source: &str| StoreError::Generic { store: "S3", source: source.to_owned().into() };
        let changed = Cause::Changed { key: "a".into(), listed: 1, received: 2 };
        for (cause, texts) in [
            (Cause::Silence(Duration::from_secs(60)), &["s3://b/x/", "nothing for 60 s", "network"][..]),
            (changed, &["2 bytes", "but 1 in the list", "repeat"]),
            (
                Cause::Store(StoreError::NotFound { path: String::new(), source: "404".into() }),
                &["no bucket `b`", "AWS_ENDPOINT_URL"],
            ),
            (
                Cause::Store(StoreError::PermissionDenied {
                    path: String::new(),
                    source: "Server returned non-2xx status code: 403: <Error><Code>ExpiredToken</Code></Error>".into(),
                }),
                &["denied (ExpiredToken)", "s3:ListBucket"],
            ),
            (Cause::Store(store("GET https://h/x?sig=topsecret failed")), &["GET https://h/x failed"]),
        ] {
            let error = explain(Store::S3, "s3://b", "x/", cause);
            let text = error.to_string();
            assert!(error.exit_code() == 66 && texts.iter().all(|t| text.contains(t)), "{text}");
            assert!(!text.contains("topsecret"), "{text}");
        }
        let error = explain(Store::S3, "s3://b", "x[", Cause::Pattern("a bracket is open".into()));
        assert!(error.exit_code() == 2 && error.to_string().contains("a bracket is open"), "{error}");
    }
}
