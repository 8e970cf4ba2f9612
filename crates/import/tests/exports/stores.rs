//! Sources in object stores. A thread answers the requests of the clients.

use std::io::{BufRead, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use crate::plant::{Ended, Plant};

/// What the service does.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Behaviour {
    Good,
    /// Answers all requests with this status and code.
    Refuses(u16, &'static str),
    /// Answers the first requests with the status 503.
    Recovers,
    /// Sends half of each object.
    CutsOff,
}

/// A service with one bucket `logs`.
struct Service {
    address: String,
    requests: Arc<Mutex<Vec<String>>>,
}

impl Service {
    fn new(objects: &[(&str, &str)], behaviour: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let requests = Arc::new(Mutex::new(Vec::new()));
        let objects: Vec<(String, String)> = objects.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let known = requests.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (objects, known) = (objects.clone(), known.clone());
                std::thread::spawn(move || serve(stream.unwrap(), &objects, behaviour, &known));
            }
        });
        Self { address, requests }
    }

    fn import(&self, plant: &Plant, args: &str) -> Ended {
        let temporary = plant.path("tmp");
        std::fs::create_dir_all(&temporary).unwrap();
        let ended = plant.import_with(
            args,
            &[
                ("AWS_ENDPOINT_URL", self.address.as_str()),
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "topsecret"),
                ("GOOGLE_BASE_URL", self.address.as_str()),
                ("GOOGLE_SKIP_SIGNATURE", "true"),
                ("AZURE_STORAGE_ENDPOINT", self.address.as_str()),
                ("AZURE_STORAGE_ACCOUNT", "account"),
                ("AZURE_STORAGE_KEY", "dG9wc2VjcmV0"),
                ("TMPDIR", temporary.to_str().unwrap()),
            ],
        );
        assert_eq!(std::fs::read_dir(temporary).unwrap().count(), 0, "the downloaded objects are removed");
        for secret in ["topsecret", "dG9wc2VjcmV0"] {
            assert!(!ended.err.contains(secret) && !ended.out.contains(secret));
        }
        ended
    }

    fn requests(&self, prefix: &str) -> usize {
        self.requests.lock().unwrap().iter().filter(|r| r.starts_with(prefix)).count()
    }
}

/// Answers the requests of one connection.
fn serve(stream: TcpStream, objects: &[(String, String)], behaviour: Behaviour, known: &Mutex<Vec<String>>) {
    let mut out = stream.try_clone().unwrap();
    let mut lines = BufReader::new(stream).lines();
    while let Some(Ok(request)) = lines.next() {
        while lines.next().is_some_and(|line| line.is_ok_and(|line| !line.is_empty())) {}
        known.lock().unwrap().push(request.clone());
        let mut words = request.split(' ');
        let (method, target) = (words.next().unwrap(), words.next().unwrap());
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let path = decoded(path);
        let number = known.lock().unwrap().len();
        let (status, body) = match behaviour {
            Behaviour::Refuses(status, code) => (status, format!("<Error><Code>{code}</Code></Error>")),
            Behaviour::Recovers if number < 3 => (503, "<Error><Code>SlowDown</Code></Error>".to_owned()),
            _ if path.trim_end_matches('/') == "/logs" => (200, listing(objects, query)),
            _ => match objects.iter().find(|(key, _)| path == format!("/logs/{key}")) {
                Some((_, content)) => (200, content.clone()),
                None => (404, "<Error><Code>NoSuchKey</Code></Error>".to_owned()),
            },
        };
        let sent = match behaviour {
            Behaviour::CutsOff if path != "/logs" => &body[..body.len() / 2],
            _ if method == "HEAD" => "",
            _ => &body,
        };
        let head = format!(
            "HTTP/1.1 {status} -\r\nContent-Length: {}\r\nLast-Modified: Tue, 02 Jan 2024 00:00:00 GMT\r\nETag: \"1\"\r\n\r\n",
            body.len()
        );
        if out.write_all((head + sent).as_bytes()).is_err() || sent.len() < body.len() && method != "HEAD" {
            return;
        }
    }
}

/// Replaces escapes such as `%2F` in ASCII text.
fn decoded(text: &str) -> String {
    let mut parts = text.split('%');
    let first = parts.next().unwrap().to_owned();
    parts.fold(first, |out, part| {
        out + &char::from(u8::from_str_radix(&part[..2], 16).unwrap()).to_string() + &part[2..]
    })
}

