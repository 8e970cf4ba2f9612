//! Sources in object stores: lists the objects of a source, and downloads those that are needed.

use std::fs::File;
use std::future::Future;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::{StreamExt as _, TryStreamExt as _};
use glob::Pattern;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ClientConfigKey, ObjectMeta, ObjectStore, ObjectStoreExt as _, RetryConfig, path};

use crate::address::Store;
use crate::error::{Error, Names, Result, plural};
use crate::progress;
use crate::remote_error::{Cause, explain, has_credentials};
use crate::scratch::Scratch;
use crate::sources::{self, OPTIONS, SourceFile};

/// Number of objects that are downloaded at the same time (not tuned).
const PARALLEL: usize = 6;
/// The import stops if the service sends nothing for this long.
const SILENCE: Duration = Duration::from_secs(60);
/// Time limit for one request. A download that takes longer continues with a new request.
const REQUEST: Duration = Duration::from_secs(300);
/// Maximum number of times that a failed request is repeated, and the time after which no request is repeated.
const RETRIES: usize = 4;
const RETRY_TIME: Duration = Duration::from_secs(45);

/// Downloads the objects below `root` (such as `s3://bucket`) that match `pattern` and for which `is_needed` is true.
/// Returns the objects sorted by key, together with the temporary files that contain their content.
///
/// # Errors
/// [`Error::NoInput`] with the cause and a remedy if the objects cannot be read.
pub fn files(
    store: Store,
    root: &str,
    pattern: &str,
    scratch: &mut Scratch,
    is_needed: &dyn Fn(&SourceFile) -> bool,
) -> Result<sources::Found> {
    let failed = |cause| explain(store, root, pattern, cause);
    let client = open(store, root).map_err(|e| failed(Cause::Settings(e)))?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|e| Error::no_input(Path::new(root), e))?;
    let found = runtime.block_on(find(client.as_ref(), root, pattern, SILENCE)).map_err(failed)?;
    let mut wanted = found.matching;
    if wanted.is_empty() {
        return Err(Error::no_input(Path::new(&format!("{root}/{pattern}")), no_match(root, pattern, &found.others)));
    }
    wanted.sort_by_cached_key(|o| sources::natural(o.location.as_ref()));
    let mut files = Vec::new();
    let mut objects = Vec::new();
    for object in wanted {
        let key = object.location.as_ref();
        let folders = sources::folders(Path::new(key).parent());
        let name = format!("{root}/{key}");
        let mut file = SourceFile { path: PathBuf::new(), name, length: object.size, folders };
        if is_needed(&file) {
            file.path = scratch.file();
            files.push(file);
            objects.push(object);
        }
    }
    let total = files.iter().map(|f| f.length).sum();
    scratch.require_space(total, &format!("{root}/{pattern}"))?;
    let stage = format!("downloading {} from {root}", plural(files.len(), "object", "objects"));
    let pairs = objects.iter().zip(&files).map(|(object, file)| (object, file.path.as_path()));
    runtime.block_on(download(client.as_ref(), pairs, &stage, total, SILENCE)).map_err(failed)?;
    let is_folder = fixed_part(pattern) == pattern;
    let others = if is_folder { found.others.below(&format!("{root}/")) } else { Names::default() };
    Ok(sources::Found { files, others })
}

