//! Tests of `src/log/files.rs`.

use std::fs;

use super::*;

fn found(dir: &Path, pattern: &str) -> Vec<String> {
    let mut all = matching(dir, pattern).unwrap();
    all.sort();
    all.iter().map(|p| p.strip_prefix(dir).unwrap().to_string_lossy().into_owned()).collect()
}

#[test]
fn stars_match_within_a_name_and_brackets_are_literal() {
    let root = tempfile::TempDir::new().unwrap();
    // The name of the test folder looks like a pattern.
    let dir = root.path().join("[a]*");
    fs::create_dir_all(dir.join("sub/deeper.parquet")).unwrap();
    for name in ["a.parquet", "b1.parquet", "b[1].parquet", ".hidden.parquet", "a.csv", "sub/c.parquet", "twin.toml"] {
        fs::write(dir.join(name), "").unwrap();
    }
    assert_eq!(found(&dir, "*.parquet"), ["a.parquet", "b1.parquet", "b[1].parquet"]);
    assert_eq!(found(&dir, "b?.parquet"), ["b1.parquet"]);
    assert_eq!(found(&dir, "b[1].*"), ["b[1].parquet"]);
    assert_eq!(found(&dir, "b[1].parquet"), ["b[1].parquet"]);
    assert_eq!(found(&dir, "./a.parquet"), ["a.parquet"]);
    assert_eq!(found(&dir, "*/*.parquet"), ["sub/c.parquet"]);
    assert_eq!(found(&dir, ".hid*"), [".hidden.parquet"]);
    assert_eq!(found(&dir, "**/*.parquet"), ["sub/c.parquet"]);
    assert_eq!(found(&dir, "a.csv/*.parquet"), [""; 0]);
    assert_eq!(found(&dir, "a.csv/b.parquet"), [""; 0]);
    // the twin file is never mistaken for a log
    for pattern in ["*", "**", "t*.toml", "*.toml"] {
        assert!(!found(&dir, pattern).contains(&"twin.toml".to_owned()), "{pattern}");
    }
    let absolute = dir.join("a.parquet");
    let pattern = absolute.to_string_lossy().replace("a.parquet", "a.par*");
    assert_eq!(matching(Path::new("elsewhere"), &pattern).unwrap(), [absolute]);
}

#[test]
fn pipes_devices_and_folders_are_refused() {
    let root = tempfile::TempDir::new().unwrap();
    fs::create_dir(root.path().join("folder.parquet")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", root.path().join("endless.parquet")).unwrap();
    let pipe = root.path().join("pipe.dat");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    std::os::unix::fs::symlink("nowhere", root.path().join("dangling.txt")).unwrap();
    for (pattern, why) in [
        ("*.parquet", "not a regular file"),
        ("endless.parquet", "not a regular file"),
        ("pipe.*", "not a regular file"),
        ("pipe.dat", "not a regular file"),
        ("folder.parquet", "it is a folder"),
        ("*.txt", "No such file"),
    ] {
        let error = matching(root.path(), pattern).unwrap_err();
        assert!(error.exit_code() == 66 && error.to_string().contains(why), "{pattern}: {error}");
    }
}

#[test]
fn a_log_outside_the_project_is_refused_unless_its_folder_is_listed() {
    let root = tempfile::TempDir::new().unwrap();
    let root = root.path().canonicalize().unwrap();
    let twin = root.join("project/data/plant");
    for dir in ["project/data/plant/log", "project/data/other", "project/shared", "outside"] {
        fs::create_dir_all(root.join(dir)).unwrap();
        fs::write(root.join(dir).join("x.parquet"), "").unwrap();
    }
    std::os::unix::fs::symlink(root.join("outside"), twin.join("link")).unwrap();
    let reads = |dir: &Path, pattern: &str, outside: &Path| {
        let allowed = allowed_folders(dir, &outside.as_os_str().to_owned());
        matching(dir, pattern).unwrap().iter().try_for_each(|f| require_inside(f, &allowed))
    };
    let nothing = Path::new("");
    for inside in ["log/x.parquet", "../other/*.parquet", "../../shared/x.parquet", "log/../log/x.parquet"] {
        reads(&twin, inside, nothing).unwrap();
    }
    let absolute = root.join("outside/*.parquet").to_string_lossy().into_owned();
    for pattern in ["../../../outside/*.parquet", "link/x.parquet", "*/../../../../outside/x.parquet", &absolute] {
        let error = reads(&twin, pattern, nothing).unwrap_err();
        assert!(error.exit_code() == 66 && error.to_string().contains(OUTSIDE), "{error}");
        reads(&twin, pattern, &root.join("outside")).unwrap();
        assert!(reads(&twin, pattern, &root.join("out")).is_err());
    }
    // a twin that is not inside `data` may read logs only in its own folder
    reads(&root.join("project/shared"), "x.parquet", nothing).unwrap();
    assert!(reads(&root.join("project/shared"), "../data/other/x.parquet", nothing).is_err());
    // a URL is interpreted as a path, which does not exist
    assert_eq!(matching(&twin, "file:///etc/*").unwrap(), [""; 0].map(PathBuf::from));
}