/// The answer to the request for a list of objects.
fn listing(objects: &[(String, String)], query: &str) -> String {
    let query = decoded(&query.replace('+', " "));
    let prefix = query.split('&').find_map(|p| p.strip_prefix("prefix=")).unwrap_or("").to_owned();
    let azure = query.contains("comp=list");
    let entry = |(key, content): &(String, String)| {
        if azure {
            return format!(
                "<Blob><Name>{key}</Name><Properties><Last-Modified>Tue, 02 Jan 2024 00:00:00 GMT</Last-Modified>\
                 <Content-Length>{}</Content-Length><Content-Type>text</Content-Type></Properties></Blob>",
                content.len()
            );
        }
        format!(
            "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2024-01-02T00:00:00.000Z</LastModified><ETag>\"1\"</ETag></Contents>",
            content.len()
        )
    };
    let entries: String = objects.iter().filter(|(key, _)| key.starts_with(&prefix)).map(entry).collect();
    if azure {
        return format!("<EnumerationResults><Blobs>{entries}</Blobs><NextMarker/></EnumerationResults>");
    }
    format!("<ListBucketResult><IsTruncated>false</IsTruncated>{entries}</ListBucketResult>")
}

const HEAD: &str = "time,flow\n";
const OBJECTS: [(&str, &str); 5] = [
    ("export/site=7/a.csv", "time,flow\n2024-01-01T00:00Z,1\n2024-01-01T01:00Z,2\n"),
    ("export/site=7/b 1.csv", "time,flow\n2024-01-01T02:00Z,3\n"),
    ("export/site=8/a.csv", "time,flow\n2024-01-01T03:00Z,4\n"),
    ("export/site=8/notes.md", "not data"),
    ("single", "time,flow\n2024-01-01T00:00Z,7\n"),
];

#[test]
fn objects_are_read_like_local_files() {
    let service = Service::new(&OBJECTS, Behaviour::Good);
    for (from, more, downloaded) in [
        ("export/", "", 3),
        ("export", "--where site|==|'8'", 1),
        ("export/site=7", "", 2),
        ("export/**/a.csv", "", 2),
        ("export/site=?/b|*.csv", "", 1),
        ("export/site=8/a.csv", "", 1),
    ] {
        let (remote, local) = (Plant::new(&OBJECTS), Plant::new(&OBJECTS));
        let before = service.requests("GET /logs/export");
        let ended = service.import(&remote, &format!("--from s3://logs/{from} {more}"));
        assert_eq!(ended.code, Some(0), "{from}: {}", ended.err);
        ended.says(&["s3://logs/export", &format!("{downloaded} file")]);
        // objects that a condition on a folder rules out are not downloaded
        assert_eq!(service.requests("GET /logs/export") - before, downloaded, "{from}");
        local.imported(&format!("--from {from} {more}"));
        assert_eq!(remote.bytes(), local.bytes(), "{from}");
        let recipe = std::fs::read_to_string(remote.path("data/p/import.toml")).unwrap();
        assert!(recipe.contains(&format!("from = \"s3://logs/{}\"", from.replace('|', " "))), "{recipe}");
        assert!(!recipe.contains("key") && !recipe.contains("127.0.0.1"), "{recipe}");
        // the recipe reads the objects again
        service.import(&remote, "").says(&["1 unchanged"]);
    }
    let plant = Plant::new(&[]);
    service.import(&plant, "--from s3://logs/single").says(&["1 row"]);
    assert_eq!(plant.numbers("flow"), [7.0]);
}

#[test]
fn all_kinds_of_stores_are_read() {
    let service = Service::new(&OBJECTS, Behaviour::Good);
    let local = Plant::new(&OBJECTS);
    local.imported("--from export/**/*.csv");
    for store in ["s3", "gs", "az"] {
        let plant = Plant::new(&[]);
        let ended = service.import(&plant, &format!("--from {store}://logs/export/**/*.csv"));
        assert_eq!(ended.code, Some(0), "{store}: {}", ended.err);
        assert_eq!(plant.bytes(), local.bytes(), "{store}");
    }
    for (store, texts) in [
        ("gs", &["access is denied", "storage.objects.list"][..]),
        ("az", &["access is denied", "Storage Blob Data Reader"]),
    ] {
        let service = Service::new(&OBJECTS, Behaviour::Refuses(403, "Denied"));
        let ended = service.import(&Plant::new(&[]), &format!("--from {store}://logs/export/"));
        assert_eq!(ended.code, Some(66), "{}", ended.err);
        ended.says(texts);
    }
}

