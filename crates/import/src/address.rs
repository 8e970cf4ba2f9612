//! Addresses of sources, such as `export/*.csv` or `s3://bucket/site=7/`.

use crate::error::{Error, Result};

/// The kind of an object store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Amazon S3, or another service with the same interface.
    S3,
    /// Google Cloud Storage.
    Google,
    /// Azure Blob Storage.
    Azure,
}

/// Where the files of a source are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A file, folder or pattern on this machine.
    Local(String),
    /// Objects whose keys match a pattern.
    Remote { store: Store, root: String, pattern: String },
}

/// Parses the text of `--from`.
///
/// # Errors
/// [`Error::Usage`] if the scheme is not supported, or if the address can contain a secret. The message contains
/// neither a password nor a query.
pub fn parse(from: &str) -> Result<Address> {
    let Some((scheme, rest)) = from.split_once("://") else { return Ok(Address::Local(from.to_owned())) };
    let scheme = scheme.to_lowercase();
    refuse_secrets(from, &scheme, rest)?;
    let shown = from.split(['?', '#']).next().unwrap_or_default();
    let store = match scheme.as_str() {
        "file" => return local(shown, rest),
        "s3" | "s3a" => Store::S3,
        "gs" => Store::Google,
        "az" | "azure" | "abfs" | "abfss" => Store::Azure,
        "http" | "https" => {
            return Err(Error::Usage(format!(
                "`{shown}`: web addresses are not supported; download the file (for example with `curl -O`), and name \
                 the local file"
            )));
        }
        _ => {
            return Err(Error::Usage(format!(
                "`{shown}`: `{scheme}://` is not supported; use s3://, gs://, az:// or file://, or copy the files to \
                 this machine"
            )));
        }
    };
    let (bucket, pattern) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() || bucket.contains(['*', '?', '[']) {
        return Err(Error::Usage(format!("`{shown}`: add the name of the bucket after `{scheme}://`")));
    }
    Ok(Address::Remote { store, root: format!("{scheme}://{bucket}"), pattern: pattern.to_owned() })
}

fn local(shown: &str, rest: &str) -> Result<Address> {
    let path = rest.strip_prefix("localhost").unwrap_or(rest);
    if !path.starts_with('/') {
        return Err(Error::Usage(format!(
            "`{shown}`: a `file://` address needs an absolute path, e.g. file:///data/a.csv"
        )));
    }
    Ok(Address::Local(decoded(path)))
}

/// The recipe stores the address, so the address must not contain a secret.
fn refuse_secrets(from: &str, scheme: &str, rest: &str) -> Result<()> {
    let authority = rest.split('/').next().unwrap_or("");
    let user = authority.rsplit_once('@').map(|(user, _)| user);
    // `abfss://container@account.dfs.core.windows.net/` is the usual notation, in which `container` is not a secret
    let is_container = |user: &str| scheme.starts_with("abfs") && !user.contains(':');
    if user.is_some_and(|user| !is_container(user)) {
        return Err(Error::Usage(format!(
            "the `{scheme}://` address contains a password, which import.toml would store; leave it out, and set the \
             credentials as environment variables (docs/import.md)"
        )));
    }
    if has_query(from) {
        return Err(Error::Usage(format!(
            "the `{scheme}://` address contains a query such as `?name=…`, which can be a password or a signature that \
             import.toml would store; leave it out, and set the credentials as environment variables \
             (docs/import.md); if the `?` is a wildcard, write `*`"
        )));
    }
    Ok(())
}

/// Whether a `?` is followed by a name and `=`. In a pattern such as `year=202?/month=1`, a `/` is between them.
fn has_query(from: &str) -> bool {
    let text = decoded(from);
    let is_setting = |part: &str| part.split_once('=').is_some_and(|(name, _)| !name.is_empty() && !name.contains('/'));
    text.split('?').skip(1).any(|query| query.split(['&', ';', '#']).any(is_setting))
}

/// Replaces escapes such as `%20`.
pub fn decoded(text: &str) -> String {
    let (bytes, mut out, mut i) = (text.as_bytes(), Vec::new(), 0);
    while i < bytes.len() {
        let escape = text.get(i + 1..i + 3).filter(|_| bytes[i] == b'%').and_then(|h| u8::from_str_radix(h, 16).ok());
        out.push(escape.unwrap_or(bytes[i]));
        i += if escape.is_some() { 3 } else { 1 };
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_buckets_and_patterns() {
        let remote = |store, root: &str, pattern: &str| Address::Remote {
            store,
            root: root.to_owned(),
            pattern: pattern.to_owned(),
        };
        for (from, address) in [
            ("export/*.csv", Address::Local("export/*.csv".into())),
            ("file:///data/a%20b/*.csv", Address::Local("/data/a b/*.csv".into())),
            ("file://localhost/a.csv", Address::Local("/a.csv".into())),
            ("s3://bucket/site=7/", remote(Store::S3, "s3://bucket", "site=7/")),
            ("S3://bucket", remote(Store::S3, "s3://bucket", "")),
            ("gs://b/2024-0?.csv", remote(Store::Google, "gs://b", "2024-0?.csv")),
            ("s3://b/year=202?/month=1/*", remote(Store::S3, "s3://b", "year=202?/month=1/*")),
            ("az://c/x", remote(Store::Azure, "az://c", "x")),
            (
                "abfss://c@account.dfs.core.windows.net/x",
                remote(Store::Azure, "abfss://c@account.dfs.core.windows.net", "x"),
            ),
        ] {
            assert_eq!(parse(from).unwrap(), address, "{from}");
        }
        for (from, text) in [
            ("ftp://host/a.csv", "`ftp://` is not supported"),
            ("https://host/a.csv", "curl"),
            ("file://export/a.csv", "absolute path"),
            ("s3:///key", "name of the bucket"),
            ("s3://*/key", "name of the bucket"),
        ] {
            let error = parse(from).unwrap_err();
            assert!(error.exit_code() == 2 && error.to_string().contains(text), "{error}");
        }
    }

    #[test]
    fn addresses_with_secrets_are_refused_without_repeating_them() {
        for from in [
            "s3://AKIA:topsecret@bucket/a.csv",
            "s3://topsecret@bucket/a.csv",
            "abfss://c:topsecret@account.dfs.core.windows.net/x",
            "az://c/a.csv?sv=2024&SIG=topsecret",
            "https://b.s3.amazonaws.com/a.csv?X-Amz-Signature=topsecret",
            "gs://b/a.csv?X-Goog-Signature=topsecret",
            "s3://b/a.csv?s3_secret_access_key=topsecret",
            "s3://b/a.csv?region=eu&secretKey=topsecret",
            "s3://b?password=topsecret",
            "az://c/?/a.csv?AccountKey=topsecret",
            "s3://b/a.csv%3FsecretKey%3Dtopsecret",
            "file:///data/a.csv?password=topsecret",
            "ftp://host/a.csv?password=topsecret",
        ] {
            let error = parse(from).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{from}");
            let error = error.to_string();
            assert!(error.contains("environment variables") && !error.contains("topsecret"), "{error}");
        }
        for from in
            ["https://host/a.csv?topsecret", "ftp://host/a.csv#topsecret", "s3://b?topsecret", "file://a?topsecret"]
        {
            let error = parse(from).unwrap_err().to_string();
            assert!(!error.contains("topsecret"), "{error}");
        }
    }
}