/// The client of a store, with the credentials in the environment.
fn open(store: Store, root: &str) -> object_store::Result<Box<dyn ObjectStore>> {
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    // a variable such as AWS_TIMEOUT overrides the default
    let settings = |prefix: &str| {
        let endpoints = ["ENDPOINT_URL_S3", "ENDPOINT_URL", "ENDPOINT", "STORAGE_ENDPOINT", "BASE_URL"];
        let is_http = |name: &&str| variable(&format!("{prefix}_{name}")).is_some_and(|url| url.starts_with("http://"));
        let http = endpoints.iter().any(is_http).then(|| (ClientConfigKey::AllowHttp, "true".to_owned()));
        let timeout = (variable(&format!("{prefix}_TIMEOUT")).is_none())
            .then(|| (ClientConfigKey::Timeout, format!("{} s", REQUEST.as_secs())));
        http.into_iter().chain(timeout)
    };
    // without credentials, the client requests those of the machine's role, which is quick if the machine has a role
    let patient = has_credentials(store);
    let retry = RetryConfig {
        max_retries: if patient { RETRIES } else { 1 },
        retry_timeout: if patient { RETRY_TIME } else { Duration::from_secs(5) },
        ..RetryConfig::default()
    };
    Ok(match store {
        Store::S3 => {
            let builder = settings("AWS").fold(AmazonS3Builder::from_env(), |builder, (key, value)| {
                builder.with_config(AmazonS3ConfigKey::Client(key), value)
            });
            Box::new(builder.with_url(root).with_retry(retry).build()?)
        }
        Store::Google => {
            let builder = settings("GOOGLE").fold(GoogleCloudStorageBuilder::from_env(), |builder, (key, value)| {
                builder.with_config(GoogleConfigKey::Client(key), value)
            });
            Box::new(builder.with_url(root).with_retry(retry).build()?)
        }
        Store::Azure => {
            let mut builder = settings("AZURE").fold(MicrosoftAzureBuilder::from_env(), |builder, (key, value)| {
                builder.with_config(AzureConfigKey::Client(key), value)
            });
            // the names that the Azure command line uses
            for (name, key) in [
                ("AZURE_STORAGE_ACCOUNT", AzureConfigKey::AccountName),
                ("AZURE_STORAGE_KEY", AzureConfigKey::AccessKey),
            ] {
                if let Some(value) = variable(name).filter(|_| builder.get_config_value(&key).is_none()) {
                    builder = builder.with_config(key, value);
                }
            }
            Box::new(builder.with_url(root).with_retry(retry).build()?)
        }
    })
}

/// The objects that match a pattern, and the keys of non-matching objects, without those of hidden objects and of
/// markers.
struct Found {
    matching: Vec<ObjectMeta>,
    others: Names,
}

/// Lists the objects below the fixed part of `pattern`, and selects those that match it.
async fn find(
    client: &dyn ObjectStore,
    root: &str,
    pattern: &str,
    silence: Duration,
) -> std::result::Result<Found, Cause> {
    let fixed = fixed_part(pattern);
    let is_pattern = fixed != pattern;
    let glob = Pattern::new(pattern).map_err(|e| Cause::Pattern(e.msg.to_owned()))?;
    let parse = |key: &str| path::Path::parse(key).map_err(|e| Cause::Store(e.into()));
    let prefix = if is_pattern { fixed.rsplit_once('/').map_or("", |(folder, _)| folder) } else { fixed };
    let prefix = parse(prefix.trim_end_matches('/'))?;
    let stage = format!("listing {root}/{prefix}");
    let mut found = Found { matching: Vec::new(), others: Names::default() };
    progress::stage(&stage, 0, 0);
    let mut objects = client.list(Some(&prefix).filter(|p| !p.as_ref().is_empty()));
    while let Some(object) = within(silence, objects.try_next()).await? {
        progress::stage(&stage, 0, 0);
        let key = object.location.as_ref();
        let matches = match is_pattern {
            true => glob.matches_with(key, OPTIONS),
            false => sources::is_data(key) && !is_hidden(key, &prefix),
        };
        if matches && !is_marker(&object) {
            found.matching.push(object);
        } else if !is_hidden(key, &prefix) && !is_marker(&object) {
            found.others.add(key);
        }
    }
    if found.matching.is_empty() && !is_pattern && !prefix.as_ref().is_empty() {
        // the address may name a single object
        match within(silence, client.head(&prefix)).await {
            Ok(object) => found.matching.push(object),
            // the address is that of a folder without data files
            Err(Cause::Store(object_store::Error::NotFound { .. })) if !found.others.is_empty() => {}
            Err(Cause::Store(object_store::Error::NotFound { .. })) => {
                let folder = parse(prefix.as_ref().rsplit_once('/').map_or("", |(folder, _)| folder))?;
                let mut near = client.list(Some(&folder).filter(|p| !p.as_ref().is_empty()));
                while let Some(object) = within(silence, near.try_next()).await? {
                    let key = object.location.as_ref();
                    // the folder may contain many objects, so they are not counted
                    if !is_hidden(key, &folder) && !is_marker(&object) && !found.others.add_if_shown(key) {
                        break;
                    }
                }
            }
            Err(cause) => return Err(cause),
        }
    }
    Ok(found)
}