#[test]
fn files_of_this_machine_can_be_named_by_an_address() {
    let plant = Plant::new(&OBJECTS);
    let root = plant.root.path().to_str().unwrap();
    plant.imported(&format!("--from file://{root}/export/**/*.csv"));
    assert_eq!(plant.log().height(), 4);
    let recipe = std::fs::read_to_string(plant.path("data/p/import.toml")).unwrap();
    assert!(recipe.contains(&format!("from = \"file://{root}/export/**/*.csv\"")), "{recipe}");
    plant.imported("").says(&["1 unchanged"]);
}

#[test]
fn a_service_that_is_busy_at_first_is_asked_again() {
    let service = Service::new(&OBJECTS, Behaviour::Recovers);
    let plant = Plant::new(&[]);
    service.import(&plant, "--from s3://logs/export/site=7/").says(&["3 rows"]);
}

#[test]
fn causes_of_failures_are_named_with_a_remedy() {
    for (behaviour, from, texts) in [
        (Behaviour::Refuses(403, "AccessDenied"), "export/", &["access is denied (AccessDenied)", "s3:ListBucket"][..]),
        (Behaviour::Refuses(403, "InvalidAccessKeyId"), "export/", &["(InvalidAccessKeyId)", "credentials"]),
        (Behaviour::Refuses(404, "NoSuchBucket"), "export/", &["there is no bucket `logs`", "AWS_ENDPOINT_URL"]),
        (Behaviour::Refuses(301, "PermanentRedirect"), "export/", &["AWS_REGION"]),
        (Behaviour::Refuses(500, "InternalError"), "export/", &["500", "repeat the import"]),
        (Behaviour::Good, "absent/", &["no object matches", "export/site=7/a.csv"]),
        (Behaviour::Good, "export/*.parquet", &["no object matches", "export/site=7/a.csv"]),
        (Behaviour::Good, "export/site=8/notes.csv", &["no object matches", "export/site=8/notes.csv"]),
        (Behaviour::CutsOff, "export/", &["repeat the import"]),
    ] {
        let service = Service::new(&OBJECTS, behaviour);
        let plant = Plant::new(&[]);
        let ended = service.import(&plant, &format!("--from s3://logs/{from}"));
        assert_eq!(ended.code, Some(66), "{behaviour:?} {from}: {}", ended.err);
        ended.says(&["error: cannot read s3://logs/"]).says(texts);
        assert!(!plant.path("data/p/import.toml").exists());
    }
}

#[test]
fn missing_credentials_and_unreachable_services_are_named() {
    let plant = Plant::new(&[("a.csv", HEAD)]);
    // nothing listens on the port of a listener that was dropped
    let unused = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let url = format!("http://{unused}");
    let keys = [("AWS_ACCESS_KEY_ID", "k"), ("AWS_SECRET_ACCESS_KEY", "s")];
    let ended = plant.import_with("--from s3://logs/x/", &[&[("AWS_ENDPOINT_URL", url.as_str())], &keys[..]].concat());
    assert_eq!(ended.code, Some(66), "{}", ended.err);
    ended.says(&["s3://logs/x/", "check the network"]);
    // no keys are set, and the metadata service, which gives credentials to cloud machines, does not answer
    let ended = plant.import_with("--from s3://logs/x/", &[("AWS_METADATA_ENDPOINT", url.as_str())]);
    assert_eq!(ended.code, Some(66), "{}", ended.err);
    ended.says(&["no credentials", "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"]);
    // half of the credentials
    let ended = plant.import_with("--from s3://logs/x/", &keys[..1]);
    assert_eq!(ended.code, Some(66), "{}", ended.err);
    ended.says(&["AWS_SECRET_ACCESS_KEY"]);
    let ended = plant.import_with("--from az://logs/x/", &[("AZURE_STORAGE_KEY", "a2V5")]);
    assert_eq!(ended.code, Some(66), "{}", ended.err);
    ended.says(&["AZURE_STORAGE_ACCOUNT"]);
}