/// Whether the name of the object, or of a folder between `folder` and the object, starts with a dot.
fn is_hidden(key: &str, folder: &path::Path) -> bool {
    let below = key.strip_prefix(folder.as_ref()).unwrap_or(key);
    below.split('/').any(|part| part.starts_with('.'))
}

/// Whether the object is empty and not a data file. Some programs create such an object for each folder.
fn is_marker(object: &ObjectMeta) -> bool {
    object.size == 0 && !sources::is_data(object.location.as_ref())
}

/// Downloads objects to files. The content of an object is never entirely in memory.
async fn download<'a>(
    client: &dyn ObjectStore,
    objects: impl Iterator<Item = (&'a ObjectMeta, &'a Path)>,
    stage: &str,
    total: u64,
    silence: Duration,
) -> std::result::Result<(), Cause> {
    progress::stage(stage, 0, total);
    let done = std::cell::Cell::new(0);
    let one = async |(object, path): (&'a ObjectMeta, &'a Path)| -> std::result::Result<(), Cause> {
        let write = |e: std::io::Error| Cause::Write(Error::write(path, e));
        let mut file = File::create(path).map_err(write)?;
        let answer = within(silence, client.get(&object.location)).await.map_err(|cause| match cause {
            Cause::Store(object_store::Error::NotFound { .. }) => Cause::Removed { key: object.location.to_string() },
            other => other,
        });
        let mut content = answer?.into_stream();
        let mut length = 0;
        while let Some(part) = within(silence, content.try_next()).await? {
            file.write_all(&part).map_err(write)?;
            length += part.len() as u64;
            done.set(done.get() + part.len() as u64);
            progress::stage(stage, done.get(), total);
        }
        if length == object.size {
            return Ok(());
        }
        Err(Cause::Changed { key: object.location.to_string(), listed: object.size, received: length })
    };
    let downloads = futures_util::stream::iter(objects).map(one).buffer_unordered(PARALLEL);
    downloads.try_collect::<Vec<()>>().await.map(|_| ())
}

async fn within<T>(
    silence: Duration,
    work: impl Future<Output = object_store::Result<T>>,
) -> std::result::Result<T, Cause> {
    match tokio::time::timeout(silence, work).await {
        Ok(result) => result.map_err(Cause::Store),
        Err(_) => Err(Cause::Silence(silence)),
    }
}

/// The part of a pattern before the first wildcard.
fn fixed_part(pattern: &str) -> &str {
    &pattern[..pattern.find(['*', '?', '[']).unwrap_or(pattern.len())]
}

fn no_match(root: &str, pattern: &str, others: &Names) -> String {
    let fixed = fixed_part(pattern);
    let folder = fixed.rsplit_once('/').map_or("", |(folder, _)| folder);
    if others.is_empty() {
        return format!("there is no object below {root}/{folder}, apart from hidden and empty ones");
    }
    format!("no object matches; {root} contains {others}")
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;

    fn run<T>(work: impl Future<Output = T>) -> T {
        tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
    }

    fn store(keys: &[&str]) -> InMemory {
        let store = InMemory::new();
        for key in keys {
            let content = if key.ends_with("marker") { String::new() } else { format!("content of {key}") };
            run(store.put(&path::Path::parse(key).unwrap(), content.into())).unwrap();
        }
        store
    }

    fn keys(store: &InMemory, pattern: &str) -> Vec<String> {
        let found = run(find(store, "s3://b", pattern, SILENCE)).ok().unwrap();
        let mut keys: Vec<String> = found.matching.iter().map(|o| o.location.to_string()).collect();
        keys.sort();
        keys
    }

    #[test]
    fn folders_patterns_and_single_objects() {
        let store = store(&[
            "site=7/2024/a.csv",
            "site=7/b.csv.gz",
            "site=7/notes.md",
            "site=7/.hidden/c.csv",
            "site=7/folder_marker",
            "site=77/d.csv",
            "single",
        ]);
        // as on a local disk, only data files in a folder are listed, and `site=77` does not belong to `site=7`
        for pattern in ["site=7", "site=7/"] {
            assert_eq!(keys(&store, pattern), ["site=7/2024/a.csv", "site=7/b.csv.gz"]);
        }
        assert_eq!(keys(&store, "site=*/*.csv*"), ["site=7/b.csv.gz", "site=77/d.csv"]);
        assert_eq!(keys(&store, "**/*.csv"), ["site=7/2024/a.csv", "site=77/d.csv"]);
        assert_eq!(keys(&store, "site=7/*"), ["site=7/b.csv.gz", "site=7/notes.md"]);
        assert_eq!(keys(&store, "single"), ["single"]);
        assert_eq!(keys(&store, "site=7/notes.md"), ["site=7/notes.md"]);
        assert!(keys(&store, "absent/").is_empty() && keys(&store, "site=8*").is_empty());
        assert_eq!(keys(&store, "").len(), 3);
    }

    #[test]
    fn objects_that_are_not_read_are_counted() {
        let mut names: Vec<String> = (0..500).map(|i| format!("x/{i:03}.md")).collect();
        names.extend(["x/a.csv", "x/.git/b.md", "x/sub_marker", ".top/c.csv", ".top/d.md"].map(String::from));
        let store = store(&names.iter().map(String::as_str).collect::<Vec<_>>());
        let others = |pattern: &str| run(find(&store, "s3://b", pattern, SILENCE)).ok().unwrap().others.to_string();
        assert_eq!(others("x/"), "x/000.md, x/001.md, x/002.md, x/003.md, x/004.md and 495 more");
        assert_eq!(others("x/absent.csv"), "x/000.md, x/001.md, x/002.md, x/003.md, x/004.md and others");
        assert_eq!(others("x/.git"), "x/.git/b.md");
        // as on a local disk, the folder that is named may itself be hidden
        assert_eq!(others(".top"), ".top/d.md");
        assert_eq!(keys(&store, ".top"), [".top/c.csv"]);
    }

    #[test]
    fn downloads_are_complete_and_a_changed_object_is_an_error() {
        let store = store(&["a.csv", "b.csv"]);
        let mut found = run(find(&store, "s3://b", "*.csv", SILENCE)).ok().unwrap().matching;
        found.sort_by(|a, b| a.location.cmp(&b.location));
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<PathBuf> = found.iter().map(|o| folder.path().join(o.location.as_ref())).collect();
        let fetch = |found: &[ObjectMeta]| {
            run(download(&store, found.iter().zip(paths.iter().map(PathBuf::as_path)), "", 0, SILENCE))
        };
        fetch(&found).ok().unwrap();
        assert_eq!(std::fs::read_to_string(&paths[1]).unwrap(), "content of b.csv");
        run(store.put(&found[0].location, "longer content than before".into())).unwrap();
        assert!(matches!(fetch(&found), Err(Cause::Changed { listed: 16, received: 26, .. })));
        run(store.delete(&found[0].location)).unwrap();
        assert!(matches!(fetch(&found), Err(Cause::Removed { key }) if key == "a.csv"));
    }

    #[test]
    fn a_service_that_sends_nothing_is_an_error() {
        let never = std::future::pending::<object_store::Result<()>>();
        let result = run(within(Duration::from_millis(20), never));
        assert!(matches!(result, Err(Cause::Silence(_))));
    }
}
